//! The same contract without a disk: what is appended, what is durable, and a crash between them.
//!
//! Tests and the simulator use it where the disk is not the subject. It is also
//! the plainest statement of what bearings and keys mean, against which the
//! journal on the disk is compared.

use std::{collections::BTreeMap, fmt};

use crate::{
    Entry, Journal, Lsn, ReadError, Stored, Stream, Urgency,
    entry::{Bearing, KeyChange, KeyValue},
};

/// A journal in memory.
pub struct InMemory {
    durable: Content,
    pending: Vec<Pending>,
    last: Lsn,
    epoch: u64,
    syncs: Syncs,
}

/// Who decides when records become durable.
enum Syncs {
    /// Whoever calls [`InMemory::sync`].
    WhenTold,
    /// The journal itself: at once with each forced record.
    AtOnce(Box<dyn Fn(Lsn) + Send>),
}

impl InMemory {
    /// Makes an empty journal whose records become durable when [`sync`](Self::sync) is called.
    #[must_use]
    pub fn new() -> Self {
        let (durable, syncs) = (Content::default(), Syncs::WhenTold);
        Self { durable, pending: Vec::new(), last: Lsn::NONE, epoch: 0, syncs }
    }

    /// Makes an empty journal that syncs with each forced record and reports it at once.
    #[must_use]
    pub fn syncing_at_once(on_durable: impl Fn(Lsn) + Send + 'static) -> Self {
        Self { syncs: Syncs::AtOnce(Box::new(on_durable)), ..Self::new() }
    }

    /// Makes everything appended so far durable and says how far that is.
    pub fn sync(&mut self) -> Lsn {
        for pending in self.pending.drain(..) {
            self.durable.apply(pending);
        }
        if let Syncs::AtOnce(on_durable) = &self.syncs {
            on_durable(self.last);
        }
        self.last
    }

    /// Returns what a crash leaves: the durable records, in a journal that syncs when told.
    #[must_use]
    pub fn crash(self) -> Self {
        let (last, epoch) = (self.durable(), self.epoch);
        Self { durable: self.durable, last, epoch, ..Self::new() }
    }

    /// Returns the entries that a crash would lose.
    pub fn undurable(&self) -> impl Iterator<Item = &Entry> {
        self.pending.iter().map(|pending| &pending.entry)
    }
}

impl Default for InMemory {
    fn default() -> Self {
        Self::new()
    }
}

impl Journal for InMemory {
    fn append(&mut self, entry: Entry) -> Lsn {
        if let Err(invalid) = entry.check() {
            panic!("an entry is checked before it is appended: {invalid}");
        }
        self.last = self.last.next();
        let urgency = entry.urgency;
        self.pending.push(Pending { lsn: self.last, epoch: self.epoch, entry });
        match (&self.syncs, urgency) {
            (Syncs::AtOnce(_), Urgency::Forced) => self.sync(),
            (Syncs::AtOnce(_), Urgency::Lazy) | (Syncs::WhenTold, _) => self.last,
        }
    }

    fn durable(&self) -> Lsn {
        self.pending.first().map_or(self.last, |pending| pending.lsn.previous())
    }

    fn set_epoch(&mut self, epoch: u64) {
        self.epoch = epoch;
    }

    fn read(&self, stream: &Stream) -> Result<Vec<Stored>, ReadError> {
        let held = self.durable.streams.get(stream);
        Ok(held.map(|held| held.records.clone()).unwrap_or_default())
    }

    fn open_streams(&self) -> Result<Vec<Stream>, ReadError> {
        let open = self.durable.streams.iter().filter(|(_, held)| held.is_open);
        Ok(open.map(|(stream, _)| stream.clone()).collect())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.durable.keys.get(key).map(|(_, value)| value.clone()))
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<KeyValue>, ReadError> {
        let from = self.durable.keys.range(prefix.to_vec()..);
        let below = from.take_while(|(key, _)| key.starts_with(prefix));
        let found = below.filter(|(key, _)| after.is_none_or(|after| key.as_slice() > after));
        Ok(found.take(limit).map(|(key, (_, value))| (key.clone(), value.clone())).collect())
    }
}

