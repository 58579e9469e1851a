//! Asks for a checkpoint as files: a program writes one and waits for the answer beside it.
//!
//! The folder is the program's own, so nothing in it is believed: names are
//! taken as they are listed, no link is followed, and little is read.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use crate::event::Ask;

/// Asks by the names of their files.
pub(crate) type NamedAsks = Vec<(String, Ask)>;

/// Returns the asks that have no answer and are not in `told`, a bounded number of them,
/// and those of `told` that are still there.
pub(crate) fn open(
    dir: &Path,
    mut told: BTreeSet<String>,
) -> io::Result<(NamedAsks, BTreeSet<String>)> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(dir)?.take(NAMES_MAX) {
        names.extend(entry?.file_name().into_string());
    }
    let is_open = |name: &&String| {
        !name.contains('.') && !names.contains(&format!("{name}{ANSWER}")) && !told.contains(*name)
    };
    let open = names.iter().filter(is_open).take(ASKS_AT_ONCE);
    let asks = open.filter_map(|name| Some((name.clone(), read(&dir.join(name), name).ok()??)));
    let asks = asks.collect();
    told.retain(|name| names.contains(name));
    Ok((asks, told))
}

/// Reads what is asked for; what means nothing is no ask.
fn read(path: &Path, name: &str) -> io::Result<Option<Ask>> {
    let mut options = OpenOptions::new();
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).expect("flags of open are an int");
    let file: File = options.read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let mut text = String::new();
    file.take(ASK_BYTES_MAX).read_to_string(&mut text)?;
    let request = name.to_owned();
    let mut words = text.split_whitespace();
    Ok(match (words.next(), words.next().map(str::parse)) {
        (Some("checkpoint"), None) => Some(Ask::Task { request }),
        (Some("step"), Some(Ok(done))) => Some(Ask::Step { request, done }),
        (Some(_) | None, _) => None,
    })
}

/// Lays an answer beside an ask, all of it or nothing.
pub(crate) fn answer(dir: &Path, request: &str, text: &str) -> io::Result<()> {
    let aside = dir.join(format!("{request}{ANSWER}.new"));
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // A link that stands there is not followed: the file must be new.
    let mut file = OpenOptions::new().write(true).create_new(true).open(&aside)?;
    file.write_all(format!("{}\n", text.replace('\n', " ")).as_bytes())?;
    // The program may be of another user.
    file.set_permissions(fs::Permissions::from_mode(0o644))?;
    fs::rename(&aside, dir.join(format!("{request}{ANSWER}")))
}

const ANSWER: &str = ".answer";
const ASK_BYTES_MAX: u64 = 64;
/// So many files of a program's folder are looked at.
const NAMES_MAX: usize = 4096;
/// So many asks are handed on at once.
const ASKS_AT_ONCE: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ask_is_open_until_it_is_answered() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "checkpoint\n").unwrap();
        fs::write(dir.path().join("b"), "step 3\n").unwrap();
        fs::write(dir.path().join("c.new"), "checkpoint").unwrap();
        let first = Ask::Task { request: "a".into() };
        let second = Ask::Step { request: "b".into(), done: 3 };
        let told = || BTreeSet::from(["b".to_owned(), "gone".to_owned()]);
        let asks = open(dir.path(), BTreeSet::new()).unwrap().0;
        assert_eq!(asks, [("a".to_owned(), first), ("b".to_owned(), second.clone())]);

        answer(dir.path(), "a", "sealed\n7").unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("a.answer")).unwrap(), "sealed 7\n");
        assert_eq!(open(dir.path(), BTreeSet::new()).unwrap().0, [("b".to_owned(), second)]);
        let still = BTreeSet::from(["b".to_owned()]);
        assert_eq!(open(dir.path(), told()).unwrap(), (Vec::new(), still));
    }

    #[test]
    fn what_is_no_ask_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "step many").unwrap();
        fs::write(dir.path().join("b"), "sudo").unwrap();
        fs::create_dir(dir.path().join("c")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join("d")).unwrap();
        assert_eq!(open(dir.path(), BTreeSet::new()).unwrap().0, []);
    }
}
