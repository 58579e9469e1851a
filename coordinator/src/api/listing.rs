//! The list of jobs: one page of it, or what changes in it.

use std::{collections::BTreeSet, time::Duration};

use futures_util::{Stream, stream};
use tokio::{
    sync::broadcast::{
        Receiver,
        error::{RecvError, TryRecvError},
    },
    task::spawn_blocking,
    time::timeout,
};
use tonic::{Code, Status};
use votum_commit::Decision;
use votum_ids::JobId;
use votum_machine::WallTime;
use votum_proto::v1::WatchJobsResponse;
use votum_wire::{
    Translate,
    filter::{Ended, Facts},
    listing::ListChange,
    request::{Detail, JobPage, ListJobs, Wanted},
    status,
    view::{JobState, JobView},
};

use super::Desk;
use crate::{
    action::Answer,
    question::Question,
    record::{LIST_KEYS, Listed, job_stream},
};

/// One entry of the list.
struct Entry {
    key: String,
    listed: Listed,
}

impl Entry {
    fn job(&self) -> &JobId {
        match &self.listed {
            Listed::Open { job } => job,
            Listed::Closed(closing) => &closing.job,
        }
    }

    /// Returns what the index knows of the job.
    fn facts(&self, wanted: &Wanted) -> Facts<'_> {
        let unknown = Facts::unknown(self.job(), received(&self.key).unwrap_or_default());
        let closing = match &self.listed {
            Listed::Open { .. } => return unknown,
            Listed::Closed(closing) => closing,
        };
        let state = match closing.decision {
            Decision::Commit => JobState::Committed,
            Decision::Abort => JobState::Aborted,
        };
        // It may prove unreadable when it is looked at, and is: if such jobs are asked for.
        let state = (!wanted.names(JobState::Quarantined)).then_some(state);
        let filed = closing.filed.as_deref();
        Facts {
            name: Some(&closing.display_name),
            state,
            paused: Some(false),
            by: filed.map(|filed| filed.by.as_str()),
            labels: filed.map(|filed| &filed.labels),
            cancelled: filed.map(|filed| filed.cancelled),
            ended: filed.and_then(|filed| filed.ended).map_or(Ended::Unknown, Ended::At),
            ..unknown
        }
    }
}

impl Desk {
    /// Lists jobs newest first; open ones as they stand, closed ones from their records.
    ///
    /// What the index or the engine can rule out costs no look at a job. A page costs a bounded
    /// number of looks and then ends short.
    pub(super) async fn list(&self, wanted: &ListJobs) -> Result<JobPage, Status> {
        if wanted.wanted.removed {
            return self.removed(wanted).await;
        }
        let now = self.clock.wall();
        let since = wanted.wanted.received_since(now);
        let size = match wanted.detail {
            Detail::Basic => wanted.page.size,
            Detail::Full => wanted.page.size.min(FULL_PAGE_MAX),
        };
        let (mut jobs, mut looks) = (Vec::new(), 0);
        let mut after = wanted.page.after.clone();
        for _ in 0..SCANS_MAX {
            let scanned = self.scan(after.clone()).await?;
            let is_last = scanned.len() < SCANNED_AT_ONCE
                || scanned.last().is_some_and(|entry| is_older(entry, since));
            let end = scanned.last().map(|entry| entry.key.clone());
            let mut candidates = self.candidates(scanned, wanted, since, now).await?;
            while !candidates.is_empty() {
                let rest = candidates.split_off(candidates.len().min(SHOWN_AT_ONCE));
                looks += candidates.len();
                for (key, view) in self.shown(candidates).await? {
                    after = Some(key);
                    let Some(view) = view.filter(|view| wanted.wanted.contains(view, now)) else {
                        continue;
                    };
                    jobs.push(wanted.detail.of(view));
                    if jobs.len() == size {
                        return Ok(page(jobs, after, wanted));
                    }
                }
                candidates = rest;
                if looks >= LOOKS_MAX && !candidates.is_empty() {
                    return Ok(page(jobs, after, wanted));
                }
            }
            if is_last {
                return Ok(JobPage { jobs, next: None });
            }
            after = end;
            if looks >= LOOKS_MAX {
                break;
            }
        }
        Ok(page(jobs, after, wanted))
    }

