//! Tokens: a line for each, with its name, its roles, and only a hash of itself.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

use thiserror::Error;

use super::{
    Principal, Role,
    principal::{Proof, UnknownRole},
};

/// The tokens of a file, which can be read again while it serves.
#[derive(Debug)]
pub(crate) struct Tokens {
    path: PathBuf,
    lines: RwLock<Vec<Line>>,
}

/// One token: `name:hash:role,role`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    name: String,
    /// BLAKE3 of the token.
    hash: blake3::Hash,
    roles: BTreeSet<Role>,
}

impl Tokens {
    /// Reads the file.
    pub(crate) fn load(path: &Path) -> Result<Self, TokensError> {
        let lines = RwLock::new(read(path)?);
        Ok(Self { path: path.to_owned(), lines })
    }

    /// Reads the file again; if it means nothing, what was read before stays in force.
    pub(crate) fn reload(&self) -> Result<(), TokensError> {
        let lines = read(&self.path)?;
        *self.lines.write().unwrap_or_else(PoisonError::into_inner) = lines;
        Ok(())
    }

    /// Returns whose token it is, in the same time for every wrong one.
    pub(crate) fn holder(&self, token: &str) -> Option<Principal> {
        let hash = blake3::hash(token.as_bytes());
        let lines = self.lines.read().unwrap_or_else(PoisonError::into_inner);
        // All are looked at; two hashes are compared in constant time.
        let found = lines.iter().fold(None, |found, line| {
            let is_it = line.hash == hash;
            if is_it { Some(line) } else { found }
        });
        found.map(|line| Principal {
            name: line.name.clone(),
            roles: line.roles.clone(),
            proof: Proof::Token,
        })
    }
}

fn read(path: &Path) -> Result<Vec<Line>, TokensError> {
    let unreadable = |source| TokensError::Unreadable { path: path.to_owned(), source };
    let size = fs::metadata(path).map_err(unreadable)?.len();
    if size > FILE_BYTES_MAX {
        return Err(TokensError::TooLarge { path: path.to_owned(), size });
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let lines = text.lines().enumerate().filter(|(_, line)| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#')
    });
    lines
        .map(|(number, line)| {
            parse(line.trim()).map_err(|source| TokensError::Line {
                path: path.to_owned(),
                number: number + 1,
                source,
            })
        })
        .collect()
}

fn parse(line: &str) -> Result<Line, LineError> {
    let parts: Vec<&str> = line.split(':').collect();
    let [name, hash, roles] = parts[..] else { return Err(LineError::Form) };
    if name.is_empty() {
        return Err(LineError::Form);
    }
    let hash = blake3::Hash::from_hex(hash).map_err(|_| LineError::Hash)?;
    let roles = roles.split(',').map(str::trim).map(str::parse).collect::<Result<_, _>>()?;
    Ok(Line { name: name.to_owned(), hash, roles })
}

/// Why a file of tokens cannot be used.
#[derive(Debug, Error)]
pub(crate) enum TokensError {
    /// It cannot be read.
    #[error("cannot read the tokens in {path:?}")]
    Unreadable { path: PathBuf, source: io::Error },
    /// It is larger than is read.
    #[error("{path:?} has {size} bytes; at most {FILE_BYTES_MAX} are read")]
    TooLarge { path: PathBuf, size: u64 },
    /// A line means nothing; it is not shown, because it may hold a token.
    #[error("line {number} of {path:?}")]
    Line { path: PathBuf, number: usize, source: LineError },
}

/// Why a line means nothing.
#[derive(Debug, Error)]
pub(crate) enum LineError {
    /// It has not three parts.
    #[error("it is not of the form name:hash:roles; `votum token new` prints such a line")]
    Form,
    /// The hash is none.
    #[error("the second part is not a hash of 64 hexadecimal digits")]
    Hash,
    /// A role is none.
    #[error(transparent)]
    Role(#[from] UnknownRole),
}

/// Largest file of tokens.
const FILE_BYTES_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash_alone() {
        let (_dir, tokens) = tokens(&["ada:operator"]);
        let ada = tokens.holder("token of ada").unwrap();
        assert_eq!((ada.name.as_str(), ada.proof), ("ada", Proof::Token));
        assert!(ada.may(Role::Operator) && !ada.may(Role::Worker));
        assert_eq!(tokens.holder("token of bob"), None);
        assert_eq!(tokens.holder(&blake3::hash(b"token of ada").to_hex()), None);
    }

    #[test]
    fn a_token_that_was_removed_is_none_after_a_reload() {
        let (dir, tokens) = tokens(&["ada:operator", "bob:viewer"]);
        fs::write(dir.path().join("tokens"), text(&["bob:viewer"])).unwrap();
        tokens.reload().unwrap();
        assert_eq!(tokens.holder("token of ada"), None);
        assert!(tokens.holder("token of bob").is_some());
    }

    #[test]
    fn a_line_that_means_nothing_changes_nothing_and_is_not_shown() {
        let (dir, tokens) = tokens(&["ada:operator"]);
        fs::write(dir.path().join("tokens"), "# tokens\nsecret-in-clear:operator\n").unwrap();
        let refused = tokens.reload().unwrap_err().to_string();
        assert!(refused.contains("line 2") && !refused.contains("secret-in-clear"), "{refused}");
        assert!(tokens.holder("token of ada").is_some());
    }

    fn tokens(lines: &[&str]) -> (tempfile::TempDir, Tokens) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        fs::write(&path, text(lines)).unwrap();
        let tokens = Tokens::load(&path).unwrap();
        (dir, tokens)
    }

    fn text(lines: &[&str]) -> String {
        let line = |line: &&str| {
            let (name, roles) = line.split_once(':').unwrap();
            let hash = blake3::hash(format!("token of {name}").as_bytes()).to_hex();
            format!("{name}:{hash}:{roles}\n")
        };
        lines.iter().map(line).collect()
    }
}
