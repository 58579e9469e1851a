//! Log lines for programs: one JSON object each, with keys that do not change.
//!
//! Every line has `timestamp`, `level`, `target` and `message`; whatever else an
//! event tells is a key of its own beside them. Who names an attempt, a
//! checkpoint or a round names its job and its task with that, so both are told
//! as keys as well.

use std::{
    collections::BTreeMap,
    fmt::{self, Debug, Write as _},
    panic::PanicHookInfo,
};

use serde_json::Value;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// Writes events as JSON.
#[derive(Debug, Clone, Default)]
pub struct JsonLines {
    always: BTreeMap<&'static str, Value>,
}

impl JsonLines {
    /// Tells the same of every line that does not tell it itself, such as whose log it is.
    #[must_use]
    pub fn always(mut self, key: &'static str, value: String) -> Self {
        self.always.insert(key, Value::String(value));
        self
    }
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut told = Told::default();
        event.record(&mut told);
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let metadata = event.metadata();
        let message = told.0.remove("message").unwrap_or_else(|| Value::String(String::new()));
        told.name_job();
        for (key, value) in &self.always {
            told.0.entry(key).or_insert_with(|| value.clone());
        }
        let head = [
            ("timestamp", Value::String(timestamp)),
            ("level", Value::String(metadata.level().to_string())),
            ("target", Value::String(metadata.target().to_owned())),
            ("message", message),
        ];
        for (number, (key, value)) in head.into_iter().chain(told.0).enumerate() {
            let before = if number == 0 { '{' } else { ',' };
            // Of a value and a text `Display` writes JSON.
            write!(writer, "{before}{}:{value}", Value::String(key.to_owned()))?;
        }
        writeln!(writer, "}}")
    }
}

/// What an event tells, by key.
#[derive(Debug, Default)]
struct Told(BTreeMap<&'static str, Value>);

impl Told {
    /// Notes a value; a key that every line has cannot be taken by another.
    fn note(&mut self, field: &Field, value: Value) {
        let key = match field.name() {
            "timestamp" => "event_timestamp",
            "level" => "event_level",
            "target" => "event_target",
            name => name,
        };
        self.0.insert(key, value);
    }

    /// Tells the job and the task of the attempt, checkpoint or round that an event names.
    fn name_job(&mut self) {
        let named = |key: &str| self.0.get(key).and_then(Value::as_str);
        let attempt = named("attempt").or_else(|| named("checkpoint"));
        let of_attempt = attempt.and_then(|attempt| {
            let (job, rest) = attempt.split_once('/')?;
            let (task, _token) = rest.split_once('#')?;
            Some((job.to_owned(), Some(task.to_owned())))
        });
        let of_round =
            named("txn").and_then(|txn| Some((txn.rsplit_once(':')?.0.to_owned(), None)));
        let Some((job, task)) = of_attempt.or(of_round) else { return };
        self.0.entry("job").or_insert(Value::String(job));
        if let Some(task) = task {
            self.0.entry("task").or_insert(Value::String(task));
        }
    }
}

impl Visit for Told {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.note(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.note(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.note(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.note(field, Value::from(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let mut text = Bounded::default();
        text.add(value);
        self.note(field, Value::String(text.0));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = Bounded::default();
        // A text that is full takes no more, which ends the writing.
        let _ = write!(text, "{value:?}");
        self.note(field, Value::String(text.0));
    }
}

/// A text that ends with an ellipsis once it is full.
#[derive(Debug, Default)]
struct Bounded(String);

impl Bounded {
    /// Adds what fits; says whether that is everything.
    fn add(&mut self, text: &str) -> bool {
        let room = VALUE_BYTES_MAX.saturating_sub(self.0.len());
        if text.len() <= room {
            self.0.push_str(text);
            return true;
        }
        self.0.push_str(&text[..text.floor_char_boundary(room)]);
        self.0.push('…');
        false
    }
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.add(text) { Ok(()) } else { Err(fmt::Error) }
    }
}

/// Writes a panic as a line like every other, and not over many lines.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let words = panic.payload_as_str().unwrap_or("of an unknown kind");
        tracing::error!(place, panic = words, "panicked");
    }));
}

/// No value of a line is longer: at the level `debug` records are told whole.
const VALUE_BYTES_MAX: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing::subscriber::with_default;

    use super::*;

    #[test]
    fn a_line_is_one_object_with_its_keys_in_order() {
        let lines = written(|| {
            tracing::warn!(job = %"sales-1", count = 3, whole = true, "two\n\"lines\"");
        });
        assert!(lines.starts_with("{\"timestamp\":\"2"), "{lines}");
        assert_eq!(lines.matches('\n').count(), 1, "{lines}");
        let line = parsed(&lines);
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["target"], "votum_metrics::lines::tests");
        assert_eq!(line["message"], "two\n\"lines\"");
        assert_eq!((&line["job"], &line["count"]), (&"sales-1".into(), &3.into()));
        assert_eq!((&line["whole"], &line["worker"]), (&true.into(), &"s1".into()));
    }

    #[test]
    fn an_attempt_names_its_job_and_task() {
        let line = parsed(&written(|| tracing::info!(attempt = %"sales-1/load#3.7", "running")));
        assert_eq!((&line["job"], &line["task"]), (&"sales-1".into(), &"load".into()));
        let line = parsed(&written(|| tracing::info!(checkpoint = %"sales-1/load#3.7@2", "kept")));
        assert_eq!((&line["job"], &line["task"]), (&"sales-1".into(), &"load".into()));
        let line = parsed(&written(|| tracing::info!(txn = %"sales-1:3.7", "in doubt")));
        assert_eq!((&line["job"], &line["task"]), (&"sales-1".into(), &Value::Null));
    }

    #[test]
    fn no_field_takes_a_key_that_every_line_has() {
        let line = parsed(&written(|| tracing::info!(level = 3, target = "there", "looks")));
        assert_eq!((&line["level"], &line["event_level"]), (&"INFO".into(), &3.into()));
        assert_eq!(line["event_target"], "there");
    }

    #[test]
    fn a_long_value_is_cut_between_two_characters() {
        let long = "é".repeat(VALUE_BYTES_MAX);
        let lines = written(|| tracing::info!(%long, "much"));
        assert!(lines.len() < VALUE_BYTES_MAX + 300, "{}", lines.len());
        assert!(parsed(&lines)["long"].as_str().unwrap().ends_with("é…"));
    }

    fn written(log: impl FnOnce()) -> String {
        let page = Page::default();
        let kept = page.clone();
        let lines = JsonLines::default().always("worker", "s1".to_owned());
        let subscriber = tracing_subscriber::fmt()
            .event_format(lines)
            .with_writer(move || page.clone())
            .finish();
        with_default(subscriber, log);
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn parsed(line: &str) -> Value {
        serde_json::from_str(line).unwrap()
    }

    #[derive(Debug, Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
