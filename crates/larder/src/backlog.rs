//! Changes that could not reach the remote tier, kept until it is back.

mod journal;

use std::path::PathBuf;
use std::sync::Arc;

use larder_core::backlog::{Backlog as Waiting, Work};
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::units::parse_bytes;
use tokio::sync::Mutex as AsyncMutex;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
pub(crate) use journal::Entry;
use journal::Journal;

/// What waits at most, in bytes, unless told otherwise.
const LIMIT: &str = "16MiB";

/// Whether changes that cannot reach the remote tier are kept and carried out once it is back.
///
/// Without one, such a change is an error, and whoever makes it repeats it. With one it is a
/// [`Receipt`](crate::Receipt) that says [`is_deferred`](crate::Receipt::is_deferred): it has taken place
/// in this process, and will for the others. Until then they read what the remote tier had, if they can
/// reach it.
///
/// * A removal spares what was loaded or stored after it.
/// * A value takes the place of an older one only. If its key has none, or nobody can tell which is
///   newer, it is dropped, and what is there is removed.
/// * Tags, prefixes and patterns are invalidated as of when the remote tier is back.
/// * What would be more than the limit becomes one invalidation of the whole cache.
///
/// What is newer is told by the clock of the remote tier. If it was set meanwhile, or if another server
/// answers whose clock is more than a second apart, nothing counts as newer.
#[derive(Clone, Debug)]
#[must_use]
pub struct Backlog {
    limit: Result<u64, String>,
    directory: Option<PathBuf>,
}

impl Backlog {
    /// Kept by the process, and lost with it.
    pub fn in_memory() -> Backlog {
        Backlog {
            limit: parse_bytes(LIMIT),
            directory: None,
        }
    }

    /// Kept in a file in this directory as well, one for each cache; a process that finds it there
    /// carries it out. A change is written to the disk before its caller is told. Values are not:
    /// after a restart, the keys of values that waited are invalidated. Two processes must not share
    /// a directory.
    pub fn on_disk(directory: impl Into<PathBuf>) -> Backlog {
        Backlog {
            directory: Some(directory.into()),
            ..Backlog::in_memory()
        }
    }

    /// The most that waits, in bytes. Default: 16 MiB.
    pub fn limit(mut self, bytes: impl crate::IntoBytes) -> Backlog {
        self.limit = bytes.into_bytes();
        self
    }
}

/// The changes of one cache that wait.
pub(crate) struct Deferred {
    waiting: Mutex<Waiting>,
    journal: Option<Arc<AsyncMutex<Journal>>>,
    is_worked_on: AtomicBool,
    deferred: AtomicU64,
    carried_out: AtomicU64,
    spared: AtomicU64,
}

/// Counts of changes that waited for the remote tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BacklogStats {
    /// Waiting now.
    pub waiting: u64,
    /// Those that had to wait.
    pub deferred: u64,
    /// Those that were carried out.
    pub carried_out: u64,
    /// Those that found something newer and left it.
    pub spared: u64,
}

impl Deferred {
    /// Opens what `setting` names for the cache of this name; reads what is there already.
    pub(crate) fn open(setting: Backlog, cache: &str) -> Result<Deferred, String> {
        let limit = setting.limit?;
        let mut waiting = Waiting::new(usize::try_from(limit).unwrap_or(usize::MAX));
        let journal = match setting.directory {
            None => None,
            Some(directory) => {
                let (journal, found) = Journal::open(&directory, cache)?;
                found
                    .into_iter()
                    .for_each(|entry| entry.add_to(&mut waiting));
                Some(Arc::new(AsyncMutex::new(journal)))
            }
        };
        Ok(Deferred {
            waiting: Mutex::new(waiting),
            journal,
            is_worked_on: AtomicBool::new(false),
            deferred: AtomicU64::new(0),
            carried_out: AtomicU64::new(0),
            spared: AtomicU64::new(0),
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.lock().is_empty()
    }

    /// Adds changes; done once they are on the disk, if that is wanted. They wait in any case: an
    /// error says that they would not outlive the process.
    pub(crate) async fn add(&self, entries: Vec<Entry>) -> Result<()> {
        let written = match &self.journal {
            None => Vec::new(),
            Some(_) => entries.iter().map(Entry::encode).collect(),
        };
        let count = entries.len() as u64;
        {
            let mut waiting = self.waiting.lock();
            entries
                .into_iter()
                .for_each(|entry| entry.add_to(&mut waiting));
        }
        self.deferred.fetch_add(count, Ordering::Relaxed);
        let Some(journal) = self.journal.clone() else {
            return Ok(());
        };
        let writing = tokio::task::spawn_blocking(move || journal.blocking_lock().append(&written));
        match writing.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(unwritten(&why)),
            Err(_) => Err(unwritten("the runtime is shut down")),
        }
    }

    pub(crate) fn take(&self, keys: usize) -> Work {
        self.waiting.lock().take(keys)
    }

    pub(crate) fn put_back(&self, work: Work) {
        self.waiting.lock().put_back(work);
    }

    /// Counts what has become of changes.
    pub(crate) fn did(&self, carried_out: usize, spared: usize) {
        self.carried_out
            .fetch_add(carried_out as u64, Ordering::Relaxed);
        self.spared.fetch_add(spared as u64, Ordering::Relaxed);
    }

    /// Whether the caller is the one to work on it now.
    pub(crate) fn begin_work(&self) -> bool {
        !self.is_worked_on.swap(true, Ordering::AcqRel)
    }

    /// Ends the work if there is none left; whether it has ended.
    pub(crate) async fn end_work(&self) -> bool {
        if let Some(journal) = self.journal.clone() {
            let mut journal = journal.lock_owned().await;
            // Under its lock: what is added now is written behind this.
            if self.is_empty() {
                let cleared = tokio::task::spawn_blocking(move || journal.clear()).await;
                if let Ok(Err(why)) = cleared {
                    tracing::warn!(why, "the backlog is done, and its file cannot be emptied");
                }
            }
        }
        self.is_worked_on.store(false, Ordering::Release);
        self.is_empty() || !self.begin_work()
    }

    pub(crate) fn stats(&self) -> BacklogStats {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        BacklogStats {
            waiting: self.waiting.lock().len() as u64,
            deferred: get(&self.deferred),
            carried_out: get(&self.carried_out),
            spared: get(&self.spared),
        }
    }
}

fn unwritten(why: &str) -> Error {
    let message = format!(
        "the remote tier is away and the change could not be written to the backlog ({why}): it is \
         carried out when the remote tier is back, unless this process ends before"
    );
    Error::new(ErrorKind::Unavailable, message)
}
