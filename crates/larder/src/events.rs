//! What happens to the values of a cache, told to whoever wants to know.

use std::sync::OnceLock;

use bytes::Bytes;
use larder_core::lane::Position;
use larder_core::version::Version;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// Events that wait for a slow subscriber. It loses the oldest ones beyond that.
const BUFFERED: usize = 1024;

/// Something that happened to the values of a cache. See [`Cache::events`](crate::Cache::events).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A change.
    Changed(Changed),
    /// This subscriber was too slow: so many events that stood here are lost.
    Missed(u64),
    /// The log could not be followed without a break, or begins to be followed here: changes that
    /// nobody told of may have taken place. Whoever derives something from the events begins
    /// anew.
    Interrupted,
}

/// A change, by this node or another one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changed {
    /// What was changed.
    pub target: Target,
    /// In which way.
    pub cause: EventCause,
    /// The number of the node that did it ([`Cache::node`](crate::Cache::node)); 0 when unknown.
    pub origin: u32,
    /// The version that the change gave; for a tag, its number.
    pub version: Version,
    /// Its place in the log of the remote tier, if there is one.
    pub position: Option<Position>,
}

/// What a change is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// One key, as it is written, without the cache's name.
    Key(Bytes),
    /// All values with this tag.
    Tag(String),
    /// All values whose keys, as they are written, begin so.
    Prefix(Bytes),
    /// All values whose keys, as they are written, match this pattern.
    Pattern(Bytes),
    /// All values whose loaders read this key. The value itself is as it was.
    Dependents(Bytes),
    /// All values of the cache.
    All,
}

/// In which way something was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventCause {
    /// Another value was inserted, or the value was given another life.
    Inserted,
    /// The value was invalidated, or those with a prefix, or those that match a pattern.
    Invalidated,
    /// The fresh life of the value was ended.
    Expired,
    /// A tag was invalidated.
    Tag,
    /// The cache was cleared.
    Cleared,
}

impl EventCause {
    /// Every cause, in the order of its declaration.
    pub const ALL: [EventCause; 5] = [
        EventCause::Inserted,
        EventCause::Invalidated,
        EventCause::Expired,
        EventCause::Tag,
        EventCause::Cleared,
    ];

    /// The name for labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            EventCause::Inserted => "inserted",
            EventCause::Invalidated => "invalidated",
            EventCause::Expired => "expired",
            EventCause::Tag => "tag",
            EventCause::Cleared => "cleared",
        }
    }
}

/// The events of a cache from one moment on.
pub struct Events(broadcast::Receiver<Event>);

impl Events {
    /// The next event; `None` once the cache is gone. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(missed)) => Some(Event::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}

/// Passes events on to all subscribers. Costs next to nothing while there is none.
#[derive(Default)]
pub(crate) struct Hub(OnceLock<broadcast::Sender<Event>>);

impl Hub {
    pub(crate) fn subscribe(&self) -> Events {
        let sender = self.0.get_or_init(|| broadcast::channel(BUFFERED).0);
        Events(sender.subscribe())
    }

    /// Whether anybody wants to know.
    pub(crate) fn is_heard(&self) -> bool {
        self.0
            .get()
            .is_some_and(|sender| sender.receiver_count() > 0)
    }

    /// Never waits.
    pub(crate) fn tell(&self, event: Event) {
        if let Some(sender) = self.0.get() {
            // An error only says that nobody listens any more.
            let _ = sender.send(event);
        }
    }
}
