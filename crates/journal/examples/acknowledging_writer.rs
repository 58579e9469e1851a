//! Writes to a journal and says on its standard output what it was promised.
//!
//! `write FOLDER [SEGMENT_BYTES [OPERATIONS [HELD]]]` prints `ack N` when
//! operation `N` is durable; it finds out how many are held if it is not told,
//! and then acknowledges those first.
//! `force FOLDER COUNT` makes each operation forced and waits for it alone.
//! `verify FOLDER ACKED` checks that nothing acknowledged is missing.

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use votum_journal::{Journal, Opened, Urgency};

#[path = "../tests/workload/mod.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "it belongs to the tests, which use the rest")]
mod workload;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, otherwise: u64| {
        arguments.get(at).map_or(otherwise, |text| text.parse().expect("a number"))
    };
    let folder = Path::new(arguments.get(1).expect("write, force or verify, and a folder"));
    match arguments[0].as_str() {
        "write" => {
            let held = arguments.get(4).map(|_| number(4, 0));
            write(folder, number(2, 64 << 20), number(3, u64::MAX), held);
        }
        "force" => force(folder, number(2, 1)),
        "verify" => return verify(folder, number(2, 0)),
        other => panic!("{other} is none of write, force and verify"),
    }
    ExitCode::SUCCESS
}

fn write(folder: &Path, segment_bytes: u64, operations: u64, held_already: Option<u64>) {
    let mut opened = workload::open(folder, segment_bytes).expect("the journal opens");
    let mut done = held_already.unwrap_or_else(|| {
        let found = held(&opened);
        // Whoever reads it from here on relies on it.
        acknowledge(found);
        found
    });
    let end = done.saturating_add(operations);
    while done < end {
        let burst = 1 + done % 31 * 7 % 31;
        let next = done.saturating_add(burst).min(end);
        workload::perform(&mut opened, done + 1..=next);
        acknowledge(next);
        done = next;
    }
}

fn force(folder: &Path, count: u64) {
    let mut opened = workload::open(folder, 64 << 20).expect("the journal opens");
    for number in 1..=count {
        let mut entry = workload::operation(number);
        entry.urgency = Urgency::Forced;
        let lsn = opened.journal.append(entry);
        opened.reader.wait_for(lsn);
        acknowledge(number);
    }
}

fn verify(folder: &Path, acked: u64) -> ExitCode {
    let opened = match workload::open(folder, 64 << 20) {
        Ok(opened) => opened,
        Err(error) => return report(&format!("unopenable: {error}"), ExitCode::FAILURE),
    };
    let held = match workload::operations_held(&opened.journal) {
        Ok(held) => held,
        Err(differs) => return report(&format!("wrong: {differs}"), ExitCode::FAILURE),
    };
    let index = &opened.index;
    if held < acked {
        return report(&format!("lost: {acked} acknowledged, {held} held"), ExitCode::FAILURE);
    }
    report(&format!("ok {held} {index:?} {:?}", opened.torn_tail), ExitCode::SUCCESS)
}

fn held(opened: &Opened) -> u64 {
    workload::operations_held(&opened.journal).expect("the journal holds what was written")
}

fn acknowledge(number: u64) {
    // One write a line: a reader must never see half an acknowledgement.
    io::stdout().write_all(format!("ack {number}\n").as_bytes()).expect("somebody listens");
}

fn report(text: &str, code: ExitCode) -> ExitCode {
    io::stdout().write_all(format!("{text}\n").as_bytes()).expect("somebody listens");
    code
}
