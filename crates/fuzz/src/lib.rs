//! Damaged input for every door: good input with damage that one number decides.
//!
//! A door is a function that reads bytes from outside. What it may do with bytes that mean
//! nothing is refuse them; what it may not do is panic, hang or take memory without bound. A
//! test calls [`feed`] with the door, good input (the seeds) and a folder of files that were
//! interesting once (the corpus), which become seeds as well.
//!
//! By itself a test gives its door as many inputs as it says. `VOTUM_FUZZ_SECONDS` lets it run
//! for a time instead, `VOTUM_SEED` decides the damage.

mod damage;

use std::{
    env, fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, TryRecvError, sync_channel},
    thread,
    time::Duration,
};

use damage::Damager;

/// Where bytes come in.
#[derive(Debug, Clone, Copy)]
pub struct Door<'a> {
    /// Its name: a few words without spaces.
    pub name: &'a str,
    /// How many inputs it is given where no time is set.
    pub rounds: u64,
    /// The folder of files that were interesting once.
    pub corpus: Option<&'a Path>,
}

/// How much memory the process may gain while a door is fed.
pub const GROWTH_MAX: u64 = 256 << 20;

/// Feeds a door with damaged seeds, one after the other.
///
/// # Panics
/// If the door does, with the input kept in a file below the folder of temporary files, whose
/// path is told; if there is no seed; if the process has grown by more than [`GROWTH_MAX`].
pub fn feed(door: Door<'_>, seeds: &[Vec<u8>], read: impl Fn(&[u8])) {
    let Door { name, rounds, corpus } = door;
    let mut seeds = seeds.to_vec();
    seeds.extend(corpus.into_iter().flat_map(files));
    assert!(!seeds.is_empty(), "{name} has no seed");
    let before = memory_peak();
    for seed in &seeds {
        try_one(name, seed, &read);
    }
    let mut damager = Damager::new(number("VOTUM_SEED").unwrap_or(1), name);
    let budget = Budget::set(rounds);
    let mut round = 0;
    while budget.allows(round) {
        try_one(name, &damager.damaged(&seeds), &read);
        round += 1;
    }
    let grown = memory_peak().saturating_sub(before);
    assert!(grown <= GROWTH_MAX, "{name} took {grown} bytes more");
}

/// How long a door is fed.
enum Budget {
    Rounds(u64),
    /// Until nobody holds the other end any more.
    Time(Receiver<()>),
}

impl Budget {
    fn set(rounds: u64) -> Self {
        let Some(seconds) = number("VOTUM_FUZZ_SECONDS") else { return Self::Rounds(rounds) };
        let (held, until) = sync_channel(0);
        thread::spawn(move || {
            // Nothing is ever sent to it: it waits for the time alone.
            let (_never, nothing) = sync_channel::<()>(0);
            let _over = nothing.recv_timeout(Duration::from_secs(seconds));
            drop(held);
        });
        Self::Time(until)
    }

    fn allows(&self, round: u64) -> bool {
        match self {
            Self::Rounds(rounds) => round < *rounds,
            Self::Time(until) => until.try_recv() == Err(TryRecvError::Empty),
        }
    }
}

fn try_one(name: &str, input: &[u8], read: &impl Fn(&[u8])) {
    // The door is given nothing that outlives it in a half-made state.
    if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(|| read(input))) {
        let kept = keep(name, input);
        panic!("{name} panicked at {}: {}", kept.display(), words(&*panic));
    }
}

/// Writes an input down, so that it can be looked at and put into the corpus.
fn keep(name: &str, input: &[u8]) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let path = env::temp_dir().join(format!("votum-fuzz-{name}-{:016x}", hasher.finish()));
    // If it cannot be written, the panic is told all the same.
    let _ = fs::write(&path, input);
    path
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "without words".to_owned())
}

/// Reads the files of a corpus, in the order of their names.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("no corpus in {}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths.into_iter().filter_map(|path| fs::read(path).ok()).collect()
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// Returns the most memory that this process ever had, in bytes; zero where nobody tells.
fn memory_peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or_default() * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_that_panics_is_found_and_its_input_kept() {
        let read = |input: &[u8]| assert!(input.len() < 7, "too long");
        let seeds = [b"magic?".to_vec()];
        let found = panic::catch_unwind(|| feed(door("long"), &seeds, read)).unwrap_err();
        let told = words(&*found);
        assert!(told.contains("too long"), "{told}");
        let path = told.split(" at ").nth(1).and_then(|rest| rest.split(": ").next()).unwrap();
        assert!(fs::read(path).unwrap().len() >= 7);
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_door_that_takes_memory_is_found() {
        let greedy = Door { rounds: 5, ..door("greedy") };
        let read = |input: &[u8]| {
            if input.len() != 4 {
                // Touched, so that it is really taken.
                let taken = vec![1_u8; usize::try_from(GROWTH_MAX).unwrap() + (64 << 20)];
                assert!(taken.iter().step_by(4096).all(|byte| *byte == 1));
            }
        };
        let found = panic::catch_unwind(|| feed(greedy, &[b"abcd".to_vec()], read)).unwrap_err();
        assert!(words(&*found).contains("more"), "{}", words(&*found));
    }

    fn door(name: &str) -> Door<'_> {
        Door { name, rounds: 2_000, corpus: None }
    }
}
