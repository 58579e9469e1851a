//! Whatever somebody does to a good job file: it is read, or refused with a place, and nothing panics.

use std::fs;

use proptest::{collection::vec, prelude::*, sample::Index};

use super::{super::*, repository};

/// What happens to a text.
#[derive(Debug, Clone)]
enum Damage {
    /// A byte becomes another.
    Byte(Index, u8),
    /// A piece is lost.
    Cut(Index, usize),
    /// A piece stands there twice.
    Twice(Index, usize),
    /// Something is put in that means something in one of the syntaxes.
    Insert(Index, &'static str),
    /// The rest is lost.
    End(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = any::<Index>;
    prop_oneof![
        (place(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        (place(), 1..40_usize).prop_map(|(at, length)| Damage::Cut(at, length)),
        (place(), 1..200_usize).prop_map(|(at, length)| Damage::Twice(at, length)),
        (place(), prop::sample::select(&PIECES[..]))
            .prop_map(|(at, piece)| Damage::Insert(at, piece)),
        place().prop_map(Damage::End),
    ]
}

fn applied(mut text: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        if text.is_empty() {
            break;
        }
        match damage {
            Damage::Byte(at, byte) => {
                let at = at.index(text.len());
                text[at] = *byte;
            }
            Damage::Cut(at, length) => {
                let at = at.index(text.len());
                text.drain(at..text.len().min(at + length));
            }
            Damage::Twice(at, length) => {
                let at = at.index(text.len());
                let piece = text[at..text.len().min(at + length)].to_vec();
                text.splice(at..at, piece);
            }
            Damage::Insert(at, piece) => {
                let at = at.index(text.len());
                text.splice(at..at, piece.bytes());
            }
            Damage::End(at) => text.truncate(at.index(text.len())),
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_job_file_is_read_or_refused_with_its_place(
        file in prop::sample::select(&FILES[..]),
        damages in vec(damage(), 1..5),
        syntax in prop::option::of(prop::sample::select(&SYNTAXES[..])),
    ) {
        let whole = fs::read(repository(file)).unwrap();
        let text = applied(whole, &damages);
        let syntax = syntax.unwrap_or_else(|| Syntax::of(Path::new(file)));
        let read = parse("f", &text, Some(syntax), &GivenParams::default(), MissingParams::StoodIn);
        if let Err(rejection) = read {
            let lines = rejection.one_line_each();
            prop_assert!(!lines.is_empty());
            for line in lines {
                let mut parts = line.splitn(4, ':');
                prop_assert_eq!(parts.next(), Some("f"));
                let line_of = parts.next().and_then(|number| number.parse::<usize>().ok());
                let column = parts.next().and_then(|number| number.parse::<usize>().ok());
                prop_assert!(line_of > Some(0) && column > Some(0), "{}", line);
                prop_assert!(parts.next().is_some_and(|words| words.len() > 2), "{}", line);
            }
            prop_assert!(rejection.to_string().contains("--> f:"));
        }
    }
}

const FILES: [&str; 6] = [
    "client-cli/tests/job_files/every-field.yaml",
    "client-cli/tests/job_files/every-field.toml",
    "client-cli/tests/job_files/every-field.json",
    "docs/examples/reservation.yaml",
    "docs/examples/resumable.yaml",
    "client-cli/src/templates/fanout.yaml",
];
const SYNTAXES: [Syntax; 3] = [Syntax::Yaml, Syntax::Toml, Syntax::Json];
const PIECES: [&str; 22] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    ": ",
    "\n",
    "\n  - ",
    "&a ",
    "*a",
    "!!str ",
    "\t",
    "${{",
    "}}",
    "= ",
    "\u{0}",
    "null",
    "\n---\n",
    "<<: ",
    "999999999999999999999",
    "é\u{2028}",
];
