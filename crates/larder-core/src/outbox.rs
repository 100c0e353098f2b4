//! The outbox: what committed transactions of the source have made invalid.
//!
//! A writer that commits and dies before it has invalidated leaves copies of which nobody knows that
//! they are stale. So it records *notices* in the same transaction, in a table of the source itself:
//! if the change is there, so are they. Any process that lives takes them, invalidates what they
//! say, and deletes them once that was acknowledged. A notice may be carried out any number of times
//! and in any order, because invalidating again does no harm; it must be carried out once.
//!
//! [`Notices`] collects what a transaction makes invalid, [`Outbox`] is the joint to the table.

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::area::MAX_AREA_BYTES;
use crate::error::{Error, ErrorKind, Result};
use crate::key::{Key, Name, escape, wire_key};
use crate::limits::MAX_KEY_BYTES;
use crate::runtime::BoxFuture;
use crate::tag::MAX_TAG_BYTES;

/// Most notices of one [`Notices`]. A transaction that makes more invalid should name a tag.
pub const MAX_NOTICES: usize = 1024;

/// Something to be invalidated in one cache.
///
/// Exhaustive, so that whoever carries notices out is told by the compiler of a new kind.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum What {
    /// One key, as it is on the wire behind the name of its cache.
    Key(Bytes),
    /// Every entry that bears this tag.
    Tag(String),
    /// The keys that begin so, in the form of keys.
    Prefix(Bytes),
    /// The keys that match, in the form of keys.
    Pattern(Bytes),
    /// What was made from the value of this key, in the form of keys; not the key itself.
    Dependents(Bytes),
    /// All of the cache.
    Clear,
}

impl What {
    /// The words for its cases. Notices of other kinds come from later versions of Larder.
    pub const KINDS: [&'static str; 6] = ["key", "tag", "prefix", "pattern", "dependents", "clear"];

    /// Which case it is, as outboxes keep it.
    pub fn kind(&self) -> &'static str {
        match self {
            What::Key(_) => "key",
            What::Tag(_) => "tag",
            What::Prefix(_) => "prefix",
            What::Pattern(_) => "pattern",
            What::Dependents(_) => "dependents",
            What::Clear => "clear",
        }
    }

    /// What outboxes keep beside the kind.
    pub fn body(&self) -> &[u8] {
        match self {
            What::Key(key) | What::Dependents(key) => key,
            What::Prefix(area) | What::Pattern(area) => area,
            What::Tag(tag) => tag.as_bytes(),
            What::Clear => b"",
        }
    }

    /// Reads what an outbox has kept, or says why that cannot be carried out.
    pub fn read(kind: &str, body: Bytes) -> Result<What, String> {
        let what = match kind {
            "key" => What::Key(body),
            "prefix" => What::Prefix(body),
            "pattern" => What::Pattern(body),
            "dependents" => What::Dependents(body),
            "tag" => match String::from_utf8(body.into()) {
                Ok(tag) => What::Tag(tag),
                Err(_) => return Err("the tag is not UTF-8".to_owned()),
            },
            // Whatever stands beside it: there is nothing to name.
            "clear" => What::Clear,
            _ => return Err(format!("this version knows no notices of kind {kind:?}")),
        };
        what.check().map(|()| what)
    }

    /// Says what makes it impossible: a key or tag that is too long, a tag without text.
    pub fn check(&self) -> Result<(), String> {
        let (least, most) = match self {
            What::Key(_) | What::Dependents(_) => (0, MAX_KEY_BYTES),
            What::Prefix(_) => (0, MAX_AREA_BYTES),
            // An empty one matches nothing.
            What::Pattern(_) => (1, MAX_AREA_BYTES),
            What::Tag(_) => (1, MAX_TAG_BYTES),
            What::Clear => (0, 0),
        };
        let length = self.body().len();
        if (least..=most).contains(&length) {
            return Ok(());
        }
        let kind = self.kind();
        Err(format!(
            "the {kind} has {length} bytes; it must have {least} to {most}"
        ))
    }
}

/// What a transaction makes invalid, to be recorded in its outbox.
///
/// ```
/// use larder_core::outbox::Notices;
///
/// let notices = Notices::of("app:users")
///     .key(&7u64)
///     .tag("tenant:7")
///     .and("app:front-page")
///     .clear();
/// assert_eq!(notices.check()?.len(), 3);
/// # Ok::<(), larder_core::Error>(())
/// ```
///
/// Methods check nothing: [`check`](Notices::check), which every outbox calls, reports all mistakes
/// at once.
#[derive(Clone, Debug)]
#[must_use = "notices do nothing until they are recorded"]
pub struct Notices {
    caches: Vec<(String, Vec<What>)>,
    wrong: Vec<String>,
}

impl Notices {
    /// Begins with what becomes invalid in the cache of this name.
    pub fn of(cache: &str) -> Notices {
        let notices = Notices {
            caches: Vec::new(),
            wrong: Vec::new(),
        };
        notices.and(cache)
    }

    /// Goes on with another cache.
    pub fn and(mut self, cache: &str) -> Notices {
        if let Err(error) = Name::new(cache) {
            self.wrong.push(error.to_string());
        }
        self.caches.push((cache.to_owned(), Vec::new()));
        self
    }

