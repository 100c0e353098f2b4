//! A process behind a bad link: a cache of its own, and tasks that read it all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use larder_testkit::proxy::Proxy;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::ledger::{Ledger, Tally};
use crate::support::{Users, eventually};

/// How often each of the tasks reads, unless it has to wait.
const PACE: Duration = Duration::from_millis(4);
const TASKS: u64 = 4;

/// A reader. Its tasks end with it.
pub(super) struct Reader {
    pub(super) name: String,
    pub(super) proxy: Arc<Proxy>,
    pub(super) cache: Users,
    board: Arc<Board>,
    tasks: Vec<JoinHandle<()>>,
}

/// What the tasks of a reader share.
#[derive(Default)]
struct Board {
    tally: Mutex<Tally>,
    review: Mutex<Option<Review>>,
    is_over: AtomicBool,
}

/// What was found by calls that began after some moment.
struct Review {
    from: Instant,
    /// Rows that were not read as they are.
    unseen: Vec<u64>,
    near: u64,
}

impl Reader {
    pub(super) fn start(
        name: String,
        proxy: impl Into<Arc<Proxy>>,
        cache: Users,
        ledger: &Arc<Ledger>,
    ) -> Reader {
        let board = Arc::<Board>::default();
        let task = |task| tokio::spawn(read(task, cache.clone(), ledger.clone(), board.clone()));
        Reader {
            tasks: (0..TASKS.min(ledger.keys().end)).map(task).collect(),
            name,
            proxy: proxy.into(),
            cache,
            board,
        }
    }

    /// Waits until so many more values came from the near copies.
    pub(super) async fn near_hits(&self, more: u64) {
        let board = self.board.clone();
        let enough = board.tally.lock().near + more;
        let is_over = self.board.clone();
        eventually("near hits", move || {
            let board = is_over.clone();
            async move { board.tally.lock().near >= enough || board.is_over() }
        })
        .await;
    }

    /// Waits until each row was read in a call that began after `from`, as fresh and as it is in
    /// the source, where nothing may change any more. Returns when that was.
    pub(super) async fn sees_all(&self, ledger: &Ledger, from: Instant) -> Instant {
        *self.board.review.lock() = Some(Review {
            from,
            unseen: ledger.keys().collect(),
            near: 0,
        });
        let board = self.board.clone();
        eventually("all rows as they are", move || {
            let board = board.clone();
            async move {
                let review = board.review.lock();
                review
                    .as_ref()
                    .is_none_or(|review| review.unseen.is_empty())
                    || board.is_over()
            }
        })
        .await;
        Instant::now()
    }

    /// How many of the values came from near copies since the moment that
    /// [`Reader::sees_all`] was last given.
    pub(super) fn near_since(&self) -> u64 {
        self.board
            .review
            .lock()
            .as_ref()
            .map_or(0, |review| review.near)
    }

    /// Ends the tasks and returns what they found.
    pub(super) async fn finish(mut self) -> Tally {
        self.board.is_over.store(true, Ordering::SeqCst);
        for task in self.tasks.drain(..) {
            let done = task.await;
            assert!(done.is_ok(), "{}: {done:?}", self.name);
        }
        std::mem::take(&mut self.board.tally.lock())
    }
}

impl Board {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }
}

/// A task that panics ends its reader.
struct Over(Arc<Board>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::SeqCst);
    }
}

async fn read(task: u64, cache: Users, ledger: Arc<Ledger>, board: Arc<Board>) {
    let _over = Over(board.clone());
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for key in ledger.keys().cycle().filter(|key| key % TASKS == task) {
        pace.tick().await;
        if board.is_over() {
            return;
        }
        let began = Instant::now();
        let (tally, value) = ledger.read(&cache, key).await;
        board.tally.lock().add(&tally);
        if let Some(review) = board
            .review
            .lock()
            .as_mut()
            .filter(|review| began >= review.from)
        {
            review.near += tally.near;
            if tally.stale == 0 && value == Some(ledger.value(key)) {
                review.unseen.retain(|row| *row != key);
            }
        }
    }
}
