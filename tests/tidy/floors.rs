//! Which package stands on which floor, and what the manifests say about it.

use std::{fs, path::Path};

use crate::sources::root;

/// One package of the workspace, as its manifest describes it.
pub(crate) struct Package {
    /// Such as `votum-job`.
    pub(crate) name: String,
    /// The packages of this workspace that it uses.
    pub(crate) dependencies: Vec<String>,
    /// Everything that it uses, without what only its tests use.
    pub(crate) libraries: Vec<String>,
}

/// Reads every manifest.
pub(crate) fn packages() -> Vec<Package> {
    let root = root();
    let mut folders: Vec<_> =
        ["proto", "coordinator", "worker", "client-cli"].map(|name| root.join(name)).into();
    for entry in fs::read_dir(root.join("crates")).unwrap() {
        folders.push(entry.unwrap().path());
    }
    folders.iter().map(|folder| package(folder)).collect()
}

fn package(folder: &Path) -> Package {
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let name = format!("votum-{}", folder.file_name().unwrap().to_string_lossy());
    assert!(
        manifest.contains(&format!("name = \"{name}\"")),
        "the package in {} must be called {name}",
        folder.display()
    );
    let mut libraries = Vec::new();
    let mut inside = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line == "[dependencies]";
        } else if inside
            && let Some(name) = line.split(['.', ' ', '=']).next()
            && !name.is_empty()
            && !name.starts_with('#')
        {
            libraries.push(name.to_owned());
        }
    }
    let ours = |name: &&String| name.starts_with("votum-");
    Package { name, dependencies: libraries.iter().filter(ours).cloned().collect(), libraries }
}

/// Says whether an arrow points down.
pub(crate) fn may_depend(from: &str, to: &str) -> bool {
    // Crash points lie below everything that acts.
    to == "votum-crashpoint"
        || floor(from) > floor(to)
        || ABOVE_WIRE.contains(&(from, to))
        || PROGRAMS.contains(&(from, to))
}

/// Returns the floor of a package.
fn floor(package: &str) -> usize {
    let stands = |floor: &&[&str]| floor.contains(&package);
    FLOORS.iter().position(stands).unwrap_or_else(|| panic!("{package} stands on no floor"))
}

const FLOORS: [&[&str]; 5] = [
    &[
        "votum-ids",
        "votum-machine",
        "votum-journal",
        "votum-proto",
        "votum-crashimage",
        "votum-crashpoint",
        "votum-fuzz",
        "votum-xtask",
    ],
    &["votum-job", "votum-commit", "votum-shadow", "votum-process", "votum-driver", "votum-tls"],
    &[
        "votum-schedule",
        "votum-settle",
        "votum-wire",
        "votum-client",
        "votum-transfer",
        "votum-metrics",
        "votum-settings",
    ],
    &["votum-coordinator", "votum-worker", "votum-client-cli"],
    // It measures the others from outside, and a few of them from inside.
    &["votum-bench"],
];
/// Two packages of floor 2 stand above `wire`.
const ABOVE_WIRE: [(&str, &str); 2] =
    [("votum-client", "votum-wire"), ("votum-transfer", "votum-wire")];
/// The command line starts the two daemons for `votum dev`.
const PROGRAMS: [(&str, &str); 2] =
    [("votum-client-cli", "votum-coordinator"), ("votum-client-cli", "votum-worker")];
