//! An outbox that tells what it was asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use larder::core::BoxFuture;
use larder::core::error::Result;
use larder::core::outbox::{Backlog, Claim, Notice, Outbox};
use larder_sql::sqlite::SqliteOutbox;
use tokio::sync::Semaphore;

use super::SOON;

/// A SQLite outbox that counts how often it is asked, and can keep an answer to itself for ever.
#[derive(Clone)]
pub(crate) struct Watched {
    outbox: SqliteOutbox,
    shared: Arc<Shared>,
}

struct Shared {
    asked: AtomicU64,
    freezes: AtomicBool,
    claimed: Semaphore,
}

impl Watched {
    pub(crate) fn new(outbox: &SqliteOutbox) -> Watched {
        let shared = Shared {
            asked: AtomicU64::new(0),
            freezes: AtomicBool::new(false),
            claimed: Semaphore::new(0),
        };
        Watched {
            outbox: outbox.clone(),
            shared: Arc::new(shared),
        }
    }

    /// Whoever takes something from now on never hears that it has.
    pub(crate) fn freeze_after_claim(&self) {
        self.shared.freezes.store(true, Ordering::SeqCst);
    }

    /// Waits until somebody has taken something and was frozen.
    pub(crate) async fn has_claimed(&self) {
        let claimed = tokio::time::timeout(SOON, self.shared.claimed.acquire()).await;
        claimed.unwrap().unwrap().forget();
    }

    /// How often somebody wanted to take something.
    pub(crate) fn asked(&self) -> u64 {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// How many there are of it, this one included.
    pub(crate) fn handles(&self) -> usize {
        Arc::strong_count(&self.shared)
    }
}

impl Outbox for Watched {
    fn claim<'a>(&'a self, claim: Claim<'a>) -> BoxFuture<'a, Result<Vec<Notice>>> {
        Box::pin(async move {
            self.shared.asked.fetch_add(1, Ordering::SeqCst);
            let notices = self.outbox.claim(claim).await?;
            if !notices.is_empty() && self.shared.freezes.load(Ordering::SeqCst) {
                self.shared.claimed.add_permits(1);
                std::future::pending::<()>().await;
            }
            Ok(notices)
        })
    }

    fn done<'a>(&'a self, ids: &'a [u64]) -> BoxFuture<'a, Result<()>> {
        self.outbox.done(ids)
    }

    fn postpone<'a>(&'a self, ids: &'a [u64], by: Duration) -> BoxFuture<'a, Result<()>> {
        self.outbox.postpone(ids, by)
    }

    fn backlog(&self) -> BoxFuture<'_, Result<Vec<Backlog>>> {
        self.outbox.backlog()
    }
}
