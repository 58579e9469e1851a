//! How transcripts name what the machines say, record and report.

use std::{collections::BTreeSet, time::Duration};

use votum_commit::{
    CoordinatorAction, CoordinatorRecord, Decision, Heuristic, Installation, Knowledge, Message,
    Objection, ParticipantRecord, Participants, Reply, Stage, Standing, Vote,
};
use votum_ids::{JobId, TxnId};

pub(crate) fn round(txn: &TxnId) -> String {
    format!("{}.{}", txn.epoch, txn.counter)
}

pub(crate) fn say_message(message: &Message) -> String {
    match message {
        Message::Prepare { txn, .. } => format!("Prepare {}", round(txn)),
        Message::Commit { txn, .. } => format!("Commit {}", round(txn)),
        Message::TakeOver { txn, number, .. } => format!("TakeOver {} as {number}", round(txn)),
        Message::Replaced { txn, number, .. } => format!("Replaced {} as {number}", round(txn)),
        Message::Abort { .. } => "Abort".to_owned(),
        Message::Undecided { txn } => format!("Undecided {}", round(txn)),
        Message::RoundEnded { txn } => format!("RoundEnded {}", round(txn)),
        Message::Noted { txn } => format!("Noted {}", round(txn)),
        Message::Release { .. } => "Release".to_owned(),
    }
}

pub(crate) fn say_reply(reply: &Reply) -> String {
    match reply {
        Reply::Voted { txn, vote } => format!("{} {}", say_vote(vote), round(txn)),
        Reply::Acked { txn } => format!("Ack {}", round(txn)),
        Reply::TookOver { txn, number } => format!("TookOver {} as {number}", round(txn)),
        Reply::Declined { txn, number } => format!("Declined {} as {number}", round(txn)),
        Reply::StoodDown { txn, number } => format!("StoodDown {} as {number}", round(txn)),
        Reply::Forced(forced) => format!("Forced {}", heuristic(forced)),
        Reply::Inquired { txn, committed: false } => format!("Inquiry {}", round(txn)),
        Reply::Inquired { txn, committed: true } => format!("Inquiry {} committed", round(txn)),
    }
}

fn heuristic(forced: &Heuristic) -> String {
    let outcome = match forced.outcome {
        Decision::Commit => "commit",
        Decision::Abort => "abort",
    };
    format!("{outcome} of {} by {}", round(&forced.txn), forced.forced.by)
}

pub(crate) fn say_vote(vote: &Vote) -> String {
    match vote {
        Vote::Yes => "Yes".to_owned(),
        Vote::ReadOnly => "ReadOnly".to_owned(),
        Vote::No(Objection::Refused) => "No (refused)".to_owned(),
        Vote::No(Objection::NotHeld) => "No (not held)".to_owned(),
        Vote::No(Objection::WrongInstallation) => "No (wrong installation)".to_owned(),
        Vote::No(Objection::Failed { reason, .. }) => format!("No ({reason})"),
    }
}

pub(crate) fn say_knowledge(knowledge: Knowledge) -> &'static str {
    match knowledge {
        Knowledge::Unknown => "unknown",
        Knowledge::InDoubt => "in doubt",
        Knowledge::Commit => "committed",
        Knowledge::Refused => "refused",
    }
}

pub(crate) fn coordinator_record(record: &CoordinatorRecord) -> String {
    match record {
        CoordinatorRecord::CommitDecided { txn, shares } => {
            let names: Vec<&str> =
                shares.iter().map(|share| share.holder.worker.as_str()).collect();
            format!("CommitDecided {} for {}", round(txn), list(&names))
        }
        CoordinatorRecord::Aborting { cause, .. } => {
            format!("Aborting ({}, by {})", cause.reason, cause.by)
        }
        CoordinatorRecord::Replaced { from, numbers, first, to, .. } => {
            let names: Vec<&str> = to.iter().map(|share| share.holder.worker.as_str()).collect();
            let (from, names) = (&from.worker, list(&names));
            format!("Replaced {from} as {numbers:?} by {names} from {first} on")
        }
        CoordinatorRecord::Ended { .. } => "Ended".to_owned(),
        CoordinatorRecord::GivenUp { txn, holder, forced } => {
            format!("GivenUp {} of {}, by {}", holder.worker, round(txn), forced.by)
        }
        CoordinatorRecord::CaughtUp { txn, holder } => {
            format!("CaughtUp {} with {}", holder.worker, round(txn))
        }
        CoordinatorRecord::Removed { txn, holder } => {
            format!("Removed {} from {}", holder.worker, round(txn))
        }
        CoordinatorRecord::Heuristic { holder, heuristic: forced } => {
            format!("Heuristic {} at {}", heuristic(forced), holder.worker)
        }
    }
}

