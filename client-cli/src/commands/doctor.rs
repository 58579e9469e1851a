//! `votum doctor`: what keeps a cluster from working, or soon may.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use serde_json::json;
use votum_client::Client;
use votum_wire::{ClusterView, IndexState, WorkerState, WorkerView};

use crate::{
    args::Format,
    context::{Context, Patience},
    display::{
        amount,
        paint::Tone,
        table::{Table, cell},
    },
    exit::Exit,
    fault::{Fault, Outcome},
    screen,
};

/// Check the connection, versions, clocks, workers, and what waits for a person.
///
/// Every line says what was looked at and what was found: ok, look (it works, but somebody should
/// look) or bad. Exit 0 if nothing is bad, 1 if something is, 7 if the coordinator cannot be
/// reached.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  votum doctor\n  votum doctor --disk /var/lib/votum     # how long a sync takes there\n  votum doctor --json"
)]
pub(crate) struct DoctorArgs {
    /// Also write and sync a few small files in this directory of this machine, as a journal would.
    #[arg(long, value_name = "DIR")]
    disk: Option<PathBuf>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grade {
    Ok,
    Look,
    Bad,
}

impl Grade {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Look => "look",
            Self::Bad => "bad",
        }
    }
}

/// What was looked at, and what was found.
struct Finding {
    what: &'static str,
    grade: Grade,
    found: String,
}

/// Looks at everything and tells it.
pub(crate) async fn run(args: &DoctorArgs, context: &Context) -> Outcome {
    let mut findings = Vec::new();
    let mut add = |what, grade, found: String| findings.push(Finding { what, grade, found });
    let client = context.client(Patience::Short)?;
    let before = screen::now();
    let cluster = client.cluster().await;
    let took = screen::now().since(before);
    let reached = match cluster {
        Ok(view) => {
            let took = amount::duration(took.max(Duration::from_millis(1)));
            let address = context.global.address();
            add("coordinator", Grade::Ok, format!("{address} answered in {took}"));
            of_cluster(&view, &mut add);
            of_workers(&client.workers().await?, &mut add);
            of_people(&client, &mut add).await?;
            true
        }
        Err(error) => {
            add("coordinator", Grade::Bad, Fault::from(error).to_string());
            false
        }
    };
    if let Some(dir) = &args.disk {
        match synced(dir) {
            Ok(times) => of_disk(dir, &times, &mut add),
            Err(error) => add("disk", Grade::Bad, format!("{}: {error}", dir.display())),
        }
    }
    print(&findings, context)?;
    let bad = findings.iter().any(|finding| finding.grade == Grade::Bad);
    Ok(match (reached, bad) {
        (false, _) => Exit::Unreachable,
        (true, true) => Exit::Failure,
        (true, false) => Exit::Done,
    })
}

