//! The proxy's thread: accepts connections, and carries out orders between two of them.

use std::io;
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};

use super::connection::Connection;
use super::counts::Counters;
use super::faults::{DoorIs, Rules};
use crate::servers::free_port;

/// LIMIT: connections at once; more are reset. Far more than the tests of one process open.
const MAX_OPEN: usize = 1024;

/// How often a port is looked for that nobody else took in the same moment.
const TRIES: usize = 8;

/// A change of the rules, and whom to tell when it is in force.
pub(super) struct Order {
    pub(super) change: Box<dyn FnOnce(&mut Rules) + Send>,
    pub(super) done: SyncSender<()>,
}

/// The listening side of a proxy.
pub(super) struct Door {
    address: SocketAddr,
    target: SocketAddr,
    listener: Option<TcpListener>,
    rules: watch::Sender<Rules>,
    counters: Arc<Counters>,
    connections: JoinSet<()>,
}

impl Door {
    pub(super) async fn open(target: SocketAddr, counters: Arc<Counters>) -> io::Result<Door> {
        let mut tries = 1;
        let listener = loop {
            match TcpListener::bind(("127.0.0.1", free_port())).await {
                Ok(listener) => break listener,
                Err(_) if tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        };
        Ok(Door {
            address: listener.local_addr()?,
            target,
            listener: Some(listener),
            rules: watch::Sender::new(Rules::default()),
            counters,
            connections: JoinSet::new(),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs until nobody is left who could give orders.
    pub(super) async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(order) => self.obey(order).await,
                    None => return,
                },
                Some(ended) = self.connections.join_next() => check(ended),
                client = accept(self.listener.as_ref()) => self.take(client),
            }
        }
    }

    async fn obey(&mut self, order: Order) {
        let before = self.rules.borrow().ends.0;
        self.rules.send_modify(order.change);
        let (door, ends) = {
            let rules = self.rules.borrow();
            (rules.door, rules.ends.0)
        };
        if door == DoorIs::Shut {
            self.listener = None;
        } else if self.listener.is_none() {
            let listener = TcpListener::bind(self.address).await;
            self.listener = Some(listener.expect("nobody has taken the port meanwhile"));
        }
        if ends != before {
            // All of them have been told; none waits for anything else.
            while let Some(ended) = self.connections.join_next().await {
                check(ended);
            }
        }
        // An error: whoever gave the order has panicked.
        let _ = order.done.send(());
    }

    fn take(&mut self, client: TcpStream) {
        self.counters.accepted();
        let rules = self.rules.subscribe();
        let is_refused =
            rules.borrow().door == DoorIs::Resetting || self.connections.len() >= MAX_OPEN;
        let target = rules.borrow().target.unwrap_or(self.target);
        let connection = Connection::new(rules, self.counters.clone());
        if is_refused {
            connection.reset(&[&client]);
        } else {
            self.connections.spawn(connection.carry(client, target));
        }
    }
}

/// The next client; none while the door is shut.
async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        // An error belongs to a client that is gone again.
        if let Ok((client, _)) = listener.accept().await {
            return client;
        }
    }
}

fn check(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        resume_unwind(error.into_panic());
    }
}
