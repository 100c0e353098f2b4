//! Free TCP ports for servers that cannot be told to choose one and report it.
//!
//! Ports are taken from below the range that the system hands out by itself. A port of that range
//! could go to an unrelated connection while a killed server is down, so that it could not come
//! back; worse, a client that keeps dialling a dead port of that range can be given this very port
//! as its own and connect to itself.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::net::TcpListener;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below are well-known ports, of which a developer's machine may use some.
const LOWEST: u32 = 10_000;

/// Where the system's own range begins when it does not say.
const USUAL_RANGE_START: u32 = 32_768;

/// A prime, so that steps of this size visit the whole range before they meet again.
const STEP: u32 = 7_919;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Where this process begins to look: elsewhere than the test processes beside it.
static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish());

/// Returns a TCP port on which nothing listens now.
///
/// Within this process no port is returned twice before all have been. Another process may still
/// be quicker to take it: who starts a server on it has to be ready to try another.
///
/// # Panics
///
/// If none of some thousand ports is free.
pub fn free_port() -> u16 {
    let span = range_start().saturating_sub(LOWEST).max(STEP + 1);
    // LIMIT: far more tries than a machine has servers.
    for _ in 0..4_096 {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let offset =
            (*SEED % u64::from(span) + u64::from(step) * u64::from(STEP)) % u64::from(span);
        let port = u16::try_from(u64::from(LOWEST) + offset).unwrap_or(u16::MAX);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port among 4096 from {LOWEST} on");
}

/// Returns the first port that the system hands out by itself.
fn range_start() -> u32 {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = text
        .split_whitespace()
        .next()
        .and_then(|number| number.parse().ok());
    first
        .filter(|start| *start > LOWEST + STEP)
        .unwrap_or(USUAL_RANGE_START)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ports_are_free_and_different() {
        let ports: BTreeSet<u16> = (0..50).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 50);
        assert!(ports.iter().all(|port| u32::from(*port) >= LOWEST));
    }

    #[test]
    fn a_port_in_use_is_not_returned() {
        let port = free_port();
        let _held = TcpListener::bind(("127.0.0.1", port)).unwrap();
        assert!((0..200).all(|_| free_port() != port));
    }
}