    /// Leaves out the entries that are not wanted, as far as that shows without a look at them.
    async fn candidates(
        &self,
        mut entries: Vec<Entry>,
        ListJobs { wanted, .. }: &ListJobs,
        since: Option<WallTime>,
        now: WallTime,
    ) -> Result<Vec<Entry>, Status> {
        let mut asked = Vec::new();
        entries.retain(|entry| {
            let judged = wanted.judge(&entry.facts(wanted), now);
            if judged.is_none() && matches!(entry.listed, Listed::Open { .. }) {
                asked.push(entry.job().clone());
            }
            judged != Some(false) && !is_older(entry, since)
        });
        if asked.is_empty() {
            return Ok(entries);
        }
        let (jobs, wanted) = (asked.clone(), Box::new(wanted.clone()));
        if let Answer::Chosen(chosen) = self.ask(Question::ChooseJobs { jobs, wanted, now }).await?
        {
            let asked: BTreeSet<JobId> = asked.into_iter().collect();
            let chosen: BTreeSet<JobId> = chosen.into_iter().collect();
            entries.retain(|entry| !asked.contains(entry.job()) || chosen.contains(entry.job()));
        }
        Ok(entries)
    }

    async fn scan(&self, after: Option<String>) -> Result<Vec<Entry>, Status> {
        let reader = self.reader.clone();
        let scanned = spawn_blocking(move || {
            let after = after.as_deref().map(str::as_bytes);
            reader.scan(LIST_KEYS.as_bytes(), after, SCANNED_AT_ONCE)
        });
        let found = scanned.await.map_err(|error| status::internal(&error))?;
        let found = found.map_err(|error| status::internal(&error))?;
        let entry = |(key, value): (Vec<u8>, Vec<u8>)| {
            let key = String::from_utf8(key).map_err(|error| status::internal(&error))?;
            let listed =
                serde_json::from_slice(&value).map_err(|error| status::internal(&error))?;
            Ok(Entry { key, listed })
        };
        found.into_iter().map(entry).collect()
    }

    /// Shows entries of the list in their order; one that cannot be read is left out and logged.
    async fn shown(&self, entries: Vec<Entry>) -> Result<Vec<(String, Option<JobView>)>, Status> {
        let jobs: Vec<JobId> = entries
            .iter()
            .filter(|entry| matches!(entry.listed, Listed::Open { .. }))
            .map(|entry| entry.job().clone())
            .collect();
        let mut open = Vec::new();
        if !jobs.is_empty()
            && let Answer::Jobs(views) = self.ask(Question::ShowJobs { jobs }).await?
        {
            open = views;
        }
        let desk = self.clone();
        let shown = spawn_blocking(move || {
            let show = |entry: Entry| {
                let job = entry.job().clone();
                let view = match open.iter().position(|view| view.job == job) {
                    Some(at) => Ok(open[at].clone()),
                    None => desk.closed_job(&job),
                };
                let view =
                    view.inspect_err(|error| tracing::warn!(%job, %error, "cannot list a job"));
                (entry.key, view.ok())
            };
            entries.into_iter().map(show).collect()
        });
        shown.await.map_err(|error| status::internal(&error))
    }
}

fn page(jobs: Vec<JobView>, after: Option<String>, wanted: &ListJobs) -> JobPage {
    let next = after.map(|position| wanted.token_after(&position));
    JobPage { jobs, next }
}

/// Says whether an entry, and so all that follow it, was received too early.
fn is_older(entry: &Entry, since: Option<WallTime>) -> bool {
    received(&entry.key).zip(since).is_some_and(|(received, since)| received < since)
}

/// Returns when a job was received, as its place in the list tells.
fn received(key: &str) -> Option<WallTime> {
    let digits = key.get(LIST_KEYS.len()..).and_then(|rest| rest.get(..16));
    let complement = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok())?;
    Some(WallTime(u64::MAX - complement))
}

/// Returns what changes in the list from here on; it never ends by itself.
pub(super) fn watch(desk: Desk) -> impl Stream<Item = Result<WatchJobsResponse, Status>> + use<> {
    let changes = desk.changes.watch_every();
    let state = Watching { desk, changes, due: BTreeSet::new(), missed: false };
    stream::unfold(state, |mut state| async move {
        let change = state.next().await?;
        Some((change.map(|change| change.to_proto()), state))
    })
}

/// A list that is being watched.
struct Watching {
    desk: Desk,
    changes: Receiver<JobId>,
    /// Jobs that are still to be told of; no more than may be open, since each is in here once.
    due: BTreeSet<JobId>,
    missed: bool,
}

