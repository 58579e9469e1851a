//! A reader who opens the targets all the time, as users do, and remembers what was there.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{
    journal::written_in,
    patience::let_pass,
    verdict::{Content, content_of},
};

/// Reads targets in its own thread until it is stopped.
#[derive(Debug)]
pub struct Reader {
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
    seen: Arc<Mutex<BTreeMap<(PathBuf, Content), Seen>>>,
    thread: Option<JoinHandle<()>>,
}

/// What was known when a content was seen for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The coordinator's journal had the decision to commit the job.
    AfterDecision,
    /// It had not.
    BeforeDecision,
}

impl Reader {
    /// Begins to read.
    #[must_use]
    pub fn start(targets: Vec<PathBuf>, coordinator_journal: PathBuf) -> Self {
        let (stop, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let seen = Arc::new(Mutex::new(BTreeMap::new()));
        let thread = thread::spawn({
            let (stop, reads, seen) = (Arc::clone(&stop), Arc::clone(&reads), Arc::clone(&seen));
            move || {
                while !stop.load(Ordering::Relaxed) {
                    for target in &targets {
                        look(target, &coordinator_journal, &seen);
                        reads.fetch_add(1, Ordering::Relaxed);
                    }
                    let_pass(BETWEEN_ROUNDS);
                }
            }
        });
        Self { stop, reads, seen, thread: Some(thread) }
    }

    /// Stops reading, and returns how often it looked and everything that it saw.
    ///
    /// # Panics
    /// If the reader itself failed.
    #[must_use]
    pub fn finish(mut self) -> (u64, BTreeMap<(PathBuf, Content), Seen>) {
        self.end();
        let seen = self.seen.lock().expect("the reader has ended well").clone();
        (self.reads.load(Ordering::Relaxed), seen)
    }

    /// Stops reading, and returns everything that should not have been seen: what no committed
    /// job wrote, and what was there before its decision.
    ///
    /// `committed` are the ids of all jobs that have been committed in the end.
    #[must_use]
    pub fn bad_reads(self, committed: &BTreeSet<String>) -> (u64, Vec<String>) {
        let (reads, seen) = self.finish();
        let is_good = |content: &Content, seen: Seen| match content.job() {
            Some(job) => committed.contains(job) && seen == Seen::AfterDecision,
            None => true,
        };
        let bad = seen.iter().filter(|((_, content), seen)| !is_good(content, **seen));
        (
            reads,
            bad.map(|((path, content), seen)| format!("{path:?} {content:?} {seen:?}")).collect(),
        )
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the reader does not fail");
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn look(target: &Path, journal: &Path, seen: &Mutex<BTreeMap<(PathBuf, Content), Seen>>) {
    let Some(content) = content_of(target) else { return };
    let key = (target.to_owned(), content);
    let mut seen = seen.lock().expect("nobody fails while holding it");
    if seen.contains_key(&key) {
        return;
    }
    let decided = key.1.job().is_some_and(|job| is_decided(journal, job));
    let when = if decided { Seen::AfterDecision } else { Seen::BeforeDecision };
    seen.insert(key, when);
}

fn is_decided(journal: &Path, job: &str) -> bool {
    let stream = format!("job/{job}");
    let decision = ["job", "commit", "commit_decided"];
    written_in(journal, &stream).iter().any(|one| one.part(&decision).is_some())
}

/// Several looks fall into every step of a publication, and the processor is left to others.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(2);
