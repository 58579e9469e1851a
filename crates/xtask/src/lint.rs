//! What a reviewer should not have to say: format, lints, documentation, licences, .proto style.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::{
    install,
    run::{cargo, command, root, say, succeed},
};

/// Runs every check and stops at the first that fails.
pub(crate) fn run() -> anyhow::Result<()> {
    succeed(&mut cargo(&["fmt", "--all", "--check"]))?;
    succeed(&mut cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "--deny",
        "warnings",
    ]))?;
    succeed(
        cargo(&["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    licences()?;
    protos()
}

/// Fails on a dependency whose licence is not on the list.
fn licences() -> anyhow::Result<()> {
    let metadata = cargo(&["metadata", "--format-version", "1", "--locked"])
        .output()
        .context("cannot start cargo metadata")?;
    ensure!(metadata.status.success(), "cargo metadata failed");
    let metadata: Value = serde_json::from_slice(&metadata.stdout)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let mut refused = BTreeSet::new();
    for package in packages {
        let licence = package["license"].as_str().unwrap_or_default();
        if !allowed(licence) {
            refused.insert(format!("{} ({licence:?})", package["name"]));
        }
    }
    ensure!(refused.is_empty(), "licences that are not allowed: {refused:?}");
    say(&format!("licences of {} packages are allowed", packages.len()));
    Ok(())
}

/// Reads an SPDX expression: every part of an AND, any part of an OR.
fn allowed(expression: &str) -> bool {
    let expression = expression.replace(['(', ')'], " ").replace('/', " OR ");
    expression.split(" AND ").all(|all| {
        all.split(" OR ").any(|any| {
            let name = any.split(" WITH ").next().unwrap_or_default().trim();
            LICENCES.contains(&name)
        })
    })
}

/// Lints the .proto files with buf, where npm can bring it.
fn protos() -> anyhow::Result<()> {
    if !install::is_there("npm") {
        say("NOT RUN: buf lint needs npm");
        return Ok(());
    }
    let tools = root().join("target/tools");
    let buf = tools.join("node_modules/.bin/buf");
    if !buf.exists() {
        let prefix = tools.to_string_lossy().into_owned();
        succeed(&mut command("npm", &["install", "--silent", "--prefix", &prefix, BUF]))?;
    }
    succeed(command(&buf.to_string_lossy(), &["lint"]).current_dir(root().join("proto")))
}

const LICENCES: [&str; 13] = [
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unlicense",
    "CC0-1.0",
    "0BSD",
    "Unicode-3.0",
    "BSL-1.0",
    // Of certificates as data.
    "CDLA-Permissive-2.0",
];

const BUF: &str = "@bufbuild/buf";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_allowed_alternative_is_enough() {
        assert!(allowed("GPL-3.0 OR MIT"));
        assert!(allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(allowed("Apache-2.0 WITH LLVM-exception"));
        assert!(!allowed("MIT AND GPL-3.0"));
        assert!(!allowed(""));
    }
}
