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
use votum_ids::JobId;
use votum_machine::WallTime;
use votum_proto::v1::WatchJobsResponse;
use votum_wire::{
    Translate,
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
}

impl Desk {
    /// Lists jobs newest first; open ones as they stand, closed ones from their records.
    ///
    /// What the index alone can rule out costs no look at a job. A page costs a bounded number of
    /// looks and then ends short.
    pub(super) async fn list(&self, wanted: &ListJobs) -> Result<JobPage, Status> {
        let mut jobs = Vec::new();
        let mut after = wanted.page.after.clone();
        let size = match wanted.detail {
            Detail::Basic => wanted.page.size,
            Detail::Full => wanted.page.size.min(FULL_PAGE_MAX),
        };
        let mut looks = 0;
        for _ in 0..SCANS_MAX {
            let scanned = self.scan(after.clone()).await?;
            let is_last = scanned.len() < SCANNED_AT_ONCE;
            let end = scanned.last().map(|entry| entry.key.clone());
            let mut candidates = Vec::new();
            let mut too_old = false;
            for entry in scanned {
                too_old = is_older(&entry.key, wanted.wanted.since);
                if too_old {
                    break;
                }
                if may_be_wanted(&entry, &wanted.wanted) {
                    candidates.push(entry);
                }
            }
            while !candidates.is_empty() {
                let rest = candidates.split_off(candidates.len().min(SHOWN_AT_ONCE));
                looks += candidates.len();
                for (key, view) in self.shown(candidates).await? {
                    after = Some(key);
                    let Some(view) =
                        view.filter(|view| wanted.wanted.contains(view, self.clock.wall()))
                    else {
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
            if is_last || too_old {
                return Ok(JobPage { jobs, next: None });
            }
            after = end;
            if looks >= LOOKS_MAX {
                break;
            }
        }
        Ok(page(jobs, after, wanted))
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

/// Says whether an entry and all that follow it were received too early.
fn is_older(key: &str, since: Option<WallTime>) -> bool {
    let digits = key.get(LIST_KEYS.len()..).and_then(|rest| rest.get(..16));
    let complement = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    let received = complement.map(|complement| WallTime(u64::MAX - complement));
    received.zip(since).is_some_and(|(received, since)| received < since)
}

/// Says whether the index leaves it open that a job is wanted.
fn may_be_wanted(entry: &Entry, wanted: &Wanted) -> bool {
    let begins = |prefix: &String| entry.job().as_str().starts_with(prefix);
    if !wanted.prefix.as_ref().is_none_or(begins) {
        return false;
    }
    let closing = match &entry.listed {
        Listed::Open { .. } => return true,
        Listed::Closed(closing) => closing,
    };
    if wanted.display_name.as_ref().is_some_and(|name| *name != closing.display_name) {
        return false;
    }
    // A closed job may prove unreadable when it is looked at; it is held by nobody.
    let state = match closing.decision {
        votum_commit::Decision::Commit => JobState::Committed,
        votum_commit::Decision::Abort => JobState::Aborted,
    };
    wanted.is_any_state()
        || wanted.states.contains(&state)
        || wanted.states.contains(&JobState::Quarantined)
        || wanted.cancelled && state == JobState::Aborted
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
    use std::sync::Arc;

    use votum_commit::Decision;
    use votum_driver::{Clock, Inbox};
    use votum_ids::RequestId;
    use votum_journal::Journal as _;
    use votum_wire::page::Page;

    use super::*;
    use crate::{
        engine::tests::{spec, submission},
        record::{Closing, JobRecord, Record},
        recovery::{Recovered, recover, tests::config},
    };

    #[tokio::test]
    async fn ten_thousand_jobs_are_listed_page_by_page() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::start();
        let mut recovered = recover(&config(folder.path()), &clock).await.unwrap();
        for number in 0..JOBS {
            let name = if number == 3 { "rare" } else { "sales" };
            for record in life(number, name) {
                recovered.journal.append(votum_driver::entry(WallTime(number), &record));
            }
        }
        let last = recovered.journal.append(votum_driver::entry(WallTime(JOBS), &marker()));
        recovered.durable.wait_for(|durable| *durable >= last).await.unwrap();
        let desk = desk(&recovered, clock);

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

    fn wanted(wanted: Wanted, size: usize) -> ListJobs {
        ListJobs { wanted, detail: Detail::Basic, page: Page { size, after: None } }
    }

    /// Returns the first and the last record of a job that committed.
    fn life(number: u64, name: &str) -> [Record; 2] {
        let job = JobId::new(format!("{name}-{number}")).unwrap();
        let request = RequestId(uuid::Uuid::from_u128(u128::from(number) + 1));
        let submission = votum_schedule::Submission { request, ..submission() };
        let mut spec = spec("sales", "s1");
        name.clone_into(&mut spec.display_name);
        let spec = Arc::new(spec);
        let received = votum_schedule::Record::Received { job: job.clone(), spec, submission };
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
