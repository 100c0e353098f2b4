//! Reading under load, each read held to what was promised before it began.

use std::sync::Arc;
use std::time::Duration;

use larder::{Loaded, Source};
use larder_core::{Mono, Runtime};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::shop::{Trouble, on_shelf};
use super::{Node, READERS};
use crate::demo::catalogue::Version;
use crate::demo::figures::Count;
use crate::demo::{PER_SHELF, PRODUCTS};

/// Reads between two pauses, and the pause: together some ten thousand reads a second and node.
const BATCH: usize = 32;
const PAUSE: Duration = Duration::from_millis(10);

/// Of so many reads one is of a shelf.
const SHELF_EVERY: u64 = 8;

/// Reads every shelf, and so every product, once. What fails is read later.
pub(super) async fn warm(node: &Arc<Node>) {
    let shelves = Arc::new(Mutex::new(0..PRODUCTS / PER_SHELF));
    let reader = |_| {
        let (node, shelves) = (node.clone(), shelves.clone());
        tokio::spawn(async move {
            loop {
                let next = shelves.lock().next();
                let Some(shelf) = next else { return };
                let _ = node.shop.shelf(shelf).await;
            }
        })
    };
    let readers: Vec<_> = (0..READERS).map(reader).collect();
    for reader in readers {
        let _ = reader.await;
    }
}

impl Node {
    /// Reads until told otherwise.
    pub(super) async fn read(self: Arc<Node>, reading: watch::Receiver<bool>) {
        while *reading.borrow() {
            for _ in 0..BATCH {
                let product = self.zipf.pick(self.runtime.random());
                if self.runtime.random().is_multiple_of(SHELF_EVERY) {
                    self.read_shelf(product / PER_SHELF).await;
                } else {
                    self.read_product(product).await;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn read_product(&self, id: u32) {
        let now = self.runtime.precise();
        let oldest = self.ledger.oldest(id, now);
        let own = self.own.oldest(id, now);
        let begun = self.runtime.precise();
        let read = self.shop.product(id).await;
        let Some(row) = self.counted(begun, read) else {
            return;
        };
        if row.product.is_none() {
            self.counters.add(Count::Negatives);
        }
        if row.version < oldest.max(own) {
            let count = match row.version < oldest {
                true => Count::Stale,
                false => Count::OwnStale,
            };
            self.stale(count, || {
                let what = described(&row, row.version, oldest.max(own));
                format!("product {id} {what}")
            });
        }
    }

    async fn read_shelf(&self, id: u32) {
        let now = self.runtime.precise();
        let mut oldest = [0; PER_SHELF as usize];
        for (oldest, product) in oldest.iter_mut().zip(on_shelf(id)) {
            *oldest = self.ledger.oldest(product, now);
        }
        let begun = self.runtime.precise();
        let read = self.shop.shelf(id).await;
        let Some(shelf) = self.counted(begun, read) else {
            return;
        };
        self.counters.add(Count::Shelves);
        let mut products = on_shelf(id).zip(shelf.versions.iter().zip(&oldest));
        let is_older = |(_, (shown, oldest)): &(u32, (&Version, &Version))| shown < oldest;
        if let Some((product, (shown, oldest))) = products.find(is_older) {
            self.stale(Count::Stale, || {
                let what = described(&shelf, *shown, *oldest);
                format!("shelf {id}, product {product} {what}")
            });
        }
    }

    /// Counts a read and how long it took.
    fn counted<V>(&self, begun: Mono, read: Result<Loaded<V>, Trouble>) -> Option<Loaded<V>> {
        match read {
            Ok(value) => {
                let took = self.runtime.precise().since(begun);
                self.counters.reads.add(took);
                self.counters.add(Count::Reads);
                if value.source() == Source::Near {
                    self.counters.add(Count::NearHits);
                }
                Some(value)
            }
            Err(error) => {
                tracing::warn!(%error, "a read failed");
                self.counters.add(Count::Errors);
                None
            }
        }
    }
}

fn described<V>(value: &Loaded<V>, shown: Version, oldest: Version) -> String {
    let source = match value.source() {
        Source::Near => "from the near cache",
        Source::Remote => "from the remote tier",
        _ => "from a load",
    };
    let age = value.age();
    format!("shows change {shown} {source}, {age:.1?} old, where change {oldest} was due")
}
