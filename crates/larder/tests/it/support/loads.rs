//! Loaders that say when they have begun and end when they are told.

use std::fmt;

use larder::core::{BoxFuture, Key};
use larder::{Cache, Cx, LoadError, Loaded};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{in_time, settle};

/// The error of the tests' loaders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Oops(pub(crate) &'static str);

impl fmt::Display for Oops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Oops {}

/// The other end of a loader that waits.
pub(crate) struct Paused<V> {
    begun: oneshot::Receiver<()>,
    answer: oneshot::Sender<Result<V, Oops>>,
}

impl<V> Paused<V> {
    /// Returns once the loader runs.
    pub(crate) async fn begun(&mut self) {
        in_time(&mut self.begun)
            .await
            .expect("the loader is started");
    }

    /// Whether the loader has begun by now.
    pub(crate) fn has_begun(&mut self) -> bool {
        self.begun.try_recv().is_ok()
    }

    /// Whether the loader was dropped, or never can run.
    pub(crate) fn is_dropped(&self) -> bool {
        self.answer.is_closed()
    }

    /// Ends the load.
    pub(crate) fn answer(self, result: Result<V, Oops>) {
        // The loader may have been dropped: then there is nobody to answer.
        let _ = self.answer.send(result);
    }
}

type Loader<K, V> = Box<dyn FnOnce(Cx<K, V>) -> BoxFuture<'static, Result<V, Oops>> + Send>;

/// A loader that waits for its cue.
pub(crate) fn paused<K, V>() -> (Loader<K, V>, Paused<V>)
where
    K: Send + 'static,
    V: Send + Sync + 'static,
{
    let (begin, begun) = oneshot::channel();
    let (answer, answered) = oneshot::channel();
    let loader = move |cx: Cx<K, V>| -> BoxFuture<'static, Result<V, Oops>> {
        Box::pin(async move {
            let _cx = cx;
            let _ = begin.send(());
            answered.await.unwrap_or(Err(Oops("no cue")))
        })
    };
    (Box::new(loader), Paused { begun, answer })
}

/// A call of `get_or_load` in a task of its own.
pub(crate) type Call<V> = JoinHandle<Result<Loaded<V>, LoadError<Oops>>>;

/// Calls `get_or_load` in a task of its own.
pub(crate) fn spawn_load<K, V, F, Fut>(cache: &Cache<K, V>, key: K, loader: F) -> Call<V>
where
    K: Key + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    F: FnOnce(Cx<K, V>) -> Fut + Send + 'static,
    Fut: Future<Output = Result<V, Oops>> + Send + 'static,
{
    let cache = cache.clone();
    tokio::spawn(async move { in_time(cache.get_or_load(&key, loader)).await })
}

/// Calls `get_or_load` with a loader that waits for its cue, and returns once that runs.
pub(crate) async fn paused_load(cache: &Cache<u64, u64>, key: u64) -> (Call<u64>, Paused<u64>) {
    let (loader, mut paused) = paused();
    let call = spawn_load(cache, key, loader);
    paused.begun().await;
    settle().await;
    (call, paused)
}
