//! What a loader is given, and how a load can fail.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use larder_core::error::Error;
use larder_core::runtime::BoxFuture;
use parking_lot::Mutex;

use crate::depend::Reads;

/// The context of one load: which key, and what is to become of the value.
pub struct Cx<K> {
    key: K,
    orders: Arc<Orders>,
}

impl<K> Cx<K> {
    pub(crate) fn new(key: K, orders: Arc<Orders>) -> Cx<K> {
        Cx { key, orders }
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
}

/// What a loader asked for beside its result, and what it read from caches.
#[derive(Default)]
pub(crate) struct Orders {
    order: Mutex<Order>,
    reads: Arc<Reads>,
}

#[derive(Default, Clone)]
pub(crate) struct Order {
    pub(crate) ttl: Option<Duration>,
    pub(crate) stale_for: Option<Duration>,
    pub(crate) skip: bool,
    failed: Option<Arc<str>>,
    pub(crate) tags: Vec<String>,
}

impl Orders {
    pub(crate) fn get(&self) -> Order {
        self.order.lock().clone()
    }

    pub(crate) fn reads(&self) -> Arc<Reads> {
        self.reads.clone()
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
    /// The loader has said so with this message ([`Cx::fail`]).
    Failed(Arc<str>),
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
            LoadError::Cache(error) => LoadError::Cache(error.clone()),
        }
    }
}

impl<E: fmt::Debug> fmt::Debug for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Loader(error) => f.debug_tuple("Loader").field(error).finish(),
            LoadError::Panicked(message) => f.debug_tuple("Panicked").field(message).finish(),
            LoadError::Failed(message) => f.debug_tuple("Failed").field(message).finish(),
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
            LoadError::Cache(error) => error.fmt(f),
        }
    }
}

impl<E: StdError + 'static> StdError for LoadError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            LoadError::Loader(error) => Some(&**error),
            LoadError::Panicked(_) | LoadError::Failed(_) => None,
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
    /// The source has nothing under this key.
    Absent,
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
            other @ (Failure::Abandoned | Failure::Reentrant | Failure::Absent) => Err(other),
        }
    }
}

/// A loader, ready to be started.
pub(crate) type Start<V> = Box<dyn FnOnce() -> BoxFuture<'static, Result<V, Failure>> + Send>;

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
pub(crate) type LoadFn<K, V> =
    dyn Fn(Cx<K>) -> BoxFuture<'static, Result<V, Arc<dyn StdError + Send + Sync>>> + Send + Sync;

pub(crate) fn boxed_loader<K, V, E, F, Fut>(loader: F) -> Arc<LoadFn<K, V>>
where
    E: StdError + Send + Sync + 'static,
    F: Fn(Cx<K>) -> Fut + Send + Sync + 'static,
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
