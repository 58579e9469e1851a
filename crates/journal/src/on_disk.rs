//! The journal on a disk: how it is opened, and the side of it that appends.

use std::{
    fmt, io,
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{
    Entry, IndexState, Journal, Lsn, OpenError, ReadError, Reader, Stored, Stream, TornTail,
    backlog::Backlog,
    committer::{Committer, end_process},
    entry::KeyValue,
    error::At,
    folder,
    observer::{SyncObserver, Unobserved},
    reclaim::Reclaim,
    recovery, replay,
    segment::{Active, Header},
    sequences::Sequences,
    tally::Tally,
    watermark::Watermark,
};

/// How a journal is made and kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The cluster of a journal that does not exist yet; an existing one keeps its own.
    pub cluster_if_created: [u8; 16],
    /// How large a segment becomes before the next one is made.
    pub segment_bytes: u64,
    /// How long a lazy record may wait, from when the committer finds it, for a sync to join.
    pub lazy_sync: Duration,
    /// The same for a lazy record that closes its stream: somebody may wait for the end. No longer
    /// than the other one, whatever is set.
    pub closing_sync: Duration,
}

impl Options {
    /// Returns the usual options: segments of 64 MiB, lazy records durable after 100 ms, and those
    /// that close a stream no sooner.
    #[must_use]
    pub fn new(cluster_if_created: [u8; 16]) -> Self {
        let (segment_bytes, lazy_sync) = (64 << 20, Duration::from_millis(100));
        Self { cluster_if_created, segment_bytes, lazy_sync, closing_sync: lazy_sync }
    }
}

/// A journal that was opened, and what was found.
#[derive(Debug)]
pub struct Opened {
    /// Appends.
    pub journal: OnDisk,
    /// Reads; clone it for other threads.
    pub reader: Reader,
    /// The cluster whose journal this is.
    pub cluster: [u8; 16],
    /// The highest epoch of any record, 0 if there is none.
    pub epoch: u64,
    /// The streams that are neither closed nor forgotten, in order.
    pub open_streams: Vec<Stream>,
    /// What had to be done with the index.
    pub index: IndexState,
    /// What was cut off the end of the log, if a crash had left something there.
    pub torn_tail: Option<TornTail>,
}

/// The journal on a disk: the side that appends, of which there is one.
///
/// Dropping it commits what was appended and closes the index.
pub struct OnDisk {
    reader: Reader,
    backlog: Arc<Backlog>,
    sequences: Sequences,
    epoch: u64,
    committer: Option<JoinHandle<()>>,
}

impl OnDisk {
    /// Opens the journal in `folder`, or makes one, and recovers it.
    ///
    /// `on_durable` is called on the committer thread each time more is durable
    /// and indexed; it must not wait for anything.
    ///
    /// # Errors
    /// [`OpenError`] when the folder is in use, or when the log cannot be trusted.
    pub fn open(
        folder: &Path,
        options: Options,
        on_durable: impl Fn(Lsn) + Send + 'static,
    ) -> Result<Opened, OpenError> {
        Self::open_observed(folder, options, on_durable, Unobserved)
    }

