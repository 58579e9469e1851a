//! A job's history, one line each.

use votum_wire::history::EventView;

use super::{
    amount,
    paint::Tone,
    table::{Table, cell},
};

/// Returns the events, oldest first; a wide one tells the day of each and who asked for it.
pub(crate) fn table(events: &[EventView], headed: bool, wide: bool) -> Table {
    if wide {
        return wide_table(events, headed);
    }
    let mut table = if headed && !events.is_empty() {
        Table::new(["EVENT", "TIME", "KIND", "SYNC", "WHAT"])
    } else {
        Table::bare()
    };
    for event in events {
        let time = amount::time(event.at);
        let time = time.split(' ').next_back().unwrap_or_default().to_owned();
        let by = if event.by.is_empty() { String::new() } else { format!(", by {}", event.by) };
        let what = match about(event).as_str() {
            "job" => format!("{}{by}", event.text),
            about => format!("{about}: {}{by}", event.text),
        };
        table.row([
            cell(event.id.to_string()).right(),
            cell(time).tone(Tone::Soft),
            cell(&*event.kind).tone(tone(&event.kind)),
            cell(sync(event)),
            cell(what),
        ]);
    }
    table
}

fn wide_table(events: &[EventView], headed: bool) -> Table {
    let mut table = if headed && !events.is_empty() {
        Table::new(["EVENT", "TIME", "KIND", "SYNC", "ABOUT", "BY", "WHAT"])
    } else {
        Table::bare()
    };
    for event in events {
        table.row([
            cell(event.id.to_string()).right(),
            cell(amount::time(event.at)),
            cell(&*event.kind).tone(tone(&event.kind)),
            cell(sync(event)),
            cell(about(event)),
            cell(if event.by.is_empty() { "-" } else { &event.by }),
            cell(&*event.text),
        ]);
    }
    table
}

fn sync(event: &EventView) -> &'static str {
    if event.forced { "forced" } else { "-" }
}

fn about(event: &EventView) -> String {
    match (&event.task, event.attempt, &event.worker) {
        (Some(task), Some(number), _) => format!("{task}/{number}"),
        (Some(task), None, _) => task.to_string(),
        (None, _, Some(worker)) => worker.to_string(),
        (None, _, None) => "job".to_owned(),
    }
}

fn tone(kind: &str) -> Tone {
    match kind {
        "commit_decided" | "closed" => Tone::Good,
        "aborting" | "failed" | "worker_lost" | "unreadable" | "given_up" => Tone::Bad,
        "paused" | "approval_asked" => Tone::Odd,
        _other => Tone::Plain,
    }
}
