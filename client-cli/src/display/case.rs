//! What only a person can decide: all of it in a list, one of it on a screen.

use std::fmt::Write as _;

use votum_machine::WallTime;
use votum_wire::{CaseAction, CaseName, CaseView, Subject};

use super::{
    amount,
    paint::{Paint, Tone},
    table::{Table, cell},
};

/// Returns the list of cases.
pub(crate) fn list(cases: &[CaseView], now: WallTime) -> Table {
    let mut table = Table::new(["CASE", "KIND", "REASON", "SINCE", "WHAT HAPPENED"]);
    for case in cases {
        table.row([
            cell(case.name.to_string()),
            cell(case.kind.word()),
            cell(&*case.reason).tone(Tone::Bad),
            cell(amount::age(now.since(case.since))).right(),
            cell(case.message.lines().next().unwrap_or_default()),
        ]);
    }
    table
}

/// Returns everything that is known about a case, and what may be done.
pub(crate) fn screen(case: &CaseView, now: WallTime, paint: Paint) -> String {
    let mut out = String::new();
    let mut line = |label: &str, text: String| {
        // Writing into a String cannot fail.
        let _ = writeln!(out, "{} {text}", paint.text(Tone::Soft, &format!("{label:<9}")));
    };
    let name = case.name.to_string();
    line("Case", format!("{}  ({})", paint.text(Tone::Strong, &name), case.kind.word()));
    let reason = paint.text(Tone::Bad, &case.reason);
    line("Reason", format!("{reason}  {}", reason_words(&case.reason)).trim_end().to_owned());
    let age = amount::age(now.since(case.since));
    line("Since", format!("{}, {age} ago", amount::time(case.since)));
    line("Last", case.message.clone());
    if !case.evidence.is_empty() {
        let mut table = Table::new(["RECORDED", "WHAT THE LOG KNOWS"]);
        for piece in &case.evidence {
            table.row([cell(amount::time(piece.at)), cell(&*piece.text)]);
        }
        out.push('\n');
        out.push_str(&table.text(paint));
    }
    out.push('\n');
    out.push_str(&actions(case).indented(2).text(paint));
    out
}

/// Returns the legal actions as commands.
fn actions(case: &CaseView) -> Table {
    let mut table = Table::bare();
    let CaseName { job, subject } = &case.name;
    for action in &case.actions {
        let resolve = format!("votum case resolve {} {} --reason TEXT", case.name, action.word());
        let (label, command) = match (action, subject, job) {
            (CaseAction::Retry, ..) => ("try again:", resolve),
            (CaseAction::Done, ..) => ("it is done:", resolve),
            (CaseAction::GiveUp, Subject::Worker(worker), Some(job)) => (
                "end without it:",
                format!("votum txn force {job} --worker {worker} --reason TEXT --confirm {job}"),
            ),
            (CaseAction::GiveUp, ..) => ("leave it undone:", resolve),
            (CaseAction::Commit, ..) => ("it has committed:", resolve),
            (CaseAction::Abort, ..) => ("abort it:", resolve),
            (CaseAction::Resume, ..) => ("let it go on:", resolve),
            (CaseAction::Trust, ..) => ("trust the log:", resolve),
        };
        table.row([cell(label).tone(Tone::Soft), cell(command)]);
    }
    if case.actions.is_empty() {
        table.row([cell("nothing is allowed as things stand; \"Last\" says why"), cell("")]);
    }
    let (label, show) = match job {
        None => ("other cases:", "votum case list".to_owned()),
        Some(job) => ("the job:", format!("votum show {job}")),
    };
    table.row([cell(label).tone(Tone::Soft), cell(show)]);
    table
}

/// Explains the reason of a case, if it is known here.
fn reason_words(reason: &str) -> &'static str {
    match reason {
        "RETRIES_EXHAUSTED" => "every try of its budget failed",
        "REFUSED" => "it failed in a way that another try would not mend",
        "OUTCOME_UNKNOWN" => "nobody can say whether a try took effect",
        "LOST_PARTICIPANT" => "it is the only one that can publish what it has promised",
        "QUARANTINED" => "what cannot be read may be its decision",
        "LOG_STALE" => "what the log lacks may be a decision",
        "NOT_IN_LOG" => "a worker has it, and the log does not know it",
        "NO_WORKER" => "no worker will ever take it",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use votum_wire::{CaseKind, EvidenceView};

    use super::*;
    use crate::display::samples::at;

    fn case() -> CaseView {
        let evidence =
            |seconds, text: &str| EvidenceView { at: at(seconds), text: text.to_owned() };
        CaseView {
            name: CaseName::hook(
                "nightly-sales-k3f9x2ab".parse().unwrap(),
                "announce".parse().unwrap(),
            ),
            kind: CaseKind::Effect,
            reason: "OUTCOME_UNKNOWN".to_owned(),
            message: "no answer within 10 s".to_owned(),
            since: at(420),
            evidence: vec![
                evidence(403, "COMMIT is durable"),
                evidence(420, "try 1 by the coordinator: no answer within 10 s"),
            ],
            actions: vec![CaseAction::Retry, CaseAction::GiveUp],
        }
    }

    #[test]
    fn a_list_of_cases_says_what_happened() {
        let shown = list(&[case()], at(1_020)).text(Paint::Off);
        assert_eq!(
            shown,
            "\
CASE                             KIND    REASON           SINCE  WHAT HAPPENED
nightly-sales-k3f9x2ab/announce  effect  OUTCOME_UNKNOWN    10m  no answer within 10 s
"
        );
    }

    #[test]
    fn a_case_shows_its_evidence_and_only_legal_actions() {
        let shown = screen(&case(), at(1_020), Paint::Off);
        assert_eq!(
            shown,
            "\
Case      nightly-sales-k3f9x2ab/announce  (effect)
Reason    OUTCOME_UNKNOWN  nobody can say whether a try took effect
Since     2026-11-21 01:07:00Z, 10m ago
Last      no answer within 10 s

RECORDED              WHAT THE LOG KNOWS
2026-11-21 01:06:43Z  COMMIT is durable
2026-11-21 01:07:00Z  try 1 by the coordinator: no answer within 10 s

  try again:        votum case resolve nightly-sales-k3f9x2ab/announce retry --reason TEXT
  leave it undone:  votum case resolve nightly-sales-k3f9x2ab/announce give-up --reason TEXT
  the job:          votum show nightly-sales-k3f9x2ab
"
        );
    }
}
