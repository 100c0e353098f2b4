//! What one connection shows to others: `CLIENT LIST` reads it, `CLIENT KILL` ends it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use larder_core::runtime::Mono;
use larder_resp::Protocol;
use tokio::sync::Notify;

/// The visible part of a connection. Fields that commands touch are plain atomics.
pub(crate) struct Client {
    pub(crate) id: u64,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) connected: Mono,
    last_active: AtomicU64,
    command: AtomicUsize,
    database: AtomicU8,
    protocol: AtomicU8,
    labels: Mutex<Labels>,
    killed: AtomicBool,
    /// Wakes the connection when it is to look whether it should end.
    pub(crate) wake: Notify,
}

/// What the peer calls itself.
#[derive(Clone, Default)]
pub(crate) struct Labels {
    pub(crate) name: Vec<u8>,
    pub(crate) library: Vec<u8>,
    pub(crate) library_version: Vec<u8>,
}

impl Client {
    pub(crate) fn new(id: u64, peer: SocketAddr, local: SocketAddr, now: Mono) -> Client {
        Client {
            id,
            peer,
            local,
            connected: now,
            last_active: AtomicU64::new(now.0),
            command: AtomicUsize::new(usize::MAX),
            database: AtomicU8::new(0),
            protocol: AtomicU8::new(2),
            labels: Mutex::default(),
            killed: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }

    pub(crate) fn set_active(&self, now: Mono) {
        self.last_active.store(now.0, Ordering::Relaxed);
    }

    pub(crate) fn last_active(&self) -> Mono {
        Mono(self.last_active.load(Ordering::Relaxed))
    }

    pub(crate) fn set_command(&self, index: usize) {
        self.command.store(index, Ordering::Relaxed);
    }

    /// The index of the last command; beyond the table before the first.
    pub(crate) fn command(&self) -> usize {
        self.command.load(Ordering::Relaxed)
    }

    pub(crate) fn set_database(&self, number: u8) {
        self.database.store(number, Ordering::Relaxed);
    }

    pub(crate) fn database(&self) -> u8 {
        self.database.load(Ordering::Relaxed)
    }

    pub(crate) fn set_protocol(&self, protocol: Protocol) {
        self.protocol
            .store(protocol.number() as u8, Ordering::Relaxed);
    }

    pub(crate) fn protocol(&self) -> u8 {
        self.protocol.load(Ordering::Relaxed)
    }

    pub(crate) fn set_name(&self, name: &[u8]) {
        self.labels_mut().name = name.to_vec();
    }

    pub(crate) fn set_library(&self, name: &[u8]) {
        self.labels_mut().library = name.to_vec();
    }

    pub(crate) fn set_library_version(&self, version: &[u8]) {
        self.labels_mut().library_version = version.to_vec();
    }

    pub(crate) fn labels(&self) -> Labels {
        self.labels_mut().clone()
    }

    /// Ends the connection; what it has been answered is lost.
    pub(crate) fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    fn labels_mut(&self) -> MutexGuard<'_, Labels> {
        self.labels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