impl Watching {
    /// Waits for the next change; none when the coordinator stops.
    async fn next(&mut self) -> Option<Result<ListChange, Status>> {
        loop {
            if self.missed {
                (self.missed, self.due) = (false, BTreeSet::new());
                return Some(Ok(ListChange::Missed));
            }
            match self.due.pop_first() {
                Some(job) => match self.told(job).await {
                    Ok(Some(change)) => return Some(Ok(change)),
                    Ok(None) => {}
                    Err(error) => return Some(Err(error)),
                },
                None => self.gather().await?,
            }
        }
    }

    /// Says what became of a job; none if there is nothing to say of it.
    async fn told(&self, job: JobId) -> Result<Option<ListChange>, Status> {
        let jobs = vec![job.clone()];
        if let Answer::Jobs(views) = self.desk.ask(Question::ShowJobs { jobs }).await?
            && let Some(view) = views.into_iter().next()
        {
            return Ok(Some(ListChange::Job(Box::new(view.basic()))));
        }
        let stored = self.desk.reader.read(&job_stream(&job));
        if stored.is_ok_and(|stored| stored.is_empty()) {
            return Ok(Some(ListChange::Deleted(job)));
        }
        match self.desk.closed_job(&job) {
            Ok(view) => Ok(Some(ListChange::Job(Box::new(view.basic())))),
            Err(error) if error.code() == Code::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits for a change, and a moment longer for those that come with it.
    async fn gather(&mut self) -> Option<()> {
        match self.changes.recv().await {
            Ok(job) => {
                self.due.insert(job);
            }
            Err(RecvError::Lagged(_)) => self.missed = true,
            Err(RecvError::Closed) => return None,
        }
        let _ = timeout(TOGETHER, std::future::pending::<()>()).await;
        loop {
            match self.changes.try_recv() {
                Ok(job) => {
                    self.due.insert(job);
                }
                Err(TryRecvError::Lagged(_)) => self.missed = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return Some(()),
            }
        }
    }
}

/// Most jobs on a page that shows everything of them: a spec may take a mebibyte.
const FULL_PAGE_MAX: usize = 20;
/// So many entries of the index are read at once.
const SCANNED_AT_ONCE: usize = 500;
/// Most readings of the index that one page costs; then the page ends short.
const SCANS_MAX: usize = 40;
/// So many jobs are looked at at once.
const SHOWN_AT_ONCE: usize = 32;
/// About so many jobs are looked at for one page; then the page ends short.
const LOOKS_MAX: usize = 2_000;
/// Changes that come within so long are told as one.
const TOGETHER: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use votum_driver::{Clock, Inbox};
    use votum_ids::RequestId;
    use votum_journal::Journal as _;
    use votum_wire::page::Page;

    use super::*;
    use crate::{
        engine::tests::{spec, submission},
        record::{Closing, Filed, JobRecord, Record},
        recovery::{Recovered, recover, tests::config},
    };

    #[tokio::test]
    async fn ten_thousand_jobs_are_listed_page_by_page() {
        let folder = tempfile::tempdir().unwrap();
        let desk = desk_of(folder.path(), |_| None).await;

        // Whatever is on a page, a look at more than that page is not needed for it.
        let first = desk.list(&wanted(Wanted::default(), 50)).await.unwrap();
        let names: Vec<&str> = first.jobs.iter().map(|view| view.job.as_str()).collect();
        assert_eq!((names.len(), names[0], names[49]), (50, "sales-9999", "sales-9950"));
        // The index alone rules the others out.
        let rare = Wanted { display_name: Some("rare".to_owned()), ..Wanted::default() };
        let found = desk.list(&wanted(rare, 50)).await.unwrap();
        assert_eq!((found.jobs.len(), found.next), (1, None));
        // Where it cannot, a page ends short, and the next goes on from there.
        let labels = [("none".to_owned(), "has it".to_owned())].into();
        let none = Wanted { labels, ..Wanted::default() };
        let (mut pages, mut after) = (0, None);
        loop {
            let mut asked = wanted(none.clone(), 50);
            asked.page.after = after;
            let page = desk.list(&asked).await.unwrap();
            assert!(page.jobs.is_empty());
            pages += 1;
            let Some(token) = page.next else { break };
            let request = votum_proto::v1::ListJobsRequest {
                page_token: token,
                labels: none.labels.clone(),
                ..Default::default()
            };
            after = ListJobs::read(request).unwrap().page.after;
        }
        assert!((3..=8).contains(&pages), "{pages} pages");
    }

    #[tokio::test]
    async fn what_closed_jobs_are_filed_under_spares_a_look_at_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let desk = desk_of(folder.path(), |number| Some(filed(number))).await;
        for (filter, first, count) in [
            ("labels.number = 17", "sales-17", 1),
            ("by = bob", "sales-9000", 10),
            ("NOT (by = ana OR labels.number = 0)", "sales-9000", 9),
            ("ended < 1970-01-01T00:00:00.015Z AND name = sales", "sales-14", 14),
        ] {
            let filter = Some(filter.parse().unwrap());
            let asked = wanted(Wanted { filter, ..Wanted::default() }, 50);
            let found = desk.list(&asked).await.unwrap();
            let told = asked.wanted.filter;
            assert_eq!(found.next, None, "{told:?} has come to the end at once");
            assert_eq!((found.jobs[0].job.as_str(), found.jobs.len()), (first, count), "{told:?}");
        }
        // Any of them may prove unreadable, so all are looked at.
        let filter = Some("state = QUARANTINED".parse().unwrap());
        let asked = wanted(Wanted { filter, ..Wanted::default() }, 50);
        assert!(desk.list(&asked).await.unwrap().next.is_some());
    }