    /// Does the same, and tells an observer about every sync of a group.
    ///
    /// # Errors
    /// [`OpenError`] when the folder is in use, or when the log cannot be trusted.
    pub fn open_observed(
        folder: &Path,
        options: Options,
        on_durable: impl Fn(Lsn) + Send + 'static,
        observer: impl SyncObserver + 'static,
    ) -> Result<Opened, OpenError> {
        let lock = Arc::new(folder::occupy(folder)?);
        let mut segments = recovery::survey(folder)?;
        if segments.is_empty() {
            create_first(folder, &options)?;
            segments = recovery::survey(folder)?;
        }
        let newest = segments.last_entry().expect("a journal has a segment").remove();
        let tail = newest.read_last(&mut |_, _| Ok(()))?;
        if let Some(torn) = &tail.torn {
            recovery::cut(torn)?;
        }
        let (cluster, durable) = (newest.header.cluster, tail.next.previous());
        let closed = segments.iter().map(|(first, segment)| (*first, segment.length)).collect();
        let bytes_max = options.segment_bytes;
        let active =
            Active::resume(folder, newest.header, tail.end, tail.last, tail.epoch, bytes_max);
        let active = active.at(&newest.path)?;
        let active_first = newest.header.first;
        segments.insert(newest.header.first, newest);
        let (catalogue, index) = replay::attach(folder, &segments, cluster, durable)?;
        let open_streams = catalogue.open_streams()?;
        let live = catalogue.live_bytes()?;

        let backlog = Arc::new(Backlog::new(tail.next));
        let watermark = Arc::new(Watermark::new(durable));
        let tally = Arc::new(Tally::default());
        let committer = Committer {
            journal: folder.to_owned(),
            cluster,
            segment_bytes: bytes_max,
            lazy_sync: options.lazy_sync,
            closing_sync: options.closing_sync.min(options.lazy_sync),
            backlog: Arc::clone(&backlog),
            watermark: Arc::clone(&watermark),
            tally: Arc::clone(&tally),
            active,
            catalogue: catalogue.clone(),
            reclaim: Reclaim::new(cluster, bytes_max, closed, active_first, live),
            on_durable: Box::new(on_durable),
            observer: Box::new(observer),
            unchecked_bytes: 0,
        };
        let committer = spawn(committer).at(folder)?;
        let journal = Arc::new(folder.to_owned());
        let reader = Reader { journal, cluster, catalogue, watermark, tally, lock };
        let sequences = Sequences::default();
        let (epoch, torn_tail) = (tail.epoch, tail.torn);
        let journal =
            Self { reader: reader.clone(), backlog, sequences, epoch, committer: Some(committer) };
        Ok(Opened { journal, reader, cluster, epoch, open_streams, index, torn_tail })
    }

    /// Returns the side that reads.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }
}

impl Journal for OnDisk {
    fn append(&mut self, entry: Entry) -> Lsn {
        if let Err(invalid) = entry.check() {
            panic!("an entry is checked before it is appended: {invalid}");
        }
        self.sequences.indexed(self.reader.durable());
        let (stream, bearing) = (entry.stream.clone(), entry.bearing);
        let catalogue = &self.reader.catalogue;
        let indexed = || Ok(catalogue.extent(&stream)?.map(|extent| extent.next));
        let sequence = self.sequences.next(&stream, indexed).unwrap_or_else(|error: ReadError| {
            end_process(&self.reader.journal, &format!("{error}, the next start rebuilds it"))
        });
        let lsn = self.backlog.push(entry, sequence, self.epoch);
        self.sequences.appended(stream, sequence, bearing, lsn);
        lsn
    }

    fn durable(&self) -> Lsn {
        self.reader.durable()
    }

    fn set_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
    }

    fn read(&self, stream: &Stream) -> Result<Vec<Stored>, ReadError> {
        self.reader.read(stream)
    }

    fn open_streams(&self) -> Result<Vec<Stream>, ReadError> {
        self.reader.open_streams()
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        self.reader.get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<KeyValue>, ReadError> {
        self.reader.scan(prefix, after, limit)
    }
}

impl Drop for OnDisk {
    fn drop(&mut self) {
        self.backlog.close();
        if let Some(committer) = self.committer.take() {
            // The thread ends the process itself rather than panic.
            let _ = committer.join();
        }
    }
}

impl fmt::Debug for OnDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnDisk")
            .field("reader", &self.reader)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

fn create_first(folder: &Path, options: &Options) -> Result<(), OpenError> {
    let cluster = options.cluster_if_created;
    let header = Header { cluster, first: Lsn(1), previous: None, epoch: 0 };
    Active::create(folder, header, options.segment_bytes).at(folder)?;
    Ok(())
}

fn spawn(committer: Committer) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("journal".to_owned()).spawn(|| committer.run())
}
