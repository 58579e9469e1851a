//! Debian packages of the three programs, made by `dpkg-deb` out of what cargo has built.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};

use crate::run::{cargo, command, root, say, succeed};

/// One package: a program, and what belongs to it.
struct Package {
    name: &'static str,
    program: &'static str,
    what: &'static str,
    depends: &'static str,
    /// Where each file of `packaging/` goes.
    files: &'static [(&'static str, &'static str)],
    /// Has a unit, which is stopped and started around an upgrade.
    unit: Option<&'static str>,
}

/// Builds the programs and makes their packages in a folder.
pub(crate) fn run(programs: Option<PathBuf>, out: &Path) -> anyhow::Result<()> {
    let programs = match programs {
        Some(programs) => programs,
        None => {
            let packages = ["votum-coordinator", "votum-worker", "votum-client-cli"];
            let chosen = packages.iter().flat_map(|name| ["--package", name]);
            let arguments: Vec<&str> =
                ["build", "--profile", "dist"].into_iter().chain(chosen).collect();
            succeed(&mut cargo(&arguments))?;
            let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
            target.unwrap_or_else(|| root().join("target")).join("dist")
        }
    };
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    for package in &PACKAGES {
        let made = package.make(&programs, out)?;
        say(&format!("made {}", made.display()));
    }
    Ok(())
}

impl Package {
    fn make(&self, programs: &Path, out: &Path) -> anyhow::Result<PathBuf> {
        let tree = out.join(format!("{}.tree", self.name));
        if tree.exists() {
            fs::remove_dir_all(&tree)?;
        }
        put(&programs.join(self.program), &tree.join("usr/bin").join(self.program), 0o755)?;
        for (from, to) in self.files {
            put(&root().join("crates/xtask/packaging").join(from), &tree.join(to), 0o644)?;
        }
        let copyright = tree.join("usr/share/doc").join(self.name).join("copyright");
        write(&copyright, COPYRIGHT, 0o644)?;
        let architecture = self.control(&tree)?;
        let made = out.join(format!("{}_{VERSION}_{architecture}.deb", self.name));
        let mut build = command("dpkg-deb", &["--root-owner-group", "--build"]);
        succeed(build.arg(&tree).arg(&made))?;
        fs::remove_dir_all(&tree)?;
        Ok(made)
    }

    /// Writes what dpkg reads; returns the machine's architecture.
    fn control(&self, tree: &Path) -> anyhow::Result<String> {
        let asked = command("dpkg", &["--print-architecture"]).output().context("no dpkg")?;
        ensure!(asked.status.success(), "dpkg does not say the architecture");
        let architecture = String::from_utf8(asked.stdout)?.trim().to_owned();
        let Self { name, what, depends, .. } = self;
        let control = format!(
            "Package: {name}\nVersion: {VERSION}\nArchitecture: {architecture}\nSection: admin\n\
             Priority: optional\nMaintainer: The Votum developers <votum@localhost>\n\
             Depends: {depends}\nDescription: {what}\n All-or-nothing jobs across many machines.\n"
        );
        let folder = tree.join("DEBIAN");
        write(&folder.join("control"), &control, 0o644)?;
        let kept = self.files.iter().filter(|(_, to)| to.starts_with("etc/"));
        let kept: String = kept.map(|(_, to)| format!("/{to}\n")).collect();
        if !kept.is_empty() {
            write(&folder.join("conffiles"), &kept, 0o644)?;
        }
        if let Some(unit) = self.unit {
            write(&folder.join("postinst"), &POSTINST.replace("UNIT", unit), 0o755)?;
            write(&folder.join("prerm"), &PRERM.replace("UNIT", unit), 0o755)?;
            write(&folder.join("postrm"), POSTRM, 0o755)?;
        }
        Ok(architecture)
    }
}

fn put(from: &Path, to: &Path, mode: u32) -> anyhow::Result<()> {
    let folder = to.parent().context("a file lies in a folder")?;
    fs::create_dir_all(folder)?;
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(fs::set_permissions(to, fs::Permissions::from_mode(mode))?)
}