fn of_cluster(view: &ClusterView, add: &mut impl FnMut(&'static str, Grade, String)) {
    let own = env!("CARGO_PKG_VERSION");
    let same = view.version == own;
    let grade = if same { Grade::Ok } else { Grade::Look };
    add("versions", grade, format!("coordinator {}, this program {own}", view.version));
    let up = amount::duration(screen::now().since(view.started));
    add("uptime", Grade::Ok, format!("{up}, epoch {}", view.epoch));
    if view.log_stale {
        let words = "a worker knows a newer log than the coordinator's: nothing is admitted";
        add("log", Grade::Bad, words.to_owned());
    }
    let index = match view.index {
        IndexState::Current | IndexState::CaughtUp => Grade::Ok,
        IndexState::Rebuilt => Grade::Look,
    };
    add("index", index, view.index.word().to_lowercase());
    for stream in &view.quarantined {
        add("journal", Grade::Bad, format!("{}: {}", stream.stream, stream.problem));
    }
    if view.mixed > 0 {
        add("mixed", Grade::Bad, format!("{} MIXED", amount::count(view.mixed, "job")));
    }
}

fn of_workers(workers: &[WorkerView], add: &mut impl FnMut(&'static str, Grade, String)) {
    let ready = workers.iter().filter(|view| view.state == WorkerState::Ready).count();
    let (grade, words) = match (workers.len(), ready) {
        (0, _) => (Grade::Bad, "none has ever connected".to_owned()),
        (all, 0) => (Grade::Bad, format!("none of {all} is ready")),
        (all, ready) if all == ready => (Grade::Ok, format!("{ready} ready")),
        (all, ready) => (Grade::Look, format!("{ready} of {all} ready")),
    };
    add("workers", grade, words);
    for view in workers {
        let name = &view.worker;
        match view.state {
            WorkerState::Ready | WorkerState::Reconciling => {}
            WorkerState::Lost => add("worker", Grade::Bad, format!("{name} is LOST")),
            WorkerState::Suspect
            | WorkerState::Absent
            | WorkerState::Draining
            | WorkerState::Drained => {
                add("worker", Grade::Look, format!("{name} is {}", view.state.word()));
            }
        }
        if view.publish_roots.is_empty() {
            add("worker", Grade::Look, format!("{name} has no publish root: it publishes nothing"));
        }
        if view.free_bytes.is_some_and(|free| free < FREE_LEAST) {
            let free = amount::size(view.free_bytes.unwrap_or_default());
            add("worker", Grade::Look, format!("{name} has only {free} left for staging"));
        }
        for damage in &view.damages {
            let words =
                format!("{name} cannot read its records of {}: {}", damage.job, damage.problem);
            add("worker", Grade::Bad, words);
        }
    }
    // Heartbeats are stamped by the coordinator's clock, and come every few seconds.
    let heard = workers.iter().filter(|view| view.state == WorkerState::Ready);
    if let Some(latest) = heard.filter_map(|view| view.last_seen).max() {
        let now = screen::now();
        let (ahead, behind) = (now.since(latest), latest.since(now));
        let (grade, words) = if behind > SKEW_MAX {
            (Grade::Look, format!("this machine's is {} behind", amount::duration(behind)))
        } else if ahead > HEARD_WITHIN + SKEW_MAX {
            (Grade::Look, format!("this machine's may be {} ahead", amount::duration(ahead)))
        } else {
            (Grade::Ok, "coordinator and this machine agree within seconds".to_owned())
        };
        add("clocks", grade, words);
    }
}

async fn of_people(
    client: &Client,
    add: &mut impl FnMut(&'static str, Grade, String),
) -> Result<(), Fault> {
    let doubts = client.txns(true).await?;
    match doubts.len() as u64 {
        0 => add("in doubt", Grade::Ok, "nobody".to_owned()),
        count => {
            let words = amount::count(count, "transaction");
            add("in doubt", Grade::Look, format!("{words}:  votum txn list --in-doubt"));
        }
    }
    let cases = client.case_page(CASES_MAX, None).await?;
    match cases.cases.len() as u64 {
        0 => add("cases", Grade::Ok, "nothing waits for a person".to_owned()),
        count => add("cases", Grade::Look, format!("{count} open:  votum case list")),
    }
    Ok(())
}

fn of_disk(dir: &Path, times: &[Duration], add: &mut impl FnMut(&'static str, Grade, String)) {
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let worst = times.last().copied().unwrap_or_default();
    let grade = if median > SYNC_MAX { Grade::Look } else { Grade::Ok };
    let words = format!(
        "a write and sync in {} takes {} (median of {}), {} at worst",
        dir.display(),
        millis(median),
        times.len(),
        millis(worst)
    );
    add("disk", grade, words);
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// Writes and syncs a small file a few times; returns how long each took, sorted.
fn synced(dir: &Path) -> Result<Vec<Duration>, Fault> {
    let path = dir.join(format!(".votum-doctor.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    let mut times = Vec::new();
    for _ in 0..SYNCS {
        let before = jiff::Timestamp::now();
        let written = file.write_all(&[7; SYNCED_BYTES]).and_then(|()| file.sync_data());
        if let Err(error) = written {
            let _ = fs::remove_file(&path);
            return Err(error.into());
        }
        let took = jiff::Timestamp::now().duration_since(before);
        times.push(Duration::try_from(took).unwrap_or_default());
    }
    fs::remove_file(&path)?;
    times.sort_unstable();
    Ok(times)
}

fn print(findings: &[Finding], context: &Context) -> Result<(), Fault> {
    let screen = &context.screen;
    let text = match screen.format {
        Format::Json => {
            let checks: Vec<_> = findings
                .iter()
                .map(|f| json!({ "check": f.what, "grade": f.grade.word(), "found": f.found }))
                .collect();
            screen.document(&json!({ "checks": checks }).to_string())
        }
        Format::Name => findings
            .iter()
            .filter(|finding| finding.grade != Grade::Ok)
            .map(|finding| format!("{}\n", finding.what))
            .collect(),
        Format::Table => {
            let mut table = Table::new(["CHECK", "GRADE", "FOUND"]);
            for finding in findings {
                let tone = match finding.grade {
                    Grade::Ok => Tone::Good,
                    Grade::Look => Tone::Odd,
                    Grade::Bad => Tone::Bad,
                };
                let mut lines = finding.found.lines();
                table.row([
                    cell(finding.what),
                    cell(finding.grade.word()).tone(tone),
                    cell(lines.next().unwrap_or_default()),
                ]);
                for line in lines {
                    table.row([cell(""), cell(""), cell(line)]);
                }
            }
            table.text(screen.paint)
        }
    };
    if !text.is_empty() {
        screen.result(&text)?;
    }
    Ok(())
}

const CASES_MAX: usize = 200;
/// Below this a task of any size may fail for lack of space.
const FREE_LEAST: u64 = 1 << 30;
/// Two clocks that differ by more are worth a look.
const SKEW_MAX: Duration = Duration::from_secs(5);
/// A worker that is ready was heard within about so long.
const HEARD_WITHIN: Duration = Duration::from_secs(15);
/// A sync that takes longer makes every commit slow.
const SYNC_MAX: Duration = Duration::from_millis(50);
const SYNCS: usize = 20;
const SYNCED_BYTES: usize = 4096;
