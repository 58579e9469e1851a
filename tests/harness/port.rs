//! Ports that stay one daemon's own over its restarts.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::atomic::{AtomicU16, Ordering},
};

/// Returns a port of the loopback address that nobody uses.
///
/// It lies below the range from which the kernel gives ports to outgoing
/// connections, so that none of those takes it while its daemon is down.
///
/// # Panics
/// If every port of the range is taken.
#[must_use]
pub fn free_port() -> u16 {
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let start = u16::try_from(std::process::id() * 61 % u32::from(COUNT)).unwrap_or_default();
        let port = FIRST + (start + step % COUNT) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT);
}

static NEXT: AtomicU16 = AtomicU16::new(0);
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;
