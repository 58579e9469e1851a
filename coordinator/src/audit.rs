//! Who did what, when, from where, and what came of it: a line for each request that changes
//! something, refused ones included.
//!
//! The lines are for people and their tools; what the coordinator itself relies
//! on is in the journal, which names who asked as well. A line is written and
//! synced soon after its answer, never before it is given: an answer does not
//! wait for it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use jiff::Timestamp;
use serde::Serialize;
use votum_machine::WallTime;

/// Where the lines go; clones write into one file.
#[derive(Debug, Clone)]
pub(crate) struct Audit {
    lines: SyncSender<Line>,
    lost: Arc<AtomicU64>,
}

/// One request, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deed {
    /// When it was answered.
    pub(crate) at: WallTime,
    /// Who asked; none if nobody proved to be anybody.
    pub(crate) by: Option<String>,
    /// How the name is known.
    pub(crate) proof: &'static str,
    /// From where.
    pub(crate) from: Option<SocketAddr>,
    /// The call, such as `votum.v1.JobService/CancelJob`.
    pub(crate) call: String,
    /// What it was about, such as `jobs/nightly-k3f9x2ab`, if the request got so far.
    pub(crate) about: Option<String>,
    /// The word of its code: `OK` or why it was refused.
    pub(crate) outcome: String,
    /// The reason of a refusal.
    pub(crate) reason: Option<String>,
}

/// A deed as it is written.
#[derive(Debug, Serialize)]
struct Line {
    at: String,
    by: Option<String>,
    proof: &'static str,
    from: Option<SocketAddr>,
    call: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<String>,
    outcome: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// How many lines before it were lost because the disk did not keep up.
    #[serde(skip_serializing_if = "is_zero")]
    lost: u64,
}

impl Audit {
    /// Goes on with the file of a folder.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let book = Book::open(folder.join(NAME), FILE_BYTES_MAX)?;
        let (lines, written) = sync_channel(LINES_MAX);
        thread::Builder::new().name("audit".to_owned()).spawn(move || keep(book, &written))?;
        Ok(Self { lines, lost: Arc::default() })
    }

    /// Notes a deed; one that cannot be noted at once is counted in a later line.
    pub(crate) fn note(&self, deed: Deed) {
        let Deed { at, by, proof, from, call, about, outcome, reason } = deed;
        let at = i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let at = at.unwrap_or(Timestamp::MAX).to_string();
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let line = Line { at, by, proof, from, call, about, outcome, reason, lost };
        if self.lines.try_send(line).is_err() {
            self.lost.fetch_add(lost + 1, Ordering::Relaxed);
            tracing::error!("a line of the audit log is lost: its disk does not keep up");
        }
    }
}

/// Writes lines until nobody can note any more; several at a time share one sync.
fn keep(mut book: Book, lines: &Receiver<Line>) {
    while let Ok(first) = lines.recv() {
        let mut text = Vec::new();
        let more = lines.try_iter().take(BATCH_MAX);
        for line in std::iter::once(first).chain(more) {
            serde_json::to_writer(&mut text, &line).expect("texts become JSON");
            text.push(b'\n');
        }
        if let Err(error) = book.write(&text) {
            tracing::error!(%error, file = %book.path.display(), "cannot write the audit log");
        }
    }
}

/// The file, and the older ones beside it.
#[derive(Debug)]
struct Book {
    path: PathBuf,
    file: File,
    size: u64,
    size_max: u64,
}

impl Book {
    fn open(path: PathBuf, size_max: u64) -> io::Result<Self> {
        let file = append_to(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, file, size, size_max })
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        if self.size >= self.size_max {
            self.turn_over()?;
        }
        self.file.write_all(text)?;
        self.size += text.len() as u64;
        self.file.sync_data()
    }

    /// Begins a new file; the oldest one goes.
    fn turn_over(&mut self) -> io::Result<()> {
        let older = |number: u32| self.path.with_extension(format!("{number}.jsonl"));
        for number in (1..OLDER_KEPT).rev() {
            match fs::rename(older(number), older(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        fs::rename(&self.path, older(1))?;
        self.file = append_to(&self.path)?;
        self.size = 0;
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(lost: &u64) -> bool {
    *lost == 0
}

const NAME: &str = "audit.jsonl";
/// A file that has grown to this is put aside.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// So many are kept beside the one that is written.
const OLDER_KEPT: u32 = 8;
/// Most lines that wait for the disk.
const LINES_MAX: usize = 4096;
/// Most lines that share a sync, after the first.
const BATCH_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_put_aside_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let mut book = Book::open(folder.path().join(NAME), 10).unwrap();
        for number in 0..=OLDER_KEPT + 2 {
            book.write(format!("line number {number}\n").as_bytes()).unwrap();
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read(NAME), "line number 10\n");
        assert_eq!(read("audit.1.jsonl"), "line number 9\n");
        assert_eq!(read("audit.8.jsonl"), "line number 2\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 9);
    }

    #[test]
    fn a_deed_is_one_line_of_json() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::open(folder.path()).unwrap();
        audit.note(Deed {
            at: WallTime(1_767_225_600_000),
            by: Some("ada".to_owned()),
            proof: "certificate",
            from: Some("192.0.2.1:7".parse().unwrap()),
            call: "votum.v1.JobService/CancelJob".to_owned(),
            about: Some("jobs/nightly-a".to_owned()),
            outcome: "OK".to_owned(),
            reason: None,
        });
        let path = folder.path().join(NAME);
        let line = loop {
            let text = fs::read_to_string(&path).unwrap();
            if text.ends_with('\n') {
                break text;
            }
            thread::yield_now();
        };
        assert_eq!(
            line,
            "{\"at\":\"2026-01-01T00:00:00Z\",\"by\":\"ada\",\"proof\":\"certificate\",\
             \"from\":\"192.0.2.1:7\",\"call\":\"votum.v1.JobService/CancelJob\",\
             \"about\":\"jobs/nightly-a\",\"outcome\":\"OK\"}\n"
        );
    }
}
