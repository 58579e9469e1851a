//! How far a running task says it has come, in words and as a bar.

use votum_job::{Amount, SelfReport, WHOLE};
use votum_machine::WallTime;
use votum_wire::view::{JobView, ReportView, TaskState, TaskView};

use super::amount;

/// Returns what a running task has said of itself; none unless it runs and has said something.
pub(crate) fn told(task: &TaskView) -> Option<&ReportView> {
    match task.state {
        TaskState::Running => task.report.as_ref(),
        TaskState::Waiting
        | TaskState::Ready
        | TaskState::Starting
        | TaskState::Retrying
        | TaskState::Staged
        | TaskState::Prepared
        | TaskState::Committed
        | TaskState::Failed
        | TaskState::Cancelled
        | TaskState::Discarded => None,
    }
}

/// Returns the part of the whole that a running task has done, in millionths.
pub(crate) fn millionths(task: &TaskView) -> Option<u32> {
    let progress = told(task)?.report.progress.as_ref()?;
    Some(progress.amount.millionths())
}

/// Returns the shortest account: `report 41% (7/17 pages)` of the task that has most to do.
pub(crate) fn brief(view: &JobView) -> Option<String> {
    let behind = view.tasks.iter().filter_map(|task| Some((millionths(task)?, task)));
    let (_, task) = behind.min_by_key(|(millionths, _)| *millionths)?;
    let progress = told(task)?.report.progress.as_ref()?;
    let counted = counts(&progress.amount).map(|counts| format!(" ({counts})"));
    let percent = percent(progress.amount.millionths());
    Some(format!("{} {percent}{}", task.task, counted.unwrap_or_default()))
}

/// Returns everything that one line holds: `41%  7/17 pages  0.2/s  done in 1m 05s  page 7`.
pub(crate) fn line(told: &ReportView, now: WallTime) -> String {
    let mut parts = Vec::new();
    if let Some(progress) = &told.report.progress {
        parts.push(percent(progress.amount.millionths()));
        parts.extend(counts(&progress.amount));
        parts.extend(told.rate.and_then(|rate| speed(&progress.amount, rate)));
        parts.extend(told.end.map(|end| format!("done in {}", amount::duration(end.since(now)))));
        if !progress.message.is_empty() {
            parts.push(progress.message.clone());
        }
    }
    parts.join("  ")
}

/// Returns what a task warned of, and what of its reports could not be read.
pub(crate) fn warning(report: &SelfReport) -> Option<String> {
    let said = [
        (report.warnings, "warning"),
        (report.malformed, "meaningless report line"),
        (report.skipped_bytes, "unread report byte"),
    ];
    let said: Vec<String> = said
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, noun)| amount::count(number, noun))
        .collect();
    // Its own warning is never hidden behind a complaint about its lines.
    let last = [&report.last_warning, &report.last_complaint].into_iter();
    let last: Vec<&str> = last.filter(|last| !last.is_empty()).map(String::as_str).collect();
    (!said.is_empty()).then(|| format!("{}, at last: {}", said.join(", "), last.join("; ")))
}

/// Writes a part of the whole; only what is whole is 100%.
fn percent(millionths: u32) -> String {
    format!("{}%", millionths / (WHOLE / 100))
}

fn counts(amount: &Amount) -> Option<String> {
    match amount {
        Amount::Share { .. } => None,
        Amount::Counted { done, total, unit } => {
            Some(format!("{done}/{total} {unit}").trim_end().to_owned())
        }
    }
}

/// Writes a rate by the second, the minute or the hour, whichever says something.
fn speed(amount: &Amount, rate: u64) -> Option<String> {
    let (unit, scale) = match amount {
        // A rate of the whole is told in percent.
        Amount::Share { .. } => ("%", 100.0),
        Amount::Counted { .. } => ("", 1.0),
    };
    let by_second = rate as f64 / f64::from(WHOLE) * scale;
    let spans = [(1.0, "s"), (60.0, "min"), (3600.0, "h")];
    let (span, name) = spans.into_iter().find(|(span, _)| by_second * span >= 1.0)?;
    Some(format!("{:.1}{unit}/{name}", by_second * span))
}

#[cfg(test)]
mod tests {
    use votum_job::Progress;

    use super::*;

    fn told(amount: Amount, rate: Option<u64>) -> ReportView {
        let progress = Some(Progress { amount, message: "page 7".to_owned() });
        let report = SelfReport { progress, ..SelfReport::default() };
        ReportView { report, at: WallTime(0), rate, end: Some(WallTime(66_000)) }
    }

    #[test]
    fn progress_is_told_in_one_line() {
        let pages = || Amount::Counted { done: 7, total: 17, unit: "pages".to_owned() };
        let line = |told| line(&told, WallTime(1_000));
        assert_eq!(
            line(told(pages(), Some(200_000))),
            "41%  7/17 pages  12.0/min  done in 1m 05s  page 7"
        );
        assert_eq!(
            line(told(Amount::Share { millionths: 999_999 }, Some(10_500))),
            "99%  1.1%/s  done in 1m 05s  page 7"
        );
        assert_eq!(
            line(ReportView { end: None, ..told(pages(), None) }),
            "41%  7/17 pages  page 7"
        );
    }

    #[test]
    fn warnings_are_counted_and_the_last_is_told() {
        assert_eq!(warning(&SelfReport::default()), None);
        let report = SelfReport {
            warnings: 2,
            malformed: 1,
            last_warning: "slow".to_owned(),
            last_complaint: "cannot understand it".to_owned(),
            ..SelfReport::default()
        };
        let words = "2 warnings, 1 meaningless report line, at last: slow; cannot understand it";
        assert_eq!(warning(&report).as_deref(), Some(words));
    }
}
