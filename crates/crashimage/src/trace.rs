//! What `strace -f -y -xx` has written, taken apart into calls.

use std::collections::BTreeMap;

/// One system call that succeeded, or that passes data out.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: Vec<Argument>,
    /// What it returned; the path behind a descriptor as well.
    pub(crate) result: Argument,
    /// The number of the line at which it began.
    pub(crate) began: usize,
    /// The number of the line at which it ended.
    pub(crate) ended: usize,
}

/// One argument as it is written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Argument(String);

impl Argument {
    /// Returns the text or the bytes in quotes.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        unescaped(inner)
    }

    /// Returns the path in quotes.
    pub(crate) fn text(&self) -> Option<String> {
        String::from_utf8(self.bytes()?).ok()
    }

    /// Returns the path that a descriptor leads to.
    pub(crate) fn path(&self) -> Option<String> {
        let (_, rest) = self.0.split_once('<')?;
        String::from_utf8(unescaped(rest.strip_suffix('>')?)?).ok()
    }

    /// Returns the number that it begins with, decimal or octal.
    pub(crate) fn number(&self) -> Option<i64> {
        let digits = self.0.split(['<', ' ']).next()?;
        match digits.strip_prefix('0') {
            Some(octal) if !octal.is_empty() => i64::from_str_radix(octal, 8).ok(),
            Some(_) | None => digits.parse().ok(),
        }
    }

    /// Says whether a flag or a field is named in it.
    pub(crate) fn names(&self, flag: &str) -> bool {
        self.0.split(['|', '=', ',', '{', '}', ' ']).any(|word| word == flag)
    }

    /// Returns what a structure has in a field.
    pub(crate) fn field(&self, name: &str) -> Option<Self> {
        let (_, rest) = self.0.split_once(&format!("{name}="))?;
        let end = rest.find([',', '}']).unwrap_or(rest.len());
        Some(Self(rest[..end].to_owned()))
    }
}

/// Takes a log apart. What passes data out counts from where it begins, the rest where it ends.
pub(crate) fn calls(log: &str) -> Vec<Call> {
    let mut begun: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    let mut calls = Vec::new();
    for (number, line) in log.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(call) = rest.strip_suffix(" <unfinished ...>") {
            // What goes out may be heard before the call returns.
            if call.starts_with("write(1<") {
                calls.extend(call_of(&format!("{call}) = 0"), number, number));
            } else {
                begun.insert(thread, (number, call));
            }
        } else if let Some((_, end)) = rest.split_once(" resumed>") {
            let Some((began, start)) = begun.remove(thread) else { continue };
            calls.extend(call_of(&format!("{start}{end}"), began, number));
        } else {
            calls.extend(call_of(rest, number, number));
        }
    }
    calls
}

fn call_of(text: &str, began: usize, ended: usize) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    {
        return None;
    }
    let (arguments, rest) = arguments(rest)?;
    let result = rest.trim_start().strip_prefix("= ")?;
    if result.starts_with('-') || result.starts_with('?') {
        return None;
    }
    let (name, result) = (name.to_owned(), Argument(result.to_owned()));
    Some(Call { name, arguments, result, began, ended })
}

/// Splits at the commas that stand in nothing; returns what follows the closing bracket as well.
fn arguments(text: &str) -> Option<(Vec<Argument>, &str)> {
    let (mut depth, mut quoted, mut start) = (0_u32, false, 0);
    let mut found = Vec::new();
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            _inside if quoted => {}
            b'(' | b'{' | b'[' | b'<' => depth += 1,
            b')' if depth == 0 => {
                found.push(Argument(text[start..at].trim().to_owned()));
                return Some((found, &text[at + 1..]));
            }
            b')' | b'}' | b']' | b'>' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                found.push(Argument(text[start..at].trim().to_owned()));
                start = at + 1;
            }
            _other => {}
        }
    }
    None
}

/// Reads `\x2f\x74`; a text that strace left as it is stays as it is.
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4);
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if let [b'\\', b'x', high, low, tail @ ..] = rest {
            bytes.push(nibble(*high)? << 4 | nibble(*low)?);
            rest = tail;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_cut_in_two_counts_where_it_ended() {
        let log = "7  fsync(3<\\x2f\\x61> <unfinished ...>\n\
                   8  mkdirat(4<\\x2f\\x62>, \"\\x63\", 0755) = 0\n\
                   7  <... fsync resumed>)              = 0\n\
                   8  unlink(\"\\x2f\\x61\") = -1 ENOENT (No such file or directory)\n\
                   7  +++ exited with 0 +++\n";
        let calls = calls(log);
        let names: Vec<&str> = calls.iter().map(|call| call.name.as_str()).collect();
        assert_eq!(names, ["mkdirat", "fsync"], "what failed is none");
        assert_eq!((calls[1].began, calls[1].ended), (0, 2));
        assert_eq!(calls[1].arguments[0].path().unwrap(), "/a");
        assert_eq!(calls[0].arguments[1].text().unwrap(), "c");
        assert_eq!(calls[0].arguments[2].number(), Some(0o755));
    }

    #[test]
    fn a_structure_is_one_argument() {
        let line = "7  openat2(3<\\x2f>, \"\\x61\", {flags=O_WRONLY|O_CREAT, mode=0600}, 24) = 5<\\x2f\\x61>";
        let calls = calls(line);
        let [call] = calls.as_slice() else { panic!("{calls:?}") };
        assert_eq!(call.arguments.len(), 4);
        assert!(call.arguments[2].names("O_CREAT") && !call.arguments[2].names("O_TRUNC"));
        assert_eq!(call.arguments[2].field("mode").unwrap().number(), Some(0o600));
        assert_eq!(call.result.path().unwrap(), "/a");
    }
}
