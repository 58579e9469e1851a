//! What cannot be read of a job, what that means, and what a person can do about it.

use std::iter;

use votum_commit::Decision;
use votum_wire::{
    CaseName,
    view::{JobView, QuarantineView, RecordDamage},
};

use super::amount;

/// Returns the lines about damaged records, here and on workers, each with its label.
pub(crate) fn lines(view: &JobView) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(quarantine) = &view.quarantine {
        let of = quarantine.records;
        lines.extend(quarantine.damages.iter().map(|damage| ("Damage", damaged(damage, of))));
        lines.push(("Last read", last_read(quarantine)));
        let holders = quarantine.holders.iter();
        let holders = holders.map(|holder| format!("{} {}", holder.worker, holder.holding));
        lines.extend(labelled("Held by", holders.collect()));
        lines.extend(labelled("Means", meaning(view, quarantine)));
        lines.extend(labelled("Do", to_do(view, quarantine)));
    }
    for damage in &view.worker_damages {
        let keeps = "it keeps what it has of the job, runs nothing of it and votes NO";
        lines.push(("On worker", format!("{}: {}; {keeps}", damage.worker, damage.problem)));
    }
    lines
}

/// Returns the commands that help to look further.
pub(crate) fn commands(view: &JobView) -> Vec<(&'static str, String)> {
    let mut commands = Vec::new();
    if view.tasks.iter().any(|task| !task.attempts.is_empty()) {
        commands.push(("logs:", format!("votum logs {}", view.job)));
    }
    commands.push(("case:", format!("votum case show {}", CaseName::log(view.job.clone()))));
    commands.push(("others:", "votum list --state quarantined".to_owned()));
    commands
}

fn damaged(damage: &RecordDamage, of: u64) -> String {
    let RecordDamage { number, lsn, version, kind, forced, problem } = damage;
    let kind =
        kind.as_ref().map_or_else(|| "of unknown kind".to_owned(), |kind| format!("{kind:?}"));
    let urgency = if *forced { "forced" } else { "lazy" };
    format!(
        "record {number} of {of} ({kind}, {urgency}, version {version}, number {lsn} of the log): {problem}"
    )
}

fn last_read(quarantine: &QuarantineView) -> String {
    match (quarantine.last_state, quarantine.last_recorded) {
        (Some(state), Some(at)) => {
            format!("{} at {}, at the record before", state.word(), amount::time(at))
        }
        (_, _) => "nothing before it: what was submitted, and by whom, cannot be read".to_owned(),
    }
}

/// Says what follows from the damage for the job and for those who wait for it.
fn meaning(view: &JobView, quarantine: &QuarantineView) -> Vec<String> {
    if view.decision == Some(Decision::Commit) {
        return vec![
            "the decision to commit can be read: it stands, and is delivered to whom it names"
                .to_owned(),
            "its workers keep what they have of it; nothing is released".to_owned(),
        ];
    }
    let mut lines =
        vec!["workers that ask about it are told to ask again, never COMMIT or ABORT".to_owned()];
    if view.decision == Some(Decision::Abort) {
        lines.push("its abort can be read, but what is staged stays where it is".to_owned());
    } else if quarantine.damages.iter().any(|damage| damage.forced) {
        lines.push("a damaged record was forced: it may be the decision".to_owned());
    } else {
        lines.push("no damaged record was forced: none of them is the decision".to_owned());
    }
    lines.push("what is staged stays where it is, invisible; what runs is left alone".to_owned());
    lines
}

/// Says what a person can do.
fn to_do(view: &JobView, quarantine: &QuarantineView) -> Vec<String> {
    let mut lines = vec!["copy the coordinator's data directory before anything else".to_owned()];
    if quarantine.damages.iter().any(|damage| damage.problem.contains("format version")) {
        lines.push("start the version of the coordinator that wrote the record".to_owned());
    } else {
        lines.push("report it with that copy: a record was written that cannot be read".to_owned());
    }
    if view.decision != Some(Decision::Commit) {
        lines.push("submit the job again if its results are wanted; the id stays taken".to_owned());
    }
    lines
}

/// Labels the first line of several.
fn labelled<T>(label: &'static str, lines: Vec<T>) -> impl Iterator<Item = (&'static str, T)> {
    iter::once(label).chain(iter::repeat("")).zip(lines)
}
