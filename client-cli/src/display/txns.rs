//! Open transactions, and who is in doubt.

use votum_machine::WallTime;
use votum_wire::txn::{TxnParticipantView, TxnStage, TxnView};

use super::{
    amount,
    job::vote_word,
    paint::{Paint, Tone},
    table::{Table, cell},
};

/// Returns the list of transactions.
pub(crate) fn list(txns: &[TxnView], now: WallTime) -> Table {
    let mut table = Table::new(["JOB", "STAGE", "SINCE", "ROUND", "IN DOUBT", "VOTES"]);
    for txn in txns {
        let doubting = txn.participants.iter().filter(|one| one.in_doubt);
        let names: Vec<&str> = doubting.map(|one| one.participant.worker.as_str()).collect();
        let votes: Vec<String> = txn.participants.iter().map(vote).collect();
        table.row([
            cell(txn.job.as_str()),
            cell(txn.stage.word()),
            cell(format!("{} ago", amount::age(now.since(txn.since)))),
            cell(round(txn)),
            cell(if names.is_empty() { "-".to_owned() } else { names.join(", ") }),
            cell(if votes.is_empty() { "-".to_owned() } else { votes.join("   ") }),
        ]);
    }
    table
}

/// Returns everything known about a transaction.
pub(crate) fn screen(txn: &TxnView, now: WallTime, paint: Paint) -> String {
    let mut head = Table::bare();
    let mut line = |label: &str, text: String| {
        head.row([cell(label).tone(Tone::Soft), cell(text)]);
    };
    line("Job", txn.job.to_string());
    line("Stage", format!("{}  {}", txn.stage.word(), stage_words(txn)));
    let age = amount::age(now.since(txn.since));
    line("Since", format!("{} ({age} ago)", amount::time(txn.since)));
    line("Round", round(txn));
    if txn.participants.is_empty() {
        return head.text(paint);
    }
    let ago = |at: Option<WallTime>| {
        at.map_or_else(|| "-".to_owned(), |at| format!("{} ago", amount::age(now.since(at))))
    };
    let mut table =
        Table::new(["WORKER", "STATE", "SEEN", "VOTE", "VOTED", "COMMIT", "ACKNOWLEDGED", "UID"]);
    for one in &txn.participants {
        let participant = &one.participant;
        let acknowledged = match (participant.acknowledged, one.acknowledged) {
            (true, None) => "yes".to_owned(),
            (true, at) => ago(at),
            (false, _) if one.in_doubt => "IN DOUBT".to_owned(),
            // It has promised, knows the decision, and will never do what was decided.
            (false, _) if is_forced(txn, one) => "FORCED ABORT".to_owned(),
            (false, _) => "-".to_owned(),
        };
        table.row([
            cell(participant.worker.as_str()),
            cell(one.worker_state.map_or("UNKNOWN", |state| state.word())),
            cell(ago(one.last_seen)),
            cell(vote_word(participant.vote.as_ref())),
            cell(ago(one.voted)),
            cell(sent(one, now)),
            cell(acknowledged).tone(if one.in_doubt || is_forced(txn, one) {
                Tone::Bad
            } else {
                Tone::Plain
            }),
            cell(one.uid.to_string()).tone(Tone::Soft),
        ]);
    }
    format!("{}\n{}", head.text(paint), table.text(paint))
}

/// Says whether somebody was forced to abort what is committed.
fn is_forced(txn: &TxnView, one: &TxnParticipantView) -> bool {
    let decided = matches!(txn.stage, TxnStage::Committing | TxnStage::Owing);
    decided && !one.in_doubt && !one.participant.acknowledged
}

fn vote(one: &TxnParticipantView) -> String {
    let acknowledged = if one.participant.acknowledged { " (done)" } else { "" };
    let vote = vote_word(one.participant.vote.as_ref());
    format!("{} {vote}{acknowledged}", one.participant.worker)
}

fn round(txn: &TxnView) -> String {
    txn.txn.as_ref().map_or_else(|| "-".to_owned(), |txn| format!("{}.{}", txn.epoch, txn.counter))
}

fn sent(one: &TxnParticipantView, now: WallTime) -> String {
    match (one.commits_sent, one.commit_sent) {
        (0, _) | (_, None) => "-".to_owned(),
        (1, Some(at)) => format!("sent {} ago", amount::age(now.since(at))),
        (count, Some(at)) => {
            format!("sent {count} times, last {} ago", amount::age(now.since(at)))
        }
    }
}

fn stage_words(txn: &TxnView) -> String {
    let names = |wanted: fn(&TxnParticipantView) -> bool| {
        let named = txn.participants.iter().filter(|one| wanted(one));
        named.map(|one| one.participant.worker.as_str()).collect::<Vec<_>>().join(", ")
    };
    match txn.stage {
        TxnStage::Preparing => {
            let silent = names(|one| one.participant.vote.is_none());
            if silent.is_empty() {
                "nothing is decided".to_owned()
            } else {
                format!("nothing is decided; the vote of {silent} is missing")
            }
        }
        TxnStage::Committing => {
            format!("COMMIT is decided; {} has not acknowledged it", names(|one| one.in_doubt))
        }
        TxnStage::Owing => {
            let names = names(|one| one.in_doubt);
            format!("COMMIT was decided; {names} was given up, and is told when it comes back")
        }
        TxnStage::Aborting => {
            "ABORT is decided; nobody acknowledges it, whoever missed it asks".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use votum_commit::Vote;
    use votum_ids::WorkerUid;
    use votum_wire::{ParticipantView, WorkerState};

    fn committing() -> TxnView {
        let participant = |name: &str, acknowledged| TxnParticipantView {
            participant: ParticipantView {
                worker: name.parse().unwrap(),
                vote: Some(Vote::Yes),
                acknowledged,
            },
            uid: WorkerUid(uuid::Uuid::nil()),
            in_doubt: !acknowledged,
            voted: Some(WallTime(1_000)),
            acknowledged: acknowledged.then_some(WallTime(2_000)),
            commits_sent: if acknowledged { 1 } else { 3 },
            commit_sent: Some(WallTime(2_000)),
            worker_state: Some(if acknowledged { WorkerState::Ready } else { WorkerState::Lost }),
            last_seen: Some(WallTime(2_000)),
        };
        TxnView {
            job: "sales-7".parse().unwrap(),
            txn: Some("sales-7:3.1".parse().unwrap()),
            stage: TxnStage::Committing,
            since: WallTime(2_000),
            participants: vec![participant("s1", true), participant("s3", false)],
        }
    }

    #[test]
    fn the_list_names_who_is_in_doubt() {
        let shown = list(&[committing()], WallTime(62_000)).text(Paint::Off);
        assert_eq!(
            shown,
            "JOB      STAGE       SINCE   ROUND  IN DOUBT  VOTES\n\
             sales-7  COMMITTING  1m ago  3.1    s3        s1 yes (done)   s3 yes\n"
        );
    }

    #[test]
    fn every_participant_has_a_line_of_its_own() {
        let shown = screen(&committing(), WallTime(62_000), Paint::Off);
        assert!(shown.contains("COMMIT is decided; s3 has not acknowledged it"), "{shown}");
        let line = shown.lines().find(|line| line.starts_with("s3")).unwrap();
        for words in ["LOST", "1m ago", "yes", "sent 3 times, last 1m ago", "IN DOUBT"] {
            assert!(line.contains(words), "{line}");
        }
    }
}
