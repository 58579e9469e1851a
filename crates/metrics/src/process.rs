//! What the process uses, read from /proc when somebody looks.

use std::fs;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

/// Shows this process under the names that every Prometheus dashboard knows.
#[derive(Debug)]
pub(crate) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        if let Some(stat) = Stat::read() {
            let cpu = ConstCounter::new(stat.cpu_seconds);
            let described = encoder.encode_descriptor(
                "process_cpu",
                "User and system time",
                Some(&Unit::Seconds),
                prometheus_client::metrics::MetricType::Counter,
            )?;
            cpu.encode(described)?;
            gauge(&mut encoder, "process_start_time", "Since 1970", Unit::Seconds, stat.started)?;
        }
        if let Some((virtual_bytes, resident)) = memory() {
            gauge(&mut encoder, "process_resident_memory", "In use", Unit::Bytes, resident)?;
            gauge(&mut encoder, "process_virtual_memory", "Mapped", Unit::Bytes, virtual_bytes)?;
        }
        let plain = |name| Unit::Other(String::from(name));
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            gauge(&mut encoder, "process_open", "Open files", plain("fds"), as_f64(open.count()))?;
        }
        if let Some(most) = files_max() {
            gauge(&mut encoder, "process_max", "Most open files", plain("fds"), most)?;
        }
        Ok(())
    }
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Unit,
    value: f64,
) -> Result<(), std::fmt::Error> {
    let gauge = ConstGauge::new(value);
    let kind = prometheus_client::metrics::MetricType::Gauge;
    gauge.encode(encoder.encode_descriptor(name, help, Some(&unit), kind)?)
}

/// What /proc/self/stat says.
struct Stat {
    cpu_seconds: f64,
    started: f64,
}

impl Stat {
    fn read() -> Option<Self> {
        let text = fs::read_to_string("/proc/self/stat").ok()?;
        // The name of the program may contain anything; its closing parenthesis is the last.
        let (_, fields) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let ticks = |at: usize| fields.get(at)?.parse::<u32>().ok().map(f64::from);
        let per_second = as_f64(usize::try_from(rustix::param::clock_ticks_per_second()).ok()?);
        let started = fields.get(START_TIME)?.parse::<usize>().ok().map(as_f64)?;
        Some(Self {
            cpu_seconds: (ticks(USER_TIME)? + ticks(SYSTEM_TIME)?) / per_second,
            started: booted()? + started / per_second,
        })
    }
}

/// Returns when the machine was started, in seconds since 1970.
fn booted() -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

/// Returns the bytes that are mapped, and those that are in memory.
fn memory() -> Option<(f64, f64)> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = text.split(' ').map_while(|pages| pages.parse::<usize>().ok());
    let page = rustix::param::page_size();
    let mut bytes = || Some(as_f64(pages.next()? * page));
    Some((bytes()?, bytes()?))
}

/// Returns how many files may be open.
fn files_max() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Counts of this size are exact in a float.
#[expect(clippy::cast_precision_loss, reason = "Prometheus knows only floats")]
fn as_f64(count: usize) -> f64 {
    count as f64
}

/// Fields of /proc/self/stat, counted from the one after the program's name.
const USER_TIME: usize = 11;
const SYSTEM_TIME: usize = 12;
const START_TIME: usize = 19;
