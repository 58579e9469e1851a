//! The only file that names sled: an ordered map of small keys and values, kept in a folder.
//!
//! sled 0.34.7 does not sync what it says it flushed, may panic in `open`, and may
//! take a half-made snapshot for a whole one. Nothing here is the truth, so each
//! of these costs a rebuild and no record.

use std::{
    collections::BTreeMap,
    error::Error,
    fs::{self, File},
    io,
    ops::Bound,
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use thiserror::Error;

use crate::{
    entry::KeyValue,
    folder::{INDEX, sync_folder},
    trust,
};

/// Says what went wrong in the index.
#[derive(Debug, Error)]
pub enum IndexError {
    /// Its engine reported an error.
    #[error("the index reports an error")]
    Reported(#[source] Box<dyn Error + Send + Sync>),
    /// Its engine panicked.
    #[error("the index panicked")]
    Panicked,
    /// The operating system refused.
    #[error("the index cannot use its files")]
    Io(#[from] io::Error),
}

/// The index's map, cheap to clone and usable from any thread.
///
/// When the last clone is dropped the index is closed and marked as whole.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    opened: Arc<Opened>,
}

#[derive(Debug)]
struct Opened {
    journal: PathBuf,
    /// There until it is dropped.
    map: Option<sled::Db>,
    distrusted: AtomicBool,
}

/// Changes to apply together: a value to put, or nothing to remove the key.
pub(crate) type Batch = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

impl Index {
    /// Opens the index below the journal's folder, or makes an empty one.
    pub(crate) fn open(journal: &Path) -> Result<Self, IndexError> {
        let folder = journal.join(INDEX);
        fs::create_dir_all(&folder)?;
        remove_half_made_snapshots(&folder)?;
        await_release(&folder)?;
        let config = sled::Config::new()
            .path(&folder)
            .flush_every_ms(None)
            .cache_capacity(CACHE_BYTES)
            .mode(sled::Mode::HighThroughput);
        let map = with_prefixed_panics(|| catch_unwind(AssertUnwindSafe(|| config.open())))
            .map_err(|_panic| IndexError::Panicked)?
            .map_err(reported)?;
        sync_folder(journal)?;
        let (journal, distrusted) = (journal.to_owned(), AtomicBool::new(false));
        Ok(Self { opened: Arc::new(Opened { journal, map: Some(map), distrusted }) })
    }

    /// Says whether there is an index to open.
    pub(crate) fn exists(journal: &Path) -> bool {
        journal.join(INDEX).join(DATABASE).exists()
    }

    /// Moves a doubtful index out of the way; the one moved before it is removed.
    pub(crate) fn set_aside(journal: &Path) -> io::Result<()> {
        let (folder, aside) = (journal.join(INDEX), journal.join("index.doubted"));
        if !folder.exists() {
            return Ok(());
        }
        if aside.exists() {
            fs::remove_dir_all(&aside)?;
        }
        fs::rename(folder, aside)?;
        sync_folder(journal)
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        self.guarded(|map| Ok(map.get(key)?.map(|value| value.to_vec())))
    }

    /// Returns at most `limit` keys below `prefix` that follow `after`, in order.
    pub(crate) fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<KeyValue>, IndexError> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            Some(_) | None => Bound::Included(prefix),
        };
        self.guarded(|map| {
            let mut found = Vec::new();
            for item in map.range::<&[u8], _>((from, Bound::Unbounded)).take(limit) {
                let (key, value) = item?;
                if !key.starts_with(prefix) {
                    break;
                }
                found.push((key.to_vec(), value.to_vec()));
            }
            Ok(found)
        })
    }

    /// Applies the changes, all or none of them, without waiting for the disk.
    pub(crate) fn apply(&self, changes: Batch) -> Result<(), IndexError> {
        let mut batch = sled::Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        self.guarded(|map| map.apply_batch(batch))
    }

    /// Makes everything applied durable, which only shortens the next start.
    pub(crate) fn checkpoint(&self) -> Result<(), IndexError> {
        self.guarded(|map| map.flush())?;
        let database = self.opened.journal.join(INDEX).join(DATABASE);
        Ok(File::open(database)?.sync_data()?)
    }

    /// Has the next start rebuild the index.
    pub(crate) fn withdraw_trust(&self) {
        self.opened.distrusted.store(true, Ordering::SeqCst);
        // Without the mark the next start finds out for itself, one crash later.
        let _ = trust::withdraw(&self.opened.journal);
    }

    /// Turns a panic of the engine into an error, and remembers either for the next start.
    fn guarded<T>(
        &self,
        work: impl FnOnce(&sled::Db) -> Result<T, sled::Error>,
    ) -> Result<T, IndexError> {
        let map = self.opened.map.as_ref().expect("the map is there until the drop");
        let result = match catch_unwind(AssertUnwindSafe(|| work(map))) {
            Ok(result) => result.map_err(reported),
            Err(_panic) => Err(IndexError::Panicked),
        };
        result.inspect_err(|_| self.withdraw_trust())
    }
}

impl Opened {
    fn close(&mut self) -> Result<(), IndexError> {
        let folder = self.journal.join(INDEX);
        let Some(map) = self.map.take() else { return Ok(()) };
        let drop_map = AssertUnwindSafe(|| {
            map.flush()?;
            drop(map);
            Ok(())
        });
        catch_unwind(drop_map).map_err(|_panic| IndexError::Panicked)?.map_err(reported)?;
        await_release(&folder)?;
        for item in fs::read_dir(&folder)? {
            File::open(item?.path())?.sync_all()?;
        }
        sync_folder(&folder)?;
        if !self.distrusted.load(Ordering::SeqCst) {
            trust::close(&self.journal)?;
        }
        Ok(())
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // An index that is not marked as closed is only believed within this boot.
        let _ = self.close();
    }
}

fn reported(error: sled::Error) -> IndexError {
    IndexError::Reported(Box::new(error))
}

/// Removes what a crash in `open` leaves, which the next `open` would take for the newest snapshot.
fn remove_half_made_snapshots(folder: &Path) -> io::Result<()> {
    for item in fs::read_dir(folder)? {
        let path = item?.path();
        if path.extension().is_some_and(|extension| extension == "generating") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Waits until the engine's threads have let go of the database.
fn await_release(folder: &Path) -> io::Result<()> {
    match File::open(folder.join(DATABASE)) {
        Ok(database) => database.lock(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Says before a panic message that it concerns the index and is dealt with.
fn with_prefixed_panics<T>(work: impl FnOnce() -> T) -> T {
    // Two journals that open at once would each restore the other's hook.
    let _one_at_a_time = HOOK.lock().unwrap_or_else(PoisonError::into_inner);
    let hook: Arc<dyn Fn(&PanicHookInfo<'_>) + Send + Sync> = Arc::from(take_hook());
    let inner = Arc::clone(&hook);
    set_hook(Box::new(move |panic| {
        announce_panic();
        inner(panic);
    }));
    let result = work();
    set_hook(Box::new(move |panic| hook(panic)));
    result
}

#[expect(clippy::print_stderr, reason = "a panic message goes to stderr, and this belongs to it")]
fn announce_panic() {
    eprintln!("the index does not open and will be rebuilt from the journal; its last words:");
}

static HOOK: Mutex<()> = Mutex::new(());
/// The engine's data file.
const DATABASE: &str = "db";
/// What the engine may keep in memory; its default is a gigabyte.
const CACHE_BYTES: u64 = 64 << 20;