fn write(to: &Path, text: &str, mode: u32) -> anyhow::Result<()> {
    let folder = to.parent().context("a file lies in a folder")?;
    fs::create_dir_all(folder)?;
    fs::write(to, text)?;
    Ok(fs::set_permissions(to, fs::Permissions::from_mode(mode))?)
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
const PACKAGES: [Package; 3] = [
    Package {
        name: "votum",
        program: "votum",
        what: "command line of Votum",
        depends: "libc6",
        files: &[],
        unit: None,
    },
    Package {
        name: "votum-coordinator",
        program: "votum-coordinator",
        what: "coordinator of Votum",
        depends: "libc6, systemd",
        files: &[
            ("coordinator.toml", "etc/votum/coordinator.toml"),
            ("systemd/votum-coordinator.service", "lib/systemd/system/votum-coordinator.service"),
            ("systemd/votum-coordinator.sysusers", "usr/lib/sysusers.d/votum-coordinator.conf"),
        ],
        unit: Some("votum-coordinator.service"),
    },
    Package {
        name: "votum-worker",
        program: "votum-worker",
        what: "worker of Votum",
        depends: "libc6, systemd",
        files: &[
            ("worker.toml", "etc/votum/worker.toml"),
            ("systemd/votum-worker.service", "lib/systemd/system/votum-worker.service"),
            ("systemd/votum-worker.sysusers", "usr/lib/sysusers.d/votum-worker.conf"),
        ],
        unit: Some("votum-worker.service"),
    },
];
const COPYRIGHT: &str = "Votum is licensed under MIT or Apache-2.0, at your choice.\n";
/// A worker leaves its tasks running when it is restarted, so that an upgrade may do that.
const POSTINST: &str = "#!/bin/sh
set -e
if [ \"$1\" = configure ]; then
    command -v systemd-sysusers >/dev/null && systemd-sysusers || true
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        # What was not enabled is not started: its settings come first.
        systemctl is-enabled --quiet UNIT && systemctl restart UNIT || true
    fi
fi
";
const PRERM: &str = "#!/bin/sh
set -e
if [ \"$1\" = remove ] && [ -d /run/systemd/system ]; then
    systemctl disable --now UNIT || true
fi
";
const POSTRM: &str = "#!/bin/sh
set -e
# Data directories stay: they hold what was promised.
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
fi
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::is_there;

    #[test]
    fn each_package_has_its_program_its_unit_and_its_settings() {
        if !is_there("dpkg-deb") {
            return say("NOT RUN: dpkg-deb is not installed");
        }
        let folder = std::env::temp_dir().join(format!("votum-packages-{}", std::process::id()));
        let (programs, out) = (folder.join("programs"), folder.join("out"));
        for package in &PACKAGES {
            write(&programs.join(package.program), "#!/bin/sh\n", 0o755).unwrap();
        }
        run(Some(programs), &out).unwrap();

        for package in &PACKAGES {
            let made = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path());
            let is_meant = |path: &PathBuf| {
                path.file_name()
                    .unwrap()
                    .to_string_lossy()
                    .starts_with(&format!("{}_", package.name))
            };
            let deb = made.into_iter().find(is_meant).unwrap();
            let listed = told(command("dpkg-deb", &["--contents"]).arg(&deb));
            assert!(listed.contains("-rwxr-xr-x root/root"), "{listed}");
            for (_, file) in package.files {
                assert!(listed.contains(&format!(" ./{file}\n")), "{file} is missing: {listed}");
            }
            let fields = told(command("dpkg-deb", &["--field"]).arg(&deb));
            assert!(fields.contains(&format!("Package: {}\n", package.name)), "{fields}");
            assert!(fields.contains(&format!("Version: {VERSION}\n")), "{fields}");
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_units_are_what_systemd_understands() {
        if !is_there("systemd-analyze") {
            return say("NOT RUN: systemd-analyze is not installed");
        }
        let folder = std::env::temp_dir().join(format!("votum-units-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for package in PACKAGES.iter().filter_map(|package| package.unit) {
            let unit = root().join("crates/xtask/packaging/systemd").join(package);
            let text = fs::read_to_string(unit).unwrap();
            assert!(text.contains("Type=notify\n") && text.contains("WatchdogSec="), "{package}");
            // It is a mount of its own, from which a worker could publish nothing.
            let has_mount = text.lines().any(|line| line.starts_with("StateDirectory="));
            assert_eq!(has_mount, package == "votum-coordinator.service", "{package}");
            // The programs need not be installed where this is tried.
            let lines =
                text.lines().map(|line| match line.strip_prefix("ExecStart=/usr/bin/votum-") {
                    Some(_) => "ExecStart=/bin/true",
                    None => line,
                });
            let tried = folder.join(package);
            fs::write(&tried, lines.collect::<Vec<_>>().join("\n")).unwrap();
            let mut verify = command("systemd-analyze", &["verify", "--man=no"]);
            let output = verify.arg(&tried).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && !said.contains(package), "{said}");
        }
        fs::remove_dir_all(folder).unwrap();
    }

    fn told(asked: &mut std::process::Command) -> String {
        let output = asked.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}
