//! How fast a task gets on, by its own word: rate and estimated end.
//!
//! A guess for people. Nothing is decided by it, and after a restart it begins
//! anew with the next report. What was said last is recorded with the end of its
//! attempt.

use std::{collections::VecDeque, time::Duration};

use serde::{Deserialize, Serialize};
use votum_ids::AttemptId;
use votum_job::{Amount, SelfReport, WHOLE};
use votum_machine::{Moment, WallTime};

/// What the last attempt of a task has said of itself, and how fast it got there.
#[derive(Debug)]
pub(crate) struct Pace {
    attempt: AttemptId,
    report: SelfReport,
    at: WallTime,
    samples: VecDeque<Sample>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Sample {
    at: Moment,
    done: u64,
    measure: Measure,
}

/// What is counted; samples of one measure can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Measure {
    Share,
    Count { unit: String },
}

/// What an attempt had said of itself by its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastWords {
    /// Everything that it has said.
    pub report: SelfReport,
    /// When it said the last of it.
    pub at: WallTime,
}

/// What a task has said of itself, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportView {
    /// Everything that it has said.
    pub report: SelfReport,
    /// When it said the last of it.
    pub at: WallTime,
    /// How much it does, in millionths of a unit each second; without a unit, of the whole.
    /// None until there is enough to tell.
    pub rate: Option<u64>,
    /// When it will have done everything, if it goes on like this.
    pub end: Option<Moment>,
}

impl Pace {
    /// Begins with the first report of an attempt.
    pub(crate) fn new(attempt: AttemptId) -> Self {
        Self {
            attempt,
            report: SelfReport::default(),
            at: WallTime::default(),
            samples: VecDeque::new(),
        }
    }

    /// Recalls what an attempt had said by its end.
    pub(crate) fn recalled(attempt: AttemptId, said: &LastWords) -> Self {
        let LastWords { report, at } = said.clone();
        Self { attempt, report, at, samples: VecDeque::new() }
    }

    /// Returns what is worth recording of it when its attempt ends.
    pub(crate) fn said(&self) -> Option<Box<LastWords>> {
        let said = LastWords { report: self.report.clone(), at: self.at };
        (said.report != SelfReport::default()).then(|| Box::new(said))
    }

    /// Says whether this is what that attempt has said.
    pub(crate) fn is_of(&self, attempt: &AttemptId) -> bool {
        self.attempt == *attempt
    }

    /// Takes in what was said at a moment; `wall` is the same in wall time.
    pub(crate) fn note(&mut self, at: Moment, wall: WallTime, report: SelfReport) {
        if let Some(progress) = &report.progress {
            self.sample(Sample::new(at, &progress.amount));
        }
        self.report = report;
        self.at = wall;
    }

    fn sample(&mut self, sample: Sample) {
        let goes_on = self.samples.back().is_none_or(|last| {
            last.measure == sample.measure && last.done <= sample.done && last.at <= sample.at
        });
        if !goes_on {
            // It has begun anew, or counts something else.
            self.samples.clear();
        }
        let crowded = self.samples.len() >= 2
            && self.samples.iter().rev().nth(1).is_some_and(|before| {
                self.samples.back().is_some_and(|last| last.at.since(before.at) < SPACING)
            });
        if crowded {
            self.samples.pop_back();
        }
        self.samples.push_back(sample);
        let now = self.samples.back().map_or(Moment::START, |last| last.at);
        // Two are enough for a rate, however far apart they are.
        while self.samples.len() > 2
            && (self.samples.len() > SAMPLES_MAX
                || self.samples.front().is_some_and(|first| now.since(first.at) > WINDOW))
        {
            self.samples.pop_front();
        }
    }

    /// Shows it as of `now`.
    pub(crate) fn view(&self, now: Moment) -> ReportView {
        let (rate, end) = match self.speed() {
            None => (None, None),
            Some((done, elapsed)) => {
                let end = self.end(done, elapsed).filter(|end| *end >= now);
                let millis = elapsed.as_millis().max(1);
                let unit = match self.samples.back().map(|last| &last.measure) {
                    Some(Measure::Count { .. }) => u128::from(WHOLE),
                    // Shares are counted in millionths already.
                    Some(Measure::Share) | None => 1,
                };
                let rate = u128::from(done) * unit * 1000 / millis;
                (u64::try_from(rate).ok(), end)
            }
        };
        ReportView { report: self.report.clone(), at: self.at, rate, end }
    }

    /// Shows it when its attempt is over, or cannot be heard: nobody knows that it gets on.
    pub(crate) fn last_words(&self) -> ReportView {
        ReportView { report: self.report.clone(), at: self.at, rate: None, end: None }
    }

    /// Returns how much was done in how long, once that says anything.
    fn speed(&self) -> Option<(u64, Duration)> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let (done, elapsed) = (last.done - first.done, last.at.since(first.at));
        (done > 0 && elapsed >= SPACING).then_some((done, elapsed))
    }

    fn end(&self, done: u64, elapsed: Duration) -> Option<Moment> {
        let last = self.samples.back()?;
        let total = match &self.report.progress.as_ref()?.amount {
            Amount::Share { .. } => u64::from(WHOLE),
            Amount::Counted { total, .. } => *total,
        };
        let rest = u128::from(total.saturating_sub(last.done));
        let millis = rest * elapsed.as_millis() / u128::from(done);
        let wait = Duration::from_millis(u64::try_from(millis).ok()?);
        (wait <= END_MAX).then(|| last.at.after(wait))
    }
}

