//! What all connections of one RESP port share.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};

use secrecy::SecretString;

use super::Clients;
use super::lives::Lives;
use crate::node::SharedNode;

/// One RESP port.
pub(crate) struct Shared {
    pub(crate) node: SharedNode,
    pub(crate) lives: Lives,
    pub(crate) clients: Clients,
    /// Where it listens, which need not be what was configured: port 0 is any port.
    pub(crate) local: SocketAddr,
    /// One bit for each database that somebody has looked at.
    databases: AtomicU16,
}

impl Shared {
    pub(crate) fn new(node: SharedNode, local: SocketAddr) -> Shared {
        Shared {
            lives: Lives::new(&node.settings.ttl),
            clients: Clients::default(),
            local,
            databases: AtomicU16::new(1),
            node,
        }
    }

    pub(crate) fn password(&self) -> Option<&SecretString> {
        self.node.settings.resp.password.as_ref()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.node.is_stopping()
    }

    pub(crate) fn note_database(&self, number: u8) {
        self.databases.fetch_or(1 << number, Ordering::Relaxed);
    }

    /// The databases that somebody has looked at, which are all that clients can have filled.
    pub(crate) fn databases(&self) -> impl Iterator<Item = u8> + use<> {
        let seen = self.databases.load(Ordering::Relaxed);
        (0..16).filter(move |number| seen & (1 << number) != 0)
    }
}
