//! Where everything of a development cluster lies, and on which ports.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

/// The directory of a development cluster.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Makes the directory, or takes the one that is there.
    pub(crate) fn create(root: &Path) -> io::Result<Self> {
        let root = std::path::absolute(root)?;
        std::fs::create_dir_all(root.join("logs"))?;
        let layout = Self { root };
        std::fs::create_dir_all(layout.coordinator())?;
        Ok(layout)
    }

    /// Makes the directories of a worker.
    pub(crate) fn create_worker(&self, name: &str) -> io::Result<()> {
        std::fs::create_dir_all(self.worker(name))?;
        std::fs::create_dir_all(self.publish_root(name))
    }

    /// The whole of it.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Data of the coordinator.
    pub(crate) fn coordinator(&self) -> PathBuf {
        self.root.join("s0")
    }

    /// Data of a worker.
    pub(crate) fn worker(&self, name: &str) -> PathBuf {
        self.root.join(name).join("data")
    }

    /// What a worker publishes into.
    pub(crate) fn publish_root(&self, name: &str) -> PathBuf {
        self.root.join(name).join("publish")
    }

    /// Its certificates, if it has any.
    pub(crate) fn pki(&self) -> PathBuf {
        self.root.join("pki")
    }

    /// What a process writes to its standard output and error.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.root.join("logs").join(format!("{name}.log"))
    }
}

/// Returns the wanted port, or a free one if somebody has it.
///
/// Between this look and the coordinator's own bind another process can take the
/// port; the coordinator then says so in its log and ends.
pub(crate) fn free_address(wanted: u16) -> io::Result<SocketAddr> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    bound.local_addr()
}
