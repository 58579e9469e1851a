//! Names the revision that this program is built of, where that is known for certain.
//!
//! It is looked at again when the checkout moves to another revision, and when a source changes
//! from which this program is built anew in any case: nothing else is built more often for it.
//! Without git, without a checkout, and inside of somebody else's, the version alone is named.

use std::{env, fs, path::Path, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let revision = env::var_os("CARGO_MANIFEST_DIR").and_then(|own| revision(Path::new(&own)));
    let (build, revision) = match revision {
        Some(revision) => (format!("{version} ({revision})"), revision),
        None => (version, String::new()),
    };
    println!("cargo::rustc-env=VOTUM_BUILD={build}");
    println!("cargo::rustc-env=VOTUM_REVISION={revision}");
}

/// Returns the revision of the checkout that a package lies in, if its root is that of the sources.
fn revision(package: &Path) -> Option<String> {
    let root = package.parent()?.canonicalize().ok()?;
    if Path::new(&git(&root, &["rev-parse", "--show-toplevel"])?) != root {
        return None;
    }
    for name in ["HEAD", "packed-refs", "refs/heads"] {
        let path = root.join(git(&root, &["rev-parse", "--git-path", name])?);
        // What is not there counts as changed each time.
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    let sources = sources(&root)?;
    for source in &sources {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    let revision = git(&root, &["rev-parse", "--short=12", "HEAD"])?;
    let status = ["status", "--porcelain", "--untracked-files=all", "--"];
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let changed = git(&root, &[&status[..], &sources].concat())?;
    Some(if changed.is_empty() { revision } else { format!("{revision}, changed") })
}

fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(text.trim_end().to_owned())
}

/// Lists what is built into this program.
fn sources(root: &Path) -> Option<Vec<String>> {
    let mut packages = vec!["client-cli".to_owned(), "coordinator".to_owned(), "worker".to_owned()];
    for folder in fs::read_dir(root.join("crates")).ok()? {
        packages.push(format!("crates/{}", folder.ok()?.file_name().to_str()?));
    }
    packages.sort_unstable();
    let of = |package: &String| ["Cargo.toml", "src"].map(|part| format!("{package}/{part}"));
    let whole = ["Cargo.lock", "Cargo.toml", "client-cli/build.rs", "proto"];
    let all = whole.map(str::to_owned).into_iter().chain(packages.iter().flat_map(of));
    Some(all.filter(|path| root.join(path).exists()).collect())
}
