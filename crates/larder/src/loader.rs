//! What a loader is given, and how a load can fail.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::future::{Pending, pending};
use std::sync::Arc;
use std::time::Duration;

use larder_core::error::Error;
use larder_core::runtime::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::depend::Reads;
use crate::loaded::Loaded;

/// The context of one load: which key, and what is to become of the value.
pub struct Cx<K, V> {
    key: K,
    orders: Arc<Orders>,
    previous: Option<Loaded<V>>,
}

impl<K, V> Cx<K, V> {
    pub(crate) fn new(key: K, orders: Arc<Orders>, previous: Option<Loaded<V>>) -> Cx<K, V> {
        Cx {
            key,
            orders,
            previous,
        }
    }

    /// The key to load.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// Gives this value a fresh life of its own instead of the cache's.
    pub fn ttl(&self, ttl: Duration) {
        self.orders.order.lock().ttl = Some(ttl);
    }

    /// Gives this value a stale life of its own instead of the cache's.
    pub fn stale_for(&self, stale_for: Duration) {
        self.orders.order.lock().stale_for = Some(stale_for);
    }

    /// Labels the value: [`invalidate_tag`](crate::Cache::invalidate_tag) with the same text makes
    /// it void, together with all others that bear the label. It also is void if the tag was
    /// invalidated since before this load began. At most 32 tags of at most 256 bytes; with more,
    /// or an empty one, the value is not stored ([`Refusal::TagsRefused`](crate::Refusal)).
    pub fn tag(&self, tag: impl Into<String>) {
        self.orders.order.lock().tags.push(tag.into());
    }

    /// Lets this load count as failed, whatever the loader returns: those who wait get the stale value,
    /// if there is one, else [`LoadError::Failed`] with this message. For what the source says without
    /// an error, such as an answer that makes no sense.
    pub fn fail(&self, message: impl Into<String>) {
        self.orders.order.lock().failed = Some(message.into().into());
    }

    /// Gives the value to those who wait for it, but does not store it.
    pub fn skip(&self) {
        self.orders.order.lock().skip = true;
    }

    /// The value that this load is to replace: stale, or soon to be, and still there. What was invalidated
    /// is not, as far as this process knows. For asking the source whether there is anything newer; what is
    /// made from it does not depend on what it depended on.
    pub fn previous(&self) -> Option<&Loaded<V>> {
        self.previous.as_ref()
    }

    /// Answers that the source still has what [`previous`](Cx::previous) says. That value gets the fresh
    /// life of a new one, under the proof of any load, and the bytes that the remote tier has stay where
    /// they are. It keeps its tags and what it depends on; what this loader has named or read comes on top
    /// (if that is anything new, the value is written anew).
    ///
    /// The load ends here: `return cx.not_modified().await` in place of a value, which never comes. What
    /// the loader returns if it goes on is of no meaning. Without a previous value the load fails
    /// ([`LoadError::Failed`]).
    pub fn not_modified<T>(&self) -> Pending<T> {
        self.orders.answer(Answer::NotModified)
    }

    /// Answers that the source has no such record. That is remembered as a negative entry for
    /// [`negative_ttl`](crate::Builder::negative_ttl), or for [`ttl`](Cx::ttl) if the loader sets one, under
    /// the proof of any load; a value that was there before is gone, for fail-safe too. Those who wait get
    /// [`LoadError::Absent`], and `None` from [`get`](crate::Cache::get).
    ///
    /// The load ends here: `return cx.absent().await` in place of a value, which never comes.
    pub fn absent<T>(&self) -> Pending<T> {
        self.orders.answer(Answer::Absent)
    }
}

impl<K, V> Cx<K, V> {
    /// Answers without ending the load.
    pub(crate) fn say(&self, answer: Answer) {
        self.orders.say(Some(answer));
    }
}

/// What a loader asked for beside its result, and what it read from caches.
#[derive(Default)]
pub(crate) struct Orders {
    order: Mutex<Order>,
    reads: Arc<Reads>,
    answered: Notify,
}

/// What a loader says in place of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    NotModified,
    Absent,
}

#[derive(Default, Clone)]
pub(crate) struct Order {
    pub(crate) ttl: Option<Duration>,
    pub(crate) stale_for: Option<Duration>,
    pub(crate) skip: bool,
    failed: Option<Arc<str>>,
    pub(crate) answer: Option<Answer>,
    pub(crate) tags: Vec<String>,
}

impl Orders {
    pub(crate) fn get(&self) -> Order {
        self.order.lock().clone()
    }

    pub(crate) fn reads(&self) -> Arc<Reads> {
        self.reads.clone()
    }

    fn answer<T>(&self, answer: Answer) -> Pending<T> {
        self.say(Some(answer));
        self.answered.notify_one();
        pending()
    }

    /// The answer in place of a value, for the end of the loader.
    pub(crate) fn say(&self, answer: Option<Answer>) {
        self.order.lock().answer = answer;
    }

    /// Returns once the loader has answered without a value, in whatever task that was.
    pub(crate) async fn answered(&self) {
        self.answered.notified().await;
    }

    /// What the loader has said of its failure.
    pub(crate) fn failure(&self) -> Option<Arc<str>> {
        self.order.lock().failed.clone()
    }
}

