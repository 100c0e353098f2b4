//! The source of a test, what has been acknowledged when, and what every read therefore owes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use larder::core::lane::LEASE;
use larder::{Cx, LoadError, Loaded, Source};
use parking_lot::Mutex;
use tokio::time::{Instant, interval};

use crate::support::{Oops, Users};

/// The engine's clock is coarse: it may be a tick behind, which is 10 ms at most.
const TICK: Duration = Duration::from_millis(15);

/// Rows whose values only grow, so that older is smaller.
pub(super) struct Ledger {
    rows: Vec<Row>,
    /// Loaders fail while this is set.
    pub(super) is_down: AtomicBool,
    failed: AtomicU64,
}

#[derive(Default)]
struct Row {
    value: AtomicU64,
    /// When it was acknowledged that everybody was to see this value or a newer one.
    acknowledged: Mutex<Vec<(Instant, u64)>>,
}

/// What reads of one cache came to.
#[derive(Default, Debug)]
pub(super) struct Tally {
    pub(super) near: u64,
    pub(super) remote: u64,
    pub(super) loaded: u64,
    pub(super) stale: u64,
    /// Stale values that were older than what fresh ones may be.
    pub(super) overdue: u64,
    pub(super) failed: u64,
    /// By how much a fresh value was behind at most.
    pub(super) worst: Duration,
}

impl Ledger {
    pub(super) fn new(rows: u64) -> Arc<Ledger> {
        Arc::new(Ledger {
            rows: (0..rows).map(|_| Row::default()).collect(),
            is_down: AtomicBool::new(false),
            failed: AtomicU64::new(0),
        })
    }

    pub(super) fn keys(&self) -> std::ops::Range<u64> {
        0..self.rows.len() as u64
    }

    /// The label that every second row bears.
    pub(super) fn tag(key: u64) -> Option<String> {
        (key % 2 == 1).then(|| format!("row {key}"))
    }

    pub(super) fn value(&self, key: u64) -> u64 {
        self.rows[key as usize].value.load(Ordering::SeqCst)
    }

    /// How often a cache could not be told of a change.
    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::SeqCst)
    }

    /// Changes a row and tells the cache until that has taken it.
    pub(super) async fn change(&self, cache: &Users, key: u64) {
        let row = &self.rows[key as usize];
        let value = row.value.fetch_add(1, Ordering::SeqCst) + 1;
        let mut pace = interval(Duration::from_millis(1));
        loop {
            // Everything by which one row can be reached.
            let told = match (value % 4, Ledger::tag(key)) {
                (0, Some(tag)) => cache.invalidate_tag(tag).await.map(drop),
                (1, _) => cache.invalidate_pattern(&key.to_string()).await.map(drop),
                (2, _) => cache.expire(&key).await.map(drop),
                _ => cache.invalidate(&key).await.map(drop),
            };
            if told.is_ok() {
                break;
            }
            self.failed.fetch_add(1, Ordering::SeqCst);
            // A link that is known to be down refuses at once.
            pace.tick().await;
        }
        row.acknowledged.lock().push((Instant::now(), value));
    }

    /// Reads a row and holds it against what was acknowledged more than Δ before.
    pub(super) async fn read(self: &Arc<Ledger>, cache: &Users, key: u64) -> (Tally, Option<u64>) {
        let began = Instant::now();
        let ledger = self.clone();
        let loader = move |cx: Cx<u64, _>| async move {
            let key = *cx.key();
            if let Some(tag) = Ledger::tag(key) {
                cx.tag(tag);
            }
            if ledger.is_down.load(Ordering::SeqCst) {
                return Err(Oops("down"));
            }
            Ok(ledger.value(key))
        };
        let read = cache.get_or_load(&key, loader).await;
        let mut tally = Tally::default();
        let value = tally.take(read, |value| self.behind(key, value, began));
        (tally, value)
    }

    /// For how long before `began` it had been acknowledged that `value` is superseded.
    fn behind(&self, key: u64, value: u64, began: Instant) -> Duration {
        let acknowledged = self.rows[key as usize].acknowledged.lock();
        let first = acknowledged.partition_point(|(_, newer)| *newer <= value);
        let superseded = acknowledged.get(first);
        superseded.map_or(Duration::ZERO, |(when, _)| {
            began.saturating_duration_since(*when)
        })
    }
}

impl Tally {
    fn take(
        &mut self,
        read: Result<Loaded<u64>, LoadError<Oops>>,
        behind: impl FnOnce(u64) -> Duration,
    ) -> Option<u64> {
        let Ok(loaded) = read else {
            self.failed += 1;
            return None;
        };
        let behind = behind(*loaded);
        if loaded.is_stale() {
            self.stale += 1;
            self.overdue += u64::from(behind > LEASE + TICK);
            return Some(*loaded);
        }
        match loaded.source() {
            Source::Near => self.near += 1,
            Source::Remote => self.remote += 1,
            _ => self.loaded += 1,
        }
        assert!(
            behind <= LEASE + TICK,
            "{loaded:?} was superseded {behind:?} before it was asked for"
        );
        self.worst = behind;
        Some(*loaded)
    }

    pub(super) fn add(&mut self, other: &Tally) {
        self.near += other.near;
        self.remote += other.remote;
        self.loaded += other.loaded;
        self.stale += other.stale;
        self.overdue += other.overdue;
        self.failed += other.failed;
        self.worst = self.worst.max(other.worst);
    }
}