impl fmt::Debug for InMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemory")
            .field("durable", &self.durable())
            .field("appended", &self.last)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

struct Pending {
    lsn: Lsn,
    epoch: u64,
    entry: Entry,
}

/// What a sequence of records amounts to.
#[derive(Default)]
struct Content {
    streams: BTreeMap<Stream, Held>,
    keys: BTreeMap<Vec<u8>, (Stream, Vec<u8>)>,
}

#[derive(Default)]
struct Held {
    is_open: bool,
    records: Vec<Stored>,
}

impl Content {
    fn apply(&mut self, Pending { lsn, epoch, entry }: Pending) {
        let Entry { stream, version, bearing, keys, payload, urgency } = entry;
        match bearing {
            Bearing::Continues | Bearing::Closes => {}
            Bearing::Restates | Bearing::Forgets => {
                self.streams.remove(&stream);
                self.keys.retain(|_, (holder, _)| *holder != stream);
            }
        }
        if bearing == Bearing::Forgets {
            return;
        }
        let held = self.streams.entry(stream.clone()).or_default();
        held.is_open = bearing != Bearing::Closes;
        held.records.push(Stored { lsn, epoch, urgency, version, payload });
        for change in keys {
            match change {
                KeyChange::Put { key, value } => {
                    self.keys.insert(key, (stream.clone(), value));
                }
                KeyChange::Remove { key } => {
                    if self.keys.get(&key).is_some_and(|(holder, _)| *holder == stream) {
                        self.keys.remove(&key);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_loses_what_was_not_synced() {
        let mut journal = InMemory::new();
        journal.append(entry("job/a", Bearing::Continues, 1));
        assert_eq!(journal.sync(), Lsn(1));
        journal.append(entry("job/a", Bearing::Continues, 2));
        assert_eq!(journal.undurable().count(), 1);

        let mut survivor = journal.crash();

        assert_eq!(survivor.durable(), Lsn(1));
        assert_eq!(payloads(&survivor, "job/a"), [[1]]);
        assert_eq!(survivor.append(entry("job/a", Bearing::Continues, 3)), Lsn(2));
    }

    #[test]
    fn a_forced_record_takes_the_lazy_ones_along() {
        let (sender, reports) = std::sync::mpsc::sync_channel(8);
        let mut journal = InMemory::syncing_at_once(move |lsn| sender.send(lsn).unwrap());
        journal.append(Entry { urgency: Urgency::Lazy, ..entry("job/a", Bearing::Continues, 1) });
        assert_eq!(journal.durable(), Lsn::NONE);
        journal.append(entry("job/a", Bearing::Continues, 2));
        assert_eq!(reports.try_iter().collect::<Vec<_>>(), [Lsn(2)]);
        assert_eq!(payloads(&journal, "job/a"), [[1], [2]]);
    }

    #[test]
    fn bearings_say_what_is_left_of_a_stream() {
        let mut journal = InMemory::new();
        for (stream, bearing) in [
            ("job/a", Bearing::Continues),
            ("job/a", Bearing::Restates),
            ("job/b", Bearing::Closes),
            ("job/c", Bearing::Continues),
            ("job/c", Bearing::Forgets),
        ] {
            journal.append(entry(stream, bearing, 7));
        }
        journal.sync();
        assert_eq!(journal.open_streams().unwrap(), [Stream::new("job/a").unwrap()]);
        assert_eq!(payloads(&journal, "job/a").len(), 1);
        assert_eq!(payloads(&journal, "job/b").len(), 1);
        assert_eq!(payloads(&journal, "job/c").len(), 0);
    }

    fn entry(stream: &str, bearing: Bearing, payload: u8) -> Entry {
        Entry {
            stream: Stream::new(stream).unwrap(),
            urgency: Urgency::Forced,
            version: 1,
            bearing,
            keys: Vec::new(),
            payload: vec![payload],
        }
    }

    fn payloads(journal: &InMemory, stream: &str) -> Vec<Vec<u8>> {
        let records = journal.read(&Stream::new(stream).unwrap()).unwrap();
        records.into_iter().map(|stored| stored.payload).collect()
    }
}
