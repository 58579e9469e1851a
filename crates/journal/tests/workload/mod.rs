//! A workload of which every operation follows from its number, so that any process can check any other.
//!
//! Forty operations make a round: a job's records of all sizes, its keys, its
//! end, a restated stream beside it, and the forgetting of an older job. What a
//! journal must hold after `n` operations is what the same ones make of an
//! [`InMemory`] one.

use std::{collections::BTreeSet, path::Path};

use votum_journal::{
    Bearing, Entry, InMemory, Journal, KeyChange, OnDisk, OpenError, Opened, Options, Stored,
    Stream, Urgency,
};

/// Returns operation `number`; the first one is 1.
pub(crate) fn operation(number: u64) -> Entry {
    let (round, step) = ((number - 1) / ROUND, (number - 1) % ROUND);
    let job = |round: u64| format!("job/j{round}");
    let (stream, bearing) = match step {
        0..30 => (job(round), Bearing::Continues),
        30..33 => ("cluster".to_owned(), Bearing::Continues),
        33 => ("cluster".to_owned(), Bearing::Restates),
        35 => (job(round), Bearing::Closes),
        36 if round >= JOBS_KEPT => (job(round - JOBS_KEPT), Bearing::Forgets),
        39 if round % 5 == 0 => ("worker/s1".to_owned(), Bearing::Restates),
        _other => ("worker/s1".to_owned(), Bearing::Continues),
    };
    let put = |key: String, value: &str| KeyChange::Put { key: key.into(), value: value.into() };
    let keys = match step {
        0 => vec![put(job(round), "running")],
        10 => vec![put(format!("target/t{}", round % 5), &round.to_string())],
        20 => vec![KeyChange::Remove { key: format!("target/t{}", round % 5).into() }],
        33 => vec![put("cluster/round".to_owned(), &round.to_string())],
        35 => vec![put(job(round), "done")],
        _other => Vec::new(),
    };
    let forced = number.is_multiple_of(3) || bearing == Bearing::Closes;
    Entry {
        stream: Stream::new(stream).unwrap(),
        urgency: if forced { Urgency::Forced } else { Urgency::Lazy },
        version: u16::try_from(number % 7).unwrap(),
        bearing,
        keys,
        payload: payload(number),
    }
}

/// Says how many operations a journal holds, or what is wrong with it.
pub(crate) fn operations_held(journal: &impl Journal) -> Result<u64, String> {
    let newest = newest_visible(journal);
    let mut model = InMemory::new();
    for number in 1..=newest {
        model.append(operation(number));
    }
    model.sync();
    let Some(differs) = difference(journal, &model) else { return Ok(newest) };
    // A record that forgets its stream leaves no payload to tell of it.
    model.append(operation(newest + 1));
    model.sync();
    match difference(journal, &model) {
        None if operation(newest + 1).bearing == Bearing::Forgets => Ok(newest + 1),
        None | Some(_) => Err(format!("after operation {newest}: {differs}")),
    }
}

/// Says in which way two journals hold different things.
pub(crate) fn difference(found: &impl Journal, expected: &impl Journal) -> Option<String> {
    let content = |stored: Vec<Stored>| -> Vec<_> {
        stored.into_iter().map(|stored| (stored.epoch, stored.version, stored.payload)).collect()
    };
    let (open, open_expected) = (found.open_streams().unwrap(), expected.open_streams().unwrap());
    if open != open_expected {
        return Some(format!("open streams are {open:?}, not {open_expected:?}"));
    }
    for stream in streams(found).union(&streams(expected)) {
        let (read, wanted) = (found.read(stream).unwrap(), expected.read(stream).unwrap());
        if content(read.clone()) != content(wanted.clone()) {
            let numbers = |stored: &[Stored]| -> Vec<_> {
                stored.iter().filter_map(|stored| number(&stored.payload)).collect()
            };
            let (read, wanted) = (numbers(&read), numbers(&wanted));
            return Some(format!("{stream} holds {read:?}, not {wanted:?}"));
        }
    }
    let keys = |journal: &dyn Journal| journal.scan(b"", None, usize::MAX).unwrap();
    (keys(found) != keys(expected)).then(|| "the keys differ".to_owned())
}

/// Opens a journal with small delays, in segments of `segment_bytes`.
pub(crate) fn open(folder: &Path, segment_bytes: u64) -> Result<Opened, OpenError> {
    let options = Options {
        segment_bytes,
        lazy_sync: std::time::Duration::from_millis(5),
        ..Options::new(CLUSTER)
    };
    OnDisk::open(folder, options, |_| ())
}

/// Appends operations and waits until they are durable.
pub(crate) fn perform(opened: &mut Opened, numbers: impl IntoIterator<Item = u64>) {
    let last = numbers.into_iter().map(|number| opened.journal.append(operation(number))).last();
    opened.reader.wait_for(last.unwrap_or_default());
}

fn newest_visible(journal: &impl Journal) -> u64 {
    let all = streams(journal).into_iter().flat_map(|stream| journal.read(&stream).unwrap());
    all.filter_map(|stored| number(&stored.payload)).max().unwrap_or(0)
}

/// Returns every stream that the workload can have left: jobs are found by their keys.
fn streams(journal: &impl Journal) -> BTreeSet<Stream> {
    let jobs = journal.scan(b"job/", None, usize::MAX).unwrap();
    let jobs = jobs.into_iter().map(|(key, _)| String::from_utf8(key).unwrap());
    let others = ["cluster", "worker/s1"].map(str::to_owned);
    jobs.chain(others).map(|name| Stream::new(name).unwrap()).collect()
}

fn number(payload: &[u8]) -> Option<u64> {
    payload.first_chunk().map(|number| u64::from_le_bytes(*number))
}

/// Mostly small, some of a page, few of many pages.
fn payload(number: u64) -> Vec<u8> {
    let mut random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let length = match next() % 100 {
        0 => 60_000,
        1..10 => 4_000,
        _most => 16 + next() % 384,
    };
    let mut payload = number.to_le_bytes().to_vec();
    while (payload.len() as u64) < length {
        payload.extend_from_slice(&next().to_le_bytes());
    }
    payload
}

/// The cluster of all journals of the tests.
pub(crate) const CLUSTER: [u8; 16] = *b"a test's cluster";
const ROUND: u64 = 40;
/// A job is forgotten so many rounds after it began.
const JOBS_KEPT: u64 = 6;
