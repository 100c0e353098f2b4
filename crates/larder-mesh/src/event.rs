//! What a mesh tells: links that open and end, and the messages that come over them.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use crate::name::{Incarnation, NodeId, NodeName};

/// One open link to another node. A link that is opened anew, be it to the same life of the node, is
/// another peer: nothing that was meant for the old one is ever sent over the new one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Peer {
    pub(crate) node: NodeId,
    pub(crate) link: u64,
}

impl Peer {
    /// The node at the other end.
    pub fn node(self) -> NodeId {
        self.node
    }
}

/// What happened. For each peer: up, then its messages in the order in which they were sent, then
/// down, and nothing after it. The peer that replaces it comes up after that.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A link is open; messages to this peer are sent from now on.
    Up {
        /// The link.
        peer: Peer,
        /// The node at its other end.
        name: Arc<NodeName>,
        /// Which life of it.
        incarnation: Incarnation,
        /// The newest version of messages that both read.
        version: u16,
    },
    /// A message has come. Its bytes share a buffer with their neighbours: copy what is kept long.
    Message {
        /// From whom.
        peer: Peer,
        /// What was sent, byte for byte.
        bytes: Bytes,
    },
    /// The link has ended. Messages to this peer may not have arrived.
    Down {
        /// The link.
        peer: Peer,
        /// Why.
        reason: DownReason,
    },
}

/// Why a link has ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum DownReason {
    /// The other node said goodbye: it is gone.
    Left,
    /// The connection broke.
    Broken,
    /// Nothing was heard for too long.
    Silent,
    /// The other did not read what was sent, and too much was waiting.
    NotReading,
    /// A newer link to the same node took its place.
    Replaced,
    /// The other sent what this node cannot read.
    Unreadable,
    /// This node is shutting down.
    Leaving,
}

impl DownReason {
    /// As a label.
    pub fn as_str(self) -> &'static str {
        match self {
            DownReason::Left => "left",
            DownReason::Broken => "broken",
            DownReason::Silent => "silent",
            DownReason::NotReading => "not_reading",
            DownReason::Replaced => "replaced",
            DownReason::Unreadable => "unreadable",
            DownReason::Leaving => "leaving",
        }
    }
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DownReason::Left => "it left",
            DownReason::Broken => "the connection broke",
            DownReason::Silent => "it is silent",
            DownReason::NotReading => "it does not read",
            DownReason::Replaced => "a newer link took its place",
            DownReason::Unreadable => "it sent what cannot be read",
            DownReason::Leaving => "this node is leaving",
        })
    }
}

/// An event on its way, with its share of the space for what has arrived.
pub(crate) struct Waiting {
    pub(crate) event: Event,
    pub(crate) space: Option<OwnedSemaphorePermit>,
}

/// How far a mesh is on its way out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Stop {
    No,
    /// Nothing new is begun; links say goodbye.
    Leaving,
    Done,
}

/// The events of one mesh, in order. While nobody takes them nothing more is read from the links.
pub struct Events {
    pub(crate) waiting: mpsc::Receiver<Waiting>,
    pub(crate) stop: watch::Receiver<Stop>,
}

impl Events {
    /// The next event; none once the mesh has shut down and everything was taken. If the future is
    /// dropped, no event is lost.
    pub async fn next(&mut self) -> Option<Event> {
        let taken = tokio::select! {
            biased;
            waiting = self.waiting.recv() => waiting,
            _ = self.stop.wait_for(|stop| *stop == Stop::Done) => self.waiting.try_recv().ok(),
        };
        taken.map(Waiting::take)
    }

    /// The next event, if one is waiting.
    pub fn try_next(&mut self) -> Option<Event> {
        self.waiting.try_recv().ok().map(Waiting::take)
    }
}

impl Waiting {
    fn take(self) -> Event {
        drop(self.space);
        self.event
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