    fn wanted(wanted: Wanted, size: usize) -> ListJobs {
        ListJobs { wanted, detail: Detail::Basic, page: Page { size, after: None } }
    }

    /// Returns the way to ten thousand jobs that have committed, each filed as told.
    async fn desk_of(folder: &Path, filed: impl Fn(u64) -> Option<Filed>) -> Desk {
        let clock = Clock::start();
        let mut recovered = recover(&config(folder), &clock).await.unwrap();
        for number in 0..JOBS {
            let name = if number == 3 { "rare" } else { "sales" };
            for record in life(number, name, filed(number)) {
                recovered.journal.append(votum_driver::entry(WallTime(number), &record));
            }
        }
        let last = recovered.journal.append(votum_driver::entry(WallTime(JOBS), &marker()));
        recovered.durable.wait_for(|durable| *durable >= last).await.unwrap();
        desk(&recovered, clock)
    }

    /// Every thousandth job is bob's.
    fn filed(number: u64) -> Filed {
        Filed {
            by: if number.is_multiple_of(1_000) { "bob" } else { "ana" }.to_owned(),
            labels: [("number".to_owned(), number.to_string())].into(),
            cancelled: false,
            ended: None,
        }
    }

    /// Returns the first and the last record of a job that committed.
    fn life(number: u64, name: &str, filed: Option<Filed>) -> [Record; 2] {
        let job = JobId::new(format!("{name}-{number}")).unwrap();
        let request = RequestId(uuid::Uuid::from_u128(u128::from(number) + 1));
        let mut submission = votum_schedule::Submission { request, ..submission() };
        let mut spec = spec("sales", "s1");
        name.clone_into(&mut spec.display_name);
        if let Some(filed) = &filed {
            spec.labels = filed.labels.clone();
            submission.by = filed.by.clone();
        }
        let spec = Arc::new(spec);
        let received =
            votum_schedule::Record::Received { job: job.clone(), spec, submission, in_line: None };
        let closing = Closing {
            job: job.clone(),
            display_name: name.to_owned(),
            decision: Decision::Commit,
            received: WallTime(number),
            request,
            uid: uuid::Uuid::nil(),
            retention: Duration::from_secs(3600),
            round: None,
            mixed: false,
            filed: filed.map(Box::new),
        };
        let record = |schedule, closing| {
            let (commit, prepared) = (None, None);
            let (settle, ruling) = (None, None);
            let job = job.clone();
            let record = JobRecord { job, schedule, commit, prepared, settle, ruling, closing };
            Record::Job(Box::new(record))
        };
        [record(Some(received), None), record(None, Some(closing))]
    }

    /// Forced, so that everything before it is durable soon.
    fn marker() -> Record {
        let worker = votum_ids::WorkerId::new("s1").unwrap();
        Record::Ordered { worker, orders: votum_schedule::Orders::default() }
    }

    fn desk(recovered: &Recovered, clock: Clock) -> Desk {
        let (inbox, _events) = Inbox::new();
        Desk {
            inbox,
            replies: crate::replies::Replies::default(),
            changes: crate::changes::Changes::default(),
            reader: recovered.reader.clone(),
            clock,
            tombstones_kept: Duration::from_secs(3600),
            room: crate::api::Room { data_dir: std::env::temp_dir(), reserve: 0 },
            dialer: votum_tls::Dialer::default(),
        }
    }

    const JOBS: u64 = 10_000;
}
