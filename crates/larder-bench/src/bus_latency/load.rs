//! What else the two processes and the server do meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::Rows;

/// Tasks that write.
const WRITERS: u64 = 4;
/// Between two bursts of a paced task.
pub(super) const BEAT: Duration = Duration::from_millis(1);

/// A load: writes of other keys from the first process, near hits in the second one.
pub(super) struct Load {
    pub(super) name: &'static str,
    /// Of each writer; `None`: without rest.
    writes_per_s: Option<u32>,
    /// Of the second process; `None`: without rest.
    pub(super) hits_per_ms: Option<u64>,
}

impl Load {
    pub(super) const NONE: Load = Load {
        name: "none",
        writes_per_s: Some(0),
        hits_per_ms: Some(0),
    };
    pub(super) const PACED: Load = Load {
        name: "1 000 writes/s, 100 000 hits/s",
        writes_per_s: Some(250),
        hits_per_ms: Some(100),
    };
    pub(super) const RESTLESS: Load = Load {
        name: "without rest",
        writes_per_s: None,
        hits_per_ms: None,
    };

    pub(super) fn start(&self, writer: &Rows) -> Running {
        let (stop, writes) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let writers = if self.writes_per_s == Some(0) {
            0
        } else {
            WRITERS
        };
        let between = self.writes_per_s.map(|writes| BEAT * 1_000 / writes.max(1));
        for task in 0..writers {
            let (writer, stop, writes) = (writer.clone(), stop.clone(), writes.clone());
            let mut beat = between.map(tokio::time::interval);
            tokio::spawn(async move {
                // Keys that no round uses.
                let first = (task + 1) << 32;
                let mut count = 0;
                while !stop.load(Ordering::Relaxed) {
                    if let Some(beat) = &mut beat {
                        beat.tick().await;
                    }
                    let inserted = writer.insert(&(first + count % 1_000), count).await;
                    count += u64::from(inserted.is_ok());
                    writes.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Running { stop, writes }
    }
}

/// Writers that go on until they are stopped.
pub(super) struct Running {
    stop: Arc<AtomicBool>,
    writes: Arc<AtomicU64>,
}

impl Running {
    /// How much they wrote.
    pub(super) fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.writes.load(Ordering::Relaxed)
    }
}

/// Reads keys that are held, so many in each millisecond, or without rest.
pub(super) async fn hit(reader: Rows, hits_per_ms: Option<u64>, hits: Arc<AtomicU64>) {
    // None that a writer or a round uses.
    let first = 1u64 << 60;
    for key in first..first + 1_000 {
        let stored = reader.insert(&key, key).await;
        stored.expect("the server takes it");
    }
    let mut beat = tokio::time::interval(BEAT);
    let mut key = 0;
    loop {
        match hits_per_ms {
            Some(_) => {
                beat.tick().await;
            }
            None => tokio::task::yield_now().await,
        }
        for _ in 0..hits_per_ms.unwrap_or(100) {
            key = (key + 1) % 1_000;
            let found = reader.get(&(first + key)).await;
            hits.fetch_add(u64::from(found.is_ok()), Ordering::Relaxed);
        }
    }
}
