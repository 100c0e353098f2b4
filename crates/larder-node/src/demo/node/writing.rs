//! Writing: the source and the notices of the outbox in one transaction, then the invalidation.

use std::sync::Arc;
use std::time::Duration;

use larder::Delivery;
use larder_core::Runtime;
use tokio::sync::watch;

use super::{Node, say};
use crate::demo::catalogue::{Draft, Result};
use crate::demo::figures::Count;
use crate::demo::ledger::{due_after_acknowledgement, due_after_commit};
use crate::demo::message::{News, Stamped};

/// Between two changes: about a hundred a second, on a machine that is not too busy.
const PAUSE: Duration = Duration::from_millis(7);

impl Node {
    /// Writes until told otherwise.
    pub(super) async fn write(self: Arc<Node>, writing: watch::Receiver<bool>) {
        let mut number = 0;
        while *writing.borrow() {
            number += 1;
            let held = self.hold.lock().take();
            if let Err(error) = self.change(number, held).await {
                tracing::warn!(%error, "a change failed");
                self.counters.add(Count::Errors);
                // It is to be made all the same, unless there is another one by now.
                if let Some(product) = held {
                    let _ = self.hold.lock().get_or_insert(product);
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn change(&self, number: u64, held: Option<u32>) -> Result<()> {
        let (shop, name) = (&self.shop, &self.name);
        let draft = match held {
            Some(product) => shop.catalogue.update(name, product).await?,
            None => {
                let product = self.zipf.pick(self.runtime.random());
                shop.catalogue.change(name, product, number).await?
            }
        };
        let Draft {
            transaction,
            change,
            kind,
            notices,
        } = draft;
        transaction.commit().await?;
        let at = self.runtime.precise().0;
        let committed = Stamped { change, at };
        self.note(&committed, due_after_commit(committed.at()));
        if held.is_some() {
            // The moment after the commit, and before anybody knows of it: here the stage kills.
            say(&News::Held(committed));
            return std::future::pending().await;
        }
        say(&News::Committed(committed.clone()));
        let outbox = &shop.catalogue.outbox;
        let delivery = shop.invalidator.deliver(outbox, &notices).await;
        self.counters.add(Count::of(kind));
        let at = self.runtime.precise();
        match delivery {
            Delivery::Left(error) => {
                tracing::warn!(%error, "a change is left to the outbox");
                self.counters.add(Count::Left);
            }
            _ => {
                let change = committed.change;
                for product in &change.products {
                    self.own.note(*product, change.version, at);
                }
                let acknowledged = Stamped { change, at: at.0 };
                self.note(&acknowledged, due_after_acknowledgement(at));
                say(&News::Acknowledged(acknowledged));
            }
        }
        Ok(())
    }
}
