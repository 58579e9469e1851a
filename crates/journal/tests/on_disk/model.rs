//! Random records, restarts and lost indexes, against the journal in memory.

use std::fs;

use proptest::{prelude::*, test_runner::Config};
use votum_journal::{Bearing, Entry, InMemory, Journal, KeyChange, Opened, Urgency};

use super::{entry, workload};

proptest! {
    #![proptest_config(Config { cases: 16, failure_persistence: None, ..Config::default() })]

    #[test]
    fn the_disk_holds_what_the_model_holds(steps in prop::collection::vec(any_step(), 1..80)) {
        let folder = tempfile::tempdir().unwrap();
        let mut model = InMemory::new();
        let mut opened = Some(workload::open(folder.path(), SEGMENT_BYTES).unwrap());
        for step in steps {
            match step {
                Step::Append(entries) => {
                    let journal = opened.as_mut().unwrap();
                    append(journal, &mut model, entries);
                    check(journal, &model)?;
                }
                Step::Restart => {
                    drop(opened.take());
                    opened = Some(workload::open(folder.path(), SEGMENT_BYTES).unwrap());
                    check(opened.as_ref().unwrap(), &model)?;
                }
                Step::LoseIndex => {
                    drop(opened.take());
                    fs::remove_dir_all(folder.path().join("index")).unwrap();
                    opened = Some(workload::open(folder.path(), SEGMENT_BYTES).unwrap());
                    check(opened.as_ref().unwrap(), &model)?;
                }
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<Entry>),
    Restart,
    LoseIndex,
}

fn append(opened: &mut Opened, model: &mut InMemory, entries: Vec<Entry>) {
    let mut last = None;
    for entry in entries {
        model.append(entry.clone());
        last = Some(opened.journal.append(entry));
    }
    model.sync();
    opened.reader.wait_for(last.unwrap_or_default());
}

fn check(opened: &Opened, model: &InMemory) -> Result<(), TestCaseError> {
    for name in NAMES {
        let stream = super::stream(name);
        let payloads = |journal: &dyn Journal| -> Vec<_> {
            journal.read(&stream).unwrap().into_iter().map(|stored| stored.payload).collect()
        };
        prop_assert_eq!(payloads(&opened.journal), payloads(model), "{}", stream);
    }
    let keys = |journal: &dyn Journal| journal.scan(b"", None, usize::MAX).unwrap();
    prop_assert_eq!(keys(&opened.journal), keys(model));
    prop_assert_eq!(opened.journal.open_streams().unwrap(), model.open_streams().unwrap());
    Ok(())
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => prop::collection::vec(any_entry(), 1..12).prop_map(Step::Append),
        2 => Just(Step::Restart),
        1 => Just(Step::LoseIndex),
    ]
}

/// Every stream has its own keys, and so never takes one over from another.
fn any_entry() -> impl Strategy<Value = Entry> {
    let bearing = prop_oneof![
        12 => Just(Bearing::Continues),
        2 => Just(Bearing::Restates),
        1 => Just(Bearing::Closes),
        2 => Just(Bearing::Forgets),
    ];
    let changes = prop::collection::vec((0..3_u8, any::<Option<u8>>()), 0..3);
    let payload = (any::<u8>(), 1..900_usize);
    (0..NAMES.len(), bearing, changes, payload, any::<bool>()).prop_map(
        |(name, bearing, changes, (byte, length), forced)| {
            let keys = changes.into_iter().filter_map(|(key, value)| {
                let key = format!("{}/{key}", NAMES[name]).into_bytes();
                match value {
                    Some(_) if bearing == Bearing::Forgets => None,
                    Some(value) => Some(KeyChange::Put { key, value: vec![value] }),
                    None => Some(KeyChange::Remove { key }),
                }
            });
            let urgency = if forced { Urgency::Forced } else { Urgency::Lazy };
            let payload = vec![byte; length];
            Entry { urgency, bearing, keys: keys.collect(), ..entry(NAMES[name], &payload) }
        },
    )
}

const NAMES: [&str; 5] = ["cluster", "job/a", "job/ab", "job/b", "worker/s1"];
const SEGMENT_BYTES: u64 = 8 << 10;