    /// A key, written as the cache itself writes it.
    pub fn key<K: Key + ?Sized>(mut self, key: &K) -> Notices {
        match wire_key(b"", key) {
            Ok(wire) => self.add(What::Key(Bytes::copy_from_slice(&wire))),
            Err(error) => self.wrong.push(error.to_string()),
        }
        self
    }

    /// Several keys.
    pub fn keys<'k, K: Key + ?Sized + 'k>(self, keys: impl IntoIterator<Item = &'k K>) -> Notices {
        keys.into_iter().fold(self, Notices::key)
    }

    /// Everything that bears a tag.
    pub fn tag(mut self, tag: impl Into<String>) -> Notices {
        self.add(What::Tag(tag.into()));
        self
    }

    /// The keys that begin with `prefix`. An empty one is all of the cache.
    pub fn prefix(mut self, prefix: &str) -> Notices {
        self.add(What::Prefix(Bytes::copy_from_slice(&escape(prefix))));
        self
    }

    /// The keys that match `pattern`, such as `search:shoes:page:*`.
    pub fn pattern(mut self, pattern: &str) -> Notices {
        self.add(What::Pattern(Bytes::copy_from_slice(&escape(pattern))));
        self
    }

    /// What was made from the value of a key, and not the key itself. A [`key`](Notices::key) that
    /// is invalidated takes its dependents with it.
    pub fn dependents<K: Key + ?Sized>(mut self, key: &K) -> Notices {
        match wire_key(b"", key) {
            Ok(wire) => self.add(What::Dependents(Bytes::copy_from_slice(&wire))),
            Err(error) => self.wrong.push(error.to_string()),
        }
        self
    }

    /// All of the cache.
    pub fn clear(mut self) -> Notices {
        self.add(What::Clear);
        self
    }

    /// The notices with their caches, in order; each once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`], with everything that is wrong: names, keys, tags, or more than
    /// [`MAX_NOTICES`].
    pub fn check(&self) -> Result<Vec<(&str, &What)>> {
        let mut wrong = self.wrong.clone();
        let mut notices: Vec<(&str, &What)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for (cache, whats) in &self.caches {
            for what in whats {
                if let Err(problem) = what.check() {
                    wrong.push(format!("{cache}: {problem}"));
                } else if seen.insert((cache.as_str(), what)) {
                    notices.push((cache, what));
                }
            }
        }
        if notices.len() > MAX_NOTICES {
            let count = notices.len();
            wrong.push(format!(
                "there are {count} notices; the limit is {MAX_NOTICES}: name a tag, or clear"
            ));
        }
        if wrong.is_empty() {
            return Ok(notices);
        }
        let message = format!("the notices cannot be recorded: {}", wrong.join("; "));
        Err(Error::new(ErrorKind::Invalid, message))
    }

    fn add(&mut self, what: What) {
        if let Some((_, whats)) = self.caches.last_mut() {
            whats.push(what);
        }
    }
}

/// A notice in an outbox.
#[derive(Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its name in the outbox. Never that of another notice, even after it was deleted: who comes
    /// late to delete it must not meet a new one.
    pub id: u64,
    /// The cache in which something is to be invalidated.
    pub cache: String,
    /// What, or why that cannot be read.
    pub what: Result<What, String>,
    /// How long ago it was recorded, by the outbox's clock.
    pub age: Duration,
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "notice {} of {}: {:?}", self.id, self.cache, self.what)
    }
}

/// What is asked of an outbox.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The caches whose notices are wanted.
    pub caches: &'a [&'a str],
    /// Notices that are not wanted: they are carried out already and could not be deleted.
    pub except: &'a [u64],
    /// Most notices that are wanted.
    pub limit: usize,
    /// For how long others are to leave them alone.
    pub hold: Duration,
}

/// How much waits in an outbox for one cache.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Backlog {
    /// The cache.
    pub cache: String,
    /// The kind of the notices; not all need be known here.
    pub kind: String,
    /// How many there are. With very many, a lower bound.
    pub count: u64,
    /// How long ago the oldest of them was recorded.
    pub oldest: Duration,
}

/// Notices that transactions have recorded, and that nobody has carried out yet.
///
/// How they are recorded is a matter of each source, since it takes place inside of its transactions.
/// Several processes may use one outbox at the same time. Dropping a future leaves open whether its
/// work was done.
pub trait Outbox: Send + Sync {
    /// Takes notices of committed transactions, the oldest of each cache first, and holds them:
    /// for the time asked for, other claims do not give them. Kinds that are not in
    /// [`What::KINDS`] stay where they are.
    ///
    /// Holding is for economy and may fail; an outbox that can be read and not be written gives
    /// notices without holding them. A hold ends by itself, and no step of a clock makes it longer.
    /// With nothing to give, this must not write and should cost little: it is asked ten times a
    /// second.
    fn claim<'a>(&'a self, claim: Claim<'a>) -> BoxFuture<'a, Result<Vec<Notice>>>;

    /// Deletes notices that have been carried out. Those that are gone already are no error.
    fn done<'a>(&'a self, ids: &'a [u64]) -> BoxFuture<'a, Result<()>>;

    /// Holds notices for so much longer, from now; zero lets others have them.
    fn postpone<'a>(&'a self, ids: &'a [u64], by: Duration) -> BoxFuture<'a, Result<()>>;

    /// How much waits, by cache and kind, of every kind and every cache. Asked once a second.
    fn backlog(&self) -> BoxFuture<'_, Result<Vec<Backlog>>>;
}