impl Sample {
    fn new(at: Moment, amount: &Amount) -> Self {
        match amount {
            Amount::Share { millionths } => {
                Self { at, done: u64::from(*millionths), measure: Measure::Share }
            }
            Amount::Counted { done, total: _, unit } => {
                Self { at, done: *done, measure: Measure::Count { unit: unit.clone() } }
            }
        }
    }
}

/// Between two samples that are kept, and the least that a rate is made of.
const SPACING: Duration = Duration::from_secs(1);
/// What is older says little about the present.
const WINDOW: Duration = Duration::from_mins(5);
const SAMPLES_MAX: usize = 64;
/// A later end is not worth telling.
const END_MAX: Duration = Duration::from_hours(365 * 24);

#[cfg(test)]
mod tests {
    use votum_ids::{Epoch, FencingToken, JobId, TaskId};
    use votum_job::Progress;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::since_start(Duration::from_secs(seconds))
    }

    fn pace() -> Pace {
        let token = FencingToken { epoch: Epoch(1), counter: 1 };
        let (job, task) = (JobId::new("sales-7").unwrap(), TaskId::new("load").unwrap());
        Pace::new(AttemptId { job, task, token })
    }

    fn say(pace: &mut Pace, seconds: u64, amount: Amount) -> ReportView {
        let progress = Some(Progress { amount, message: String::new() });
        pace.note(at(seconds), WallTime(0), SelfReport { progress, ..SelfReport::default() });
        pace.view(at(seconds))
    }

    fn rows(done: u64, total: u64) -> Amount {
        Amount::Counted { done, total, unit: "rows".to_owned() }
    }

    #[test]
    fn one_report_tells_no_rate() {
        let mut pace = pace();
        let view = say(&mut pace, 10, rows(100, 400));
        assert_eq!((view.rate, view.end), (None, None));
        // Neither do two that say the same, nor two at once.
        assert_eq!(say(&mut pace, 20, rows(100, 400)).rate, None);
    }

    #[test]
    fn the_rate_is_that_of_the_last_reports() {
        let mut pace = pace();
        say(&mut pace, 10, rows(100, 400));
        let view = say(&mut pace, 20, rows(150, 400));
        assert_eq!((view.rate, view.end), (Some(5_000_000), Some(at(70))));
        // It goes faster, and what was slow leaves the window.
        for second in 21..=400 {
            say(&mut pace, second, rows(150 + (second - 20) * 10, 9_000));
        }
        let view = pace.view(at(400));
        assert_eq!(view.rate, Some(10_000_000));
        assert!(pace.samples.len() <= SAMPLES_MAX);
    }

    #[test]
    fn a_share_has_a_rate_of_the_whole() {
        let mut pace = pace();
        say(&mut pace, 0, Amount::Share { millionths: 0 });
        let view = say(&mut pace, 100, Amount::Share { millionths: 250_000 });
        assert_eq!((view.rate, view.end), (Some(2_500), Some(at(400))));
    }

    #[test]
    fn whoever_begins_anew_or_counts_something_else_has_no_rate_yet() {
        let mut pace = pace();
        say(&mut pace, 0, rows(0, 400));
        assert!(say(&mut pace, 10, rows(300, 400)).rate.is_some());
        assert_eq!(say(&mut pace, 20, rows(10, 400)).rate, None);
        assert!(say(&mut pace, 30, rows(20, 400)).rate.is_some());
        assert_eq!(say(&mut pace, 40, Amount::Share { millionths: 900_000 }).rate, None);
    }

    #[test]
    fn a_larger_total_moves_the_end_and_not_the_rate() {
        let mut pace = pace();
        say(&mut pace, 0, rows(0, 100));
        let before = say(&mut pace, 10, rows(50, 100));
        let after = say(&mut pace, 20, rows(100, 200));
        assert_eq!((before.end, after.end), (Some(at(20)), Some(at(40))));
        assert_eq!(before.rate, after.rate);
    }

    #[test]
    fn an_end_that_has_passed_is_not_told() {
        let mut pace = pace();
        say(&mut pace, 0, rows(0, 100));
        say(&mut pace, 10, rows(50, 100));
        assert_eq!(pace.view(at(20)).end, Some(at(20)));
        assert_eq!(pace.view(at(21)).end, None);
    }

    #[test]
    fn reports_that_come_fast_are_thinned_out() {
        let mut pace = pace();
        for millis in 0..10_000 {
            let amount = rows(millis, 20_000);
            let progress = Some(Progress { amount, message: String::new() });
            let report = SelfReport { progress, ..SelfReport::default() };
            pace.note(Moment::since_start(Duration::from_millis(millis)), WallTime(0), report);
        }
        assert!(pace.samples.len() < 14, "{}", pace.samples.len());
        let rate = pace.view(at(10)).rate.unwrap();
        assert!((999_000_000..=1_001_000_000).contains(&rate), "{rate}");
    }
}
