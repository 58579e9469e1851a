//! What people have forced, and who holds a commit back.

use votum_machine::WallTime;
use votum_wire::{CaseName, ForcedKind, ForcedView, JobView};

use super::{
    amount,
    paint::{Paint, Tone},
    table::{Table, cell},
};

/// Says which participants stand otherwise than the decision says.
pub(crate) fn mixed(view: &JobView) -> String {
    let words: Vec<String> = view.mixed().map(words).collect();
    words.join("; ")
}

/// Returns everything that was forced, one line each; nothing if nothing was.
pub(crate) fn table(view: &JobView, now: WallTime, paint: Paint) -> String {
    if view.forced.is_empty() {
        return String::new();
    }
    let mut table = Table::new(["FORCED", "WORKER", "BY", "WHEN", "WHY", "SINCE THEN"]);
    for forced in &view.forced {
        let tone = if forced.is_mixed() { Tone::Bad } else { Tone::Soft };
        table.row([
            cell(kind(forced.kind)),
            cell(forced.worker.as_str()),
            cell(&*forced.by),
            cell(format!("{} ago", amount::age(now.since(forced.at)))),
            cell(&*forced.reason),
            cell(since_then(forced)).tone(tone),
        ]);
    }
    format!("\n{}", table.text(paint))
}

/// Returns the cases of lost participants as commands that show them.
pub(crate) fn cases(view: &JobView) -> impl Iterator<Item = String> {
    let held_back = view.held_back.iter();
    held_back.map(|worker| {
        format!("votum case show {}", CaseName::worker(view.job.clone(), worker.clone()))
    })
}

fn kind(kind: ForcedKind) -> &'static str {
    match kind {
        ForcedKind::GivenUp => "given up",
        ForcedKind::Committed => "commit",
        ForcedKind::Aborted => "abort",
    }
}

fn words(forced: &ForcedView) -> String {
    match forced.kind {
        ForcedKind::GivenUp => {
            format!(
                "the outputs of {} are not published, it was given up by {}",
                forced.worker, forced.by
            )
        }
        ForcedKind::Committed => {
            let ForcedView { worker, by, .. } = forced;
            format!("{worker} was made to publish by {by}, which was not decided")
        }
        ForcedKind::Aborted => {
            let ForcedView { worker, by, .. } = forced;
            format!("the outputs of {worker} are not published, an abort was forced there by {by}")
        }
    }
}

fn since_then(forced: &ForcedView) -> String {
    match (forced.healed, forced.removed) {
        (Some(at), _) => format!("healed {}", amount::time(at)),
        (None, _) if !forced.contradicts => "agrees with the decision".to_owned(),
        (None, Some(at)) => format!("MIXED for good: removed {}", amount::time(at)),
        (None, None) => match forced.kind {
            ForcedKind::GivenUp => "MIXED until it comes back".to_owned(),
            ForcedKind::Committed | ForcedKind::Aborted => "MIXED for good".to_owned(),
        },
    }
}
