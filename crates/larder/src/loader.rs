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
    pub(crate) tags: Vec<String>,
}

impl Orders {
    pub(crate) fn get(&self) -> Order {
        self.order.lock().clone()
    }

    pub(crate) fn reads(&self) -> Arc<Reads> {
        self.reads.clone()
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
    /// The key cannot be used, or the cache is closed.
    Cache(Error),
}

impl<E: fmt::Debug> fmt::Debug for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Loader(error) => f.debug_tuple("Loader").field(error).finish(),
            LoadError::Panicked(message) => f.debug_tuple("Panicked").field(message).finish(),
            LoadError::Cache(error) => f.debug_tuple("Cache").field(error).finish(),
        }
    }
}

impl<E: fmt::Display> fmt::Display for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Loader(error) => write!(f, "the loader failed: {error}"),
            LoadError::Panicked(message) => write!(f, "the loader panicked: {message}"),
            LoadError::Cache(error) => error.fmt(f),
        }
    }
}

impl<E: StdError + 'static> StdError for LoadError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            LoadError::Loader(error) => Some(&**error),
            LoadError::Panicked(_) => None,
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
    /// The load ended without an outcome.
    Abandoned,
    /// The loader waits for itself.
    Reentrant,
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
