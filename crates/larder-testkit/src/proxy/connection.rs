//! One connection through the proxy: two ways, and how it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::counts::Counters;
use super::faults::{Ending, Faults, Rules};
use super::way::{self, Way};

/// LIMIT: for the opening of the other half, on this machine.
const CONNECT: Duration = Duration::from_secs(10);

/// One client and what is in force for it.
pub(super) struct Connection {
    rules: watch::Receiver<Rules>,
    counters: Arc<Counters>,
    /// What had been ordered when it was accepted.
    ends: u64,
    heals: u64,
    traits: Traits,
}

/// What both ways of a connection know of it.
#[derive(Default)]
pub(super) struct Traits {
    pub(super) is_marked: AtomicBool,
    /// Bytes, or the news that a side has closed, have been swallowed.
    pub(super) has_lost: AtomicBool,
}

impl Traits {
    pub(super) fn faults(&self, rules: &Rules, way: usize) -> Faults {
        rules.of(self.is_marked.load(Ordering::Relaxed), way)
    }
}

impl Connection {
    pub(super) fn new(rules: watch::Receiver<Rules>, counters: Arc<Counters>) -> Connection {
        let (ends, heals) = {
            let rules = rules.borrow();
            (rules.ends.0, rules.heals)
        };
        Connection {
            rules,
            counters,
            ends,
            heals,
            traits: Traits::default(),
        }
    }

    /// Carries bytes until both sides have closed, or something ends it.
    pub(super) async fn carry(self, mut client: TcpStream, target: SocketAddr) {
        let barred = tokio::select! {
            biased;
            ending = self.told() => Some(ending),
            ending = self.admit(&mut client) => ending,
        };
        match barred {
            Some(Ending::Close) => return self.close(),
            Some(Ending::Reset) => return self.reset(&[&client]),
            None => {}
        }
        // Not given up halfway: a connection that the server has accepted is to be ended properly.
        let Some(mut server) = reach(target, &client).await else {
            return self.reset(&[&client]);
        };
        let ending = tokio::select! {
            biased;
            ending = self.told() => ending,
            ending = self.both_ways(&mut client, &mut server) => ending,
        };
        match ending {
            Ending::Close => self.close(),
            Ending::Reset => self.reset(&[&client, &server]),
        }
    }

    /// Ends with a reset instead of a farewell; dropping the sockets does the rest.
    pub(super) fn reset(&self, sockets: &[&TcpStream]) {
        for socket in sockets {
            // It has been reset by its peer: then that knows already.
            let _ = socket.set_zero_linger();
        }
        self.counters.ended(true);
    }

    fn close(&self) {
        self.counters.ended(false);
    }

    /// Waits until the server may hear of the client. Otherwise, how that ends.
    async fn admit(&self, client: &mut TcpStream) -> Option<Ending> {
        let mut rules = self.rules.clone();
        loop {
            let faults = self.traits.faults(&rules.borrow_and_update(), 0);
            if faults.swallows {
                return Some(self.swallow(client).await);
            }
            if !faults.stalls {
                return None;
            }
            way::next(&mut rules).await;
        }
    }

    /// What the server never hears of, and who has opened it does not learn.
    async fn swallow(&self, client: &mut TcpStream) -> Ending {
        self.traits.has_lost.store(true, Ordering::Relaxed);
        let mut buffer = vec![0; way::PIECE];
        loop {
            match client.read(&mut buffer).await {
                // Nobody is left who could be told anything.
                Ok(0) | Err(_) => return Ending::Close,
                Ok(bytes) => self.counters.swallowed(0, bytes),
            }
        }
    }

    async fn both_ways(&self, client: &mut TcpStream, server: &mut TcpStream) -> Ending {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let (requests_in, requests_out) = mpsc::channel(way::WAITING);
        let (replies_in, replies_out) = mpsc::channel(way::WAITING);
        let way = |at| Way::new(at, self.rules.clone(), &self.traits, &self.counters);
        let delivered = async {
            tokio::try_join!(
                way(0).give(to_server, requests_out),
                way(1).give(to_client, replies_out)
            )
        };
        tokio::select! {
            () = way(0).take(from_client, requests_in) => Ending::Close,
            () = way(1).take(from_server, replies_in) => Ending::Close,
            delivered = delivered => delivered.err().unwrap_or(Ending::Close),
        }
    }

    /// Done when this connection is ordered to end.
    async fn told(&self) -> Ending {
        let mut rules = self.rules.clone();
        let mut heals = self.heals;
        loop {
            {
                let rules = rules.borrow_and_update();
                if rules.ends.0 != self.ends {
                    return rules.ends.1;
                }
                if rules.heals != heals && self.traits.has_lost.load(Ordering::Relaxed) {
                    return Ending::Reset;
                }
                heals = rules.heals;
            }
            way::next(&mut rules).await;
        }
    }
}

/// Opens the other half.
async fn reach(target: SocketAddr, client: &TcpStream) -> Option<TcpStream> {
    let server = timeout(CONNECT, TcpStream::connect(target)).await;
    let server = server.ok()?.ok()?;
    for socket in [client, &server] {
        // Small pieces go as they come: the delays are to be ours.
        socket.set_nodelay(true).ok()?;
    }
    Some(server)
}