/// Why [`Cache::get_or_load`](crate::Cache::get_or_load) has no value. Trouble of the cache
/// itself is never a reason: then the loader runs all the same.
#[non_exhaustive]
pub enum LoadError<E> {
    /// The loader's error, shared by all who waited for it.
    Loader(Arc<E>),
    /// The loader panicked with this message; the panic went no further.
    Panicked(Arc<str>),
    /// The loader has said so with this message ([`Cx::fail`]), or has answered what it cannot.
    Failed(Arc<str>),
    /// The source has no such record ([`Cx::absent`]), as it says now or has said a moment ago.
    Absent,
    /// The key cannot be used, the cache is closed, or a limit was reached:
    /// [`ErrorKind::Timeout`](crate::ErrorKind) for one of time,
    /// [`ErrorKind::Overloaded`](crate::ErrorKind) for one of loads.
    Cache(Error),
}

impl<E> Clone for LoadError<E> {
    fn clone(&self) -> LoadError<E> {
        match self {
            LoadError::Loader(error) => LoadError::Loader(error.clone()),
            LoadError::Panicked(message) => LoadError::Panicked(message.clone()),
            LoadError::Failed(message) => LoadError::Failed(message.clone()),
            LoadError::Absent => LoadError::Absent,
            LoadError::Cache(error) => LoadError::Cache(error.clone()),
        }
    }
}

impl<E> LoadError<E> {
    /// Whether the source has no such record: an answer, and no failure.
    pub fn is_absent(&self) -> bool {
        matches!(self, LoadError::Absent)
    }
}

impl<E: fmt::Debug> fmt::Debug for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Loader(error) => f.debug_tuple("Loader").field(error).finish(),
            LoadError::Panicked(message) => f.debug_tuple("Panicked").field(message).finish(),
            LoadError::Failed(message) => f.debug_tuple("Failed").field(message).finish(),
            LoadError::Absent => f.write_str("Absent"),
            LoadError::Cache(error) => f.debug_tuple("Cache").field(error).finish(),
        }
    }
}

impl<E: fmt::Display> fmt::Display for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Loader(error) => write!(f, "the loader failed: {error}"),
            LoadError::Panicked(message) => write!(f, "the loader panicked: {message}"),
            LoadError::Failed(message) => write!(f, "the loader failed: {message}"),
            LoadError::Absent => f.write_str("the source has no such record"),
            LoadError::Cache(error) => error.fmt(f),
        }
    }
}

impl<E: StdError + 'static> StdError for LoadError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            LoadError::Loader(error) => Some(&**error),
            LoadError::Panicked(_) | LoadError::Failed(_) | LoadError::Absent => None,
            LoadError::Cache(error) => Some(error),
        }
    }
}

impl<E> From<Error> for LoadError<E> {
    fn from(error: Error) -> LoadError<E> {
        LoadError::Cache(error)
    }
}

/// A load's failure inside the engine, where the type of the loader's error is not known.
#[derive(Clone)]
pub(crate) enum Failure {
    Loader(Arc<dyn Any + Send + Sync>),
    Panicked(Arc<str>),
    /// The loader has said so.
    Said(Arc<str>),
    /// A limit was reached.
    Cache(Error),
    /// The load ended without an outcome.
    Abandoned,
    /// The loader waits for itself.
    Reentrant,
}

impl Failure {
    /// The same for a caller whose loader has errors of type `E`; or itself, if it has nothing for it.
    pub(crate) fn told<E: Send + Sync + 'static>(self) -> Result<LoadError<E>, Failure> {
        match self {
            Failure::Loader(error) => match error.downcast::<E>() {
                Ok(error) => Ok(LoadError::Loader(error)),
                Err(error) => Err(Failure::Loader(error)),
            },
            Failure::Panicked(message) => Ok(LoadError::Panicked(message)),
            Failure::Said(message) => Ok(LoadError::Failed(message)),
            Failure::Cache(error) => Ok(LoadError::Cache(error)),
            other @ (Failure::Abandoned | Failure::Reentrant) => Err(other),
        }
    }
}

/// A loader, ready to be started with what it is to replace.
pub(crate) type Start<V> =
    Box<dyn FnOnce(Option<Loaded<V>>) -> BoxFuture<'static, Result<V, Failure>> + Send>;

/// The text of a panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> Arc<str> {
    if let Some(text) = panic.downcast_ref::<&str>() {
        Arc::from(*text)
    } else if let Some(text) = panic.downcast_ref::<String>() {
        Arc::from(text.as_str())
    } else {
        Arc::from("a value that is no text")
    }
}

/// A loader kept by a cache: its errors are one type.
pub(crate) type LoadFn<K, V> = dyn Fn(Cx<K, V>) -> BoxFuture<'static, Result<V, Arc<dyn StdError + Send + Sync>>>
    + Send
    + Sync;

pub(crate) fn boxed_loader<K, V, E, F, Fut>(loader: F) -> Arc<LoadFn<K, V>>
where
    E: StdError + Send + Sync + 'static,
    F: Fn(Cx<K, V>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<V, E>> + Send + 'static,
{
    Arc::new(move |cx| {
        let loading = loader(cx);
        Box::pin(async move {
            loading
                .await
                .map_err(|error| Arc::new(error) as Arc<dyn StdError + Send + Sync>)
        })
    })
}
