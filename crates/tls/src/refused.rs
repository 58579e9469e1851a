//! Certificates that are refused although their authority has signed them: those that were lost or stolen.
//!
//! A file names each by the SHA-256 fingerprint of the whole certificate, as
//! `openssl x509 -noout -fingerprint -sha256` prints it. What else stands in the
//! line is for people.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use rustls::pki_types::CertificateDer;

use crate::TlsError;

/// The SHA-256 of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fingerprint([u8; SHA256_OUTPUT_LEN]);

impl Fingerprint {
    /// Takes it of a certificate.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Self {
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        bytes.copy_from_slice(digest(&SHA256, certificate).as_ref());
        Self(bytes)
    }

    /// Reads hexadecimal digits, with colons or without.
    fn parsed(text: &str) -> Option<Self> {
        let mut digits = text.chars().filter(|digit| *digit != ':').map(|digit| digit.to_digit(16));
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        for byte in &mut bytes {
            *byte = u8::try_from(digits.next()?? * 16 + digits.next()??).ok()?;
        }
        digits.next().is_none().then_some(Self(bytes))
    }
}

/// The certificates that are refused; the file can be read again.
#[derive(Debug)]
pub struct Refused {
    file: PathBuf,
    listed: RwLock<BTreeSet<Fingerprint>>,
}

impl Refused {
    /// Reads the file.
    ///
    /// # Errors
    /// [`TlsError`] when it cannot be read, or a line of it names no certificate.
    pub fn load(file: &Path) -> Result<Self, TlsError> {
        let listed = RwLock::new(read(file)?);
        Ok(Self { file: file.to_owned(), listed })
    }

    /// Reads the file again; returns how many it names.
    ///
    /// # Errors
    /// As [`Refused::load`]; what was read before stays in force.
    pub fn reload(&self) -> Result<usize, TlsError> {
        let listed = read(&self.file)?;
        let count = listed.len();
        *self.listed.write().unwrap_or_else(PoisonError::into_inner) = listed;
        Ok(count)
    }

    /// Says whether a certificate is refused.
    pub(crate) fn names(&self, fingerprint: Fingerprint) -> bool {
        self.listed.read().unwrap_or_else(PoisonError::into_inner).contains(&fingerprint)
    }
}

fn read(file: &Path) -> Result<BTreeSet<Fingerprint>, TlsError> {
    let unreadable = |source| TlsError::Unreadable { path: file.to_owned(), source };
    let text = fs::read_to_string(file).map_err(unreadable)?;
    let mut listed = BTreeSet::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // As it is printed: `sha256 Fingerprint=AB:CD…`.
        let line = line.rsplit_once("Fingerprint=").map_or(line, |(_, found)| found);
        let word = line.split_whitespace().next().unwrap_or_default();
        let unknown = || TlsError::NoFingerprint { path: file.to_owned(), line: number };
        listed.insert(Fingerprint::parsed(word).ok_or_else(unknown)?);
    }
    Ok(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_is_printed_and_as_digits() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("refused");
        let stolen = CertificateDer::from(b"stolen".to_vec());
        let Fingerprint(bytes) = Fingerprint::of(&stolen);
        let digits = bytes.map(|byte| format!("{byte:02x}")).concat();
        let printed = bytes.map(|byte| format!("{byte:02X}")).join(":");
        for line in [
            format!("# lost on the train\n\n{digits}\n"),
            format!("{digits} s7, its disk was sold"),
            format!("sha256 Fingerprint={printed}\n"),
        ] {
            fs::write(&file, line).unwrap();
            let refused = Refused::load(&file).unwrap();
            assert!(refused.names(Fingerprint::of(&stolen)));
            assert!(!refused.names(Fingerprint::of(&CertificateDer::from(b"other".to_vec()))));
        }
    }

    #[test]
    fn a_line_without_meaning_keeps_the_last_list() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("refused");
        let digits = "ab".repeat(SHA256_OUTPUT_LEN);
        fs::write(&file, &digits).unwrap();
        let refused = Refused::load(&file).unwrap();
        for wrong in ["ab", &digits[1..], &format!("{digits}a"), &digits.replace('a', "é")] {
            fs::write(&file, format!("# one\n{wrong}\n")).unwrap();
            let told = refused.reload().unwrap_err().to_string();
            assert!(told.contains("line 2"), "{told}");
            assert!(refused.names(Fingerprint([0xab; SHA256_OUTPUT_LEN])));
        }
        fs::write(&file, "").unwrap();
        assert_eq!(refused.reload().unwrap(), 0);
        assert!(!refused.names(Fingerprint([0xab; SHA256_OUTPUT_LEN])));
    }
}
