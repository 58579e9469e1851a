//! What a dry vote has found, in a line and as a table.

use votum_ids::JobId;
use votum_job::Finding;
use votum_machine::WallTime;
use votum_wire::{ApprovalView, DryVoteView, view::JobView};

use super::{
    amount,
    paint::{Paint, Tone},
    table::{Table, cell},
};

/// Returns what one that was just held came to.
pub(crate) fn screen(job: &JobId, came_to: &DryVoteView, now: WallTime, paint: Paint) -> String {
    let mut out = format!("dry vote of {job}: {}\n", words(came_to, now));
    if !came_to.is_clean() {
        out.push('\n');
        out.push_str(&table(came_to).text(paint));
    }
    out
}

/// Returns it in a line: `12m ago: passed, of what is staged or placed so far`.
pub(crate) fn words(came_to: &DryVoteView, now: WallTime) -> String {
    let ago = match amount::age(now.since(came_to.at)) {
        just if just == "0s" => "just now".to_owned(),
        age => format!("{age} ago"),
    };
    let outcome = match came_to.count() {
        0 => "passed".to_owned(),
        count => {
            let obstacles = came_to.findings.iter().filter(|found| found.is_obstacle()).count();
            let passes = if obstacles == 0 { ", none of which a vote would fail on" } else { "" };
            format!("{}{passes}", amount::count(count, "finding"))
        }
    };
    let part = if came_to.complete { "" } else { ", of what is staged or placed so far" };
    format!("{ago}: {outcome}{part}")
}

/// Returns the findings, one a line.
pub(crate) fn table(came_to: &DryVoteView) -> Table {
    let mut table = Table::new(["WORKER", "OUTPUT", "TARGET", "FINDING", "BECAUSE"]);
    for found in &came_to.findings {
        let Finding { worker, task, output, target, reason, message } = found;
        let output = match (task, output) {
            (Some(task), Some(output)) => format!("{task}.{output}"),
            (Some(task), None) => task.to_string(),
            (None, _) => "-".to_owned(),
        };
        let tone = if found.is_obstacle() { Tone::Bad } else { Tone::Odd };
        table.row([
            cell(worker.as_str()),
            cell(output),
            cell(target.as_deref().unwrap_or("-")),
            cell(reason.as_str()).tone(tone),
            cell(message.as_str()),
        ]);
    }
    if came_to.omitted > 0 {
        let more = format!("and {} more", came_to.omitted);
        table.row([cell(more), cell(""), cell(""), cell(""), cell("")]);
    }
    table
}

/// Says how the approval of a job stands.
pub(crate) fn approval(approval: &ApprovalView, now: WallTime) -> String {
    let ApprovalView { etag, asked, expires, given } = approval;
    match given {
        Some(given) => {
            let why =
                if given.reason.is_empty() { String::new() } else { format!(": {}", given.reason) };
            format!("given by {} at {}{why}", given.by, amount::time(given.at))
        }
        None if *expires > now => format!(
            "asked for {} ago, {} left; what is staged is {etag}",
            amount::age(now.since(*asked)),
            amount::age(expires.since(now))
        ),
        None => format!("asked for at {}, and not given", amount::time(*asked)),
    }
}

/// Returns a line for everything that changed of the approval and of the dry votes.
pub(crate) fn changes(before: Option<&JobView>, after: &JobView) -> Vec<String> {
    let mut lines = Vec::new();
    let told = before.and_then(|before| before.dry_vote.as_ref());
    if let Some(last) = &after.dry_vote
        && told.is_none_or(|told| told.findings != last.findings || told.complete != last.complete)
    {
        match last.count() {
            0 => lines.push("dry vote passed".to_owned()),
            count => lines.push(format!("dry vote: {}", amount::count(count, "finding"))),
        }
        lines.extend(
            last.findings.iter().map(|found| {
                format!("dry vote {} {}: {}", found.worker, found.reason, found.message)
            }),
        );
    }
    if let Some(given) = given_of(after)
        && before.and_then(given_of).as_ref() != Some(&given)
    {
        let why =
            if given.reason.is_empty() { String::new() } else { format!(": {}", given.reason) };
        lines.push(format!("approved by {}{why}", given.by));
    }
    lines
}

fn given_of(view: &JobView) -> Option<votum_wire::GivenApproval> {
    view.approval.as_ref()?.given.clone()
}
