//! Loads of many keys, and loaders that write down what they were asked for.

use std::sync::Arc;

use larder::core::BoxFuture;
use larder::{LoadError, Loaded, ManyCx};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{Oops, Users, in_time, settle};

/// What a call gives for each key.
pub(crate) type Given = Vec<Result<Option<Loaded<u64>>, LoadError<Oops>>>;

/// What the loaders of these tests answer.
pub(crate) type Rows = Result<Vec<(u64, Result<u64, Oops>)>, Oops>;

/// Ten times each key.
pub(crate) fn tenfold(keys: &[u64]) -> Rows {
    Ok(keys.iter().map(|key| (*key, Ok(key * 10))).collect())
}

/// The bare values; absent is `None`, and an error is its text.
pub(crate) fn bare(given: &Given) -> Vec<Result<Option<u64>, String>> {
    let bare = |one: &Result<Option<Loaded<u64>>, LoadError<Oops>>| match one {
        Ok(found) => Ok(found.as_deref().copied()),
        Err(error) => Err(error.to_string()),
    };
    given.iter().map(bare).collect()
}

/// All of them are there, and these are they.
pub(crate) fn all(given: &Given) -> Vec<u64> {
    let value = |one: Result<Option<u64>, String>| one.unwrap().unwrap();
    bare(given).into_iter().map(value).collect()
}

/// The keys of each call of a loader.
#[derive(Clone, Default)]
pub(crate) struct Asked(Arc<Mutex<Vec<Vec<u64>>>>);

impl Asked {
    /// What the loader was asked for since the last look.
    pub(crate) fn take(&self) -> Vec<Vec<u64>> {
        std::mem::take(&mut *self.0.lock())
    }

    pub(crate) fn note(&self, cx: &ManyCx<u64, u64>) {
        self.0.lock().push(cx.keys().to_vec());
    }

    /// A loader that gives ten times each key at once.
    pub(crate) fn loader(&self) -> impl Fn(ManyCx<u64, u64>) -> std::future::Ready<Rows> + use<> {
        let asked = self.clone();
        move |cx| {
            asked.note(&cx);
            std::future::ready(tenfold(cx.keys()))
        }
    }
}

/// A call of a loader that waits for its cue.
pub(crate) struct Call {
    pub(crate) cx: ManyCx<u64, u64>,
    answer: oneshot::Sender<Rows>,
}

impl Call {
    pub(crate) fn answer(self, rows: Rows) {
        // The loader may have been dropped: then there is nobody to answer.
        let _ = self.answer.send(rows);
    }

    /// Answers ten times each key.
    pub(crate) fn go(self) {
        let rows = tenfold(self.cx.keys());
        self.answer(rows);
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.answer.is_closed()
    }
}

/// The other end of a loader.
pub(crate) struct Calls(mpsc::UnboundedReceiver<Call>);

impl Calls {
    /// The next call, which must come.
    pub(crate) async fn next(&mut self) -> Call {
        in_time(self.0.recv()).await.expect("the loader is called")
    }

    /// The next call, if there was one by now.
    pub(crate) async fn now(&mut self) -> Option<Call> {
        settle().await;
        self.0.try_recv().ok()
    }
}

/// A loader whose calls wait for their cues.
pub(crate) fn cued() -> (
    impl Fn(ManyCx<u64, u64>) -> BoxFuture<'static, Rows> + Clone + Send + Sync + 'static,
    Calls,
) {
    let (send, calls) = mpsc::unbounded_channel();
    let loader = move |cx: ManyCx<u64, _>| -> BoxFuture<'static, Rows> {
        let (answer, answered) = oneshot::channel();
        let _ = send.send(Call { cx, answer });
        Box::pin(async move { answered.await.unwrap_or(Err(Oops("no cue"))) })
    };
    (loader, Calls(calls))
}

/// Calls `get_or_load_many` in a task of its own.
pub(crate) fn spawn_many<F, Fut>(cache: &Users, keys: &[u64], loader: F) -> JoinHandle<Given>
where
    F: Fn(ManyCx<u64, u64>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Rows> + Send + 'static,
{
    let (cache, keys) = (cache.clone(), keys.to_vec());
    tokio::spawn(async move { in_time(cache.get_or_load_many(&keys, loader)).await })
}