pub(crate) fn participant_record(record: &ParticipantRecord) -> String {
    match record {
        ParticipantRecord::Prepared { txn, .. } => format!("Prepared {}", round(txn)),
        ParticipantRecord::Refused { txn } => format!("Refused {}", round(txn)),
        ParticipantRecord::RoundEnded { txn } => format!("RoundEnded {}", round(txn)),
        ParticipantRecord::Committed { txn, .. } => format!("Committed {}", round(txn)),
        ParticipantRecord::TakenOver { txn, number, .. } => {
            format!("TakenOver {} as {number}", round(txn))
        }
        ParticipantRecord::StoodDown { txn, number } => {
            format!("StoodDown {} as {number}", round(txn))
        }
        ParticipantRecord::Forced(forced) => format!("Forced {}", heuristic(forced)),
        ParticipantRecord::Aborted { .. } => "Aborted".to_owned(),
        ParticipantRecord::Released { .. } => "Released".to_owned(),
    }
}

pub(crate) fn report(action: &CoordinatorAction) -> String {
    match action {
        CoordinatorAction::Preparing { txn } => format!("Preparing {}", round(txn)),
        CoordinatorAction::ShareLost { holder, .. } => {
            format!("ShareLost by {}", holder.worker)
        }
        CoordinatorAction::Committing { txn } => format!("Committing {}", round(txn)),
        CoordinatorAction::Committed { .. } => "Committed".to_owned(),
        CoordinatorAction::Aborting { cause, .. } => format!("Aborting: {cause}"),
        CoordinatorAction::TooLate { .. } => "TooLate".to_owned(),
        CoordinatorAction::Replaced { from, .. } => format!("Replaced {}", from.worker),
        CoordinatorAction::Declined { holder, .. } => format!("Declined by {}", holder.worker),
        CoordinatorAction::Send { .. } | CoordinatorAction::Raise(_) => {
            unreachable!("messages and alarms are said in their own way")
        }
    }
}

pub(crate) fn standing(standing: Option<Standing>) -> String {
    let Some(standing) = standing else { return "knows nothing".to_owned() };
    match standing.stage {
        Stage::Working => "Working".to_owned(),
        Stage::Preparing { txn, votes } => {
            let votes: Vec<String> = votes
                .iter()
                .map(|(who, vote)| {
                    let vote = vote.as_ref().map_or("silent".to_owned(), say_vote);
                    format!("{} {vote}", who.worker)
                })
                .collect();
            format!("Preparing {}: {}", round(&txn), votes.join(", "))
        }
        Stage::Delivering { txn, unacked, given_up } => {
            let waits = format!("Delivering {}, waits for {}", round(&txn), named(&unacked));
            if given_up.is_empty() {
                waits
            } else {
                format!("{waits}, has given up {}", named(&given_up))
            }
        }
        Stage::Owing { txn, given_up } => {
            format!("Owing {} to {}", round(&txn), named(&given_up))
        }
        Stage::Aborting { cause } => format!("Aborting ({})", cause.reason),
        Stage::Quarantined => "Quarantined".to_owned(),
    }
}

pub(crate) fn part(machine: Option<&Participants>, job: &JobId) -> String {
    let Some(machine) = machine else { return "is down".to_owned() };
    let mut parts = Vec::new();
    parts.extend(machine.in_doubt().map(|txn| format!("in doubt of {}", round(txn))));
    parts.extend(machine.committed().map(|(txn, _)| format!("committed {}", round(txn))));
    parts.extend(machine.forced().map(|forced| format!("forced {}", heuristic(forced))));
    parts.extend(machine.aborted().map(|_| "aborted".to_owned()));
    parts.extend(machine.refusals().map(|txn| format!("refused {}", round(txn))));
    if !machine.jobs().any(|known| known == job) {
        "knows nothing".to_owned()
    } else if parts.is_empty() {
        "staged".to_owned()
    } else {
        parts.join(", ")
    }
}

/// Reads a time such as `30s` or `500ms`.
pub(crate) fn duration(text: &str) -> Duration {
    let number = |text: &str| text.parse().expect("a number before the unit");
    match text.strip_suffix("ms") {
        Some(millis) => Duration::from_millis(number(millis)),
        None => Duration::from_secs(number(text.strip_suffix('s').expect("s or ms"))),
    }
}

fn named(installations: &BTreeSet<Installation>) -> String {
    let names: Vec<&str> = installations.iter().map(|who| who.worker.as_str()).collect();
    list(&names)
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
}
