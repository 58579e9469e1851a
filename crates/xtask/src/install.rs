//! Puts on the machine what the tests use beyond Rust, and says so.

use crate::run::{command, say, succeed};

/// A program that tests start, and the Debian package that has it.
struct Tool {
    program: &'static str,
    package: &'static str,
}

/// Installs the missing tools where this may be done; a test whose tool is missing says so itself.
pub(crate) fn tools() -> anyhow::Result<()> {
    let missing: Vec<_> = TOOLS.iter().filter(|tool| !is_there(tool.program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().map(|tool| tool.package).collect();
    if !is_root() || !is_there("apt-get") {
        say(&format!(
            "not installed, and only root can: {}; the tests that need them say NOT RUN",
            packages.join(" ")
        ));
        return Ok(());
    }
    say(&format!("installing {}", packages.join(" ")));
    succeed(&mut command("apt-get", &["update", "-qq"]))?;
    let mut install = command("apt-get", &["install", "-y", "-qq", "--no-install-recommends"]);
    succeed(install.args(&packages).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Says whether a program is found in PATH.
pub(crate) fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn is_root() -> bool {
    let id = command("id", &["-u"]).output();
    id.is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}

const TOOLS: [Tool; 10] = [
    Tool { program: "strace", package: "strace" },
    Tool { program: "mkfs.ext4", package: "e2fsprogs" },
    Tool { program: "losetup", package: "mount" },
    Tool { program: "python3", package: "python3-minimal" },
    Tool { program: "ip", package: "iproute2" },
    Tool { program: "faketime", package: "faketime" },
    Tool { program: "nsenter", package: "util-linux" },
    Tool { program: "chromium", package: "chromium" },
    Tool { program: "curl", package: "curl" },
    Tool { program: "node", package: "nodejs" },
];
