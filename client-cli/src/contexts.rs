//! Clusters by name: the contexts of `~/.config/votum/config.toml`.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{args::Global, exit::Exit, fault::Fault};

/// Everything that is in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contexts {
    /// The one that counts if none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// By name.
    #[serde(default)]
    pub contexts: BTreeMap<String, Entry>,
}

/// How one cluster is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Where its coordinator listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Authority of the coordinator's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_ca: Option<String>,
    /// Certificate that says who asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<String>,
    /// Key of the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<String>,
    /// File with the token that says who asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<String>,
}

impl Entry {
    /// What can be said of a cluster.
    pub(crate) const KEYS: [&str; 5] = ["address", "tls_ca", "tls_cert", "tls_key", "token_file"];

    /// Sets what is called so, or takes it away if it is empty.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> Result<(), Fault> {
        let place = match key {
            "address" => &mut self.address,
            "tls_ca" => &mut self.tls_ca,
            "tls_cert" => &mut self.tls_cert,
            "tls_key" => &mut self.tls_key,
            "token_file" => &mut self.token_file,
            _other => {
                let known = Self::KEYS.join(", ");
                return Err(Fault::usage(format!("{key:?} is not one of {known}")));
            }
        };
        *place = Some(value.to_owned()).filter(|value| !value.is_empty());
        Ok(())
    }

    /// Returns what is set, by name.
    pub(crate) fn values(&self) -> Vec<(&'static str, &str)> {
        let Self { address, tls_ca, tls_cert, tls_key, token_file } = self;
        let all = [address, tls_ca, tls_cert, tls_key, token_file];
        let set = Self::KEYS.into_iter().zip(all);
        set.filter_map(|(key, value)| Some((key, value.as_deref()?))).collect()
    }
}

impl Contexts {
    /// Reads the file; one that is not there is empty.
    pub(crate) fn read(path: &Path) -> Result<Self, Fault> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Fault::unreadable(path, &error)),
        };
        toml::from_str(&text).map_err(|error| {
            Fault::new(Exit::Usage, "CONFIG", format!("{}: {error}", path.display()))
        })
    }

    /// Writes the file anew, whole or not at all; nobody else may read it.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Fault> {
        let text = toml::to_string(self).expect("names and texts become TOML");
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let draft = path.with_extension("toml.new");
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(fs::rename(&draft, path)?)
    }

    /// Returns the context that is meant.
    pub(crate) fn named(&self, name: &str) -> Result<&Entry, Fault> {
        self.contexts.get(name).ok_or_else(|| {
            let words = format!("there is no context {name}");
            Fault::new(Exit::Usage, "NO_SUCH_CONTEXT", words)
                .hint("which there are:  votum config list")
                .hint(format!("make it:          votum config set {name} address=URL"))
        })
    }
}

/// Fills in what the command line leaves open.
pub(crate) fn choose(mut global: Global) -> Result<Global, Fault> {
    let Some(path) = path() else { return Ok(global) };
    let contexts = Contexts::read(&path)?;
    let Some(name) = global.context.clone().or_else(|| contexts.current.clone()) else {
        return Ok(global);
    };
    let Entry { address, tls_ca, tls_cert, tls_key, token_file } = contexts.named(&name)?.clone();
    // An address that is given directly is another cluster: nobody there is shown this one's files.
    if global.address.is_some() && global.context.is_none() {
        return Ok(global);
    }
    global.address = global.address.or(address);
    let given = &mut global.credentials;
    let places = [
        (&mut given.tls_ca, tls_ca),
        (&mut given.tls_cert, tls_cert),
        (&mut given.tls_key, tls_key),
        (&mut given.token_file, token_file),
    ];
    for (place, of_context) in places {
        if place.is_none() {
            *place = of_context.map(|path| below_home(&path));
        }
    }
    Ok(global)
}

/// Reads a path of the file: `~/` is the home directory.
fn below_home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        (Some(_) | None, _) => PathBuf::from(path),
    }
}

/// Returns where the file is: below `VOTUM_CONFIG_DIR`, else by the rules of XDG.
pub(crate) fn path() -> Option<PathBuf> {
    let given = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = given("VOTUM_CONFIG_DIR").or_else(|| {
        let base = given("XDG_CONFIG_HOME").or_else(|| env::home_dir().map(|h| h.join(".config")));
        base.map(|base| base.join("votum"))
    });
    folder.map(|folder| folder.join("config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_survive_the_file_and_errors_name_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("votum").join("config.toml");
        assert_eq!(Contexts::read(&path).unwrap(), Contexts::default());
        let mut contexts = Contexts { current: Some("prod".to_owned()), ..Contexts::default() };
        let mut entry = Entry::default();
        entry.set("address", "http://votum.example.com:7070").unwrap();
        contexts.contexts.insert("prod".to_owned(), entry);
        contexts.write(&path).unwrap();
        assert_eq!(Contexts::read(&path).unwrap(), contexts);

        fs::write(&path, "curent = 'x'\n").unwrap();
        let wrong = Contexts::read(&path).unwrap_err().to_string();
        assert!(wrong.contains("config.toml") && wrong.contains("curent"), "{wrong}");
        assert!(Entry::default().set("adress", "x").is_err());
    }
}
