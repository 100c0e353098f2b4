//! Single loads that are gathered for a moment and made by one call of the loader.

use std::borrow::{Borrow, ToOwned};
use std::collections::HashSet;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use larder_core::error::{Error, ErrorKind, Result};
use larder_core::key::Key;

use crate::cache::Cache;
use crate::engine::{EngineKey, Load};
use crate::loaded::Loaded;
use crate::loader::LoadError;
use crate::many::{Answer, Group, Hold, ManyCx, ManyFn, boxed_many};
use crate::options::{IntoDuration, LoadOptions};
use crate::sync::Mutex;

/// Reads of single keys that load together: what is asked for within a short while, by whomever, is
/// one call of the loader. Made by [`Cache::batcher`].
///
/// Cheap to clone; clones gather together. Everything else is as for
/// [`get_or_load_many`](Cache::get_or_load_many): each key has its own load, which others join, and its
/// own outcome.
pub struct Batcher<K, V, E> {
    shared: Arc<Shared<K, V>>,
    error: PhantomData<fn() -> E>,
}

impl<K, V, E> Clone for Batcher<K, V, E> {
    fn clone(&self) -> Batcher<K, V, E> {
        Batcher {
            shared: self.shared.clone(),
            error: PhantomData,
        }
    }
}

struct Shared<K, V> {
    cache: Cache<K, V>,
    loader: Arc<ManyFn<K, V>>,
    window: Duration,
    max: usize,
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    open: Option<Open<K, V>>,
    /// Groups that were opened so far.
    opened: u64,
}

/// A group that waits for more.
struct Open<K, V> {
    group: Group<K, V>,
    keys: HashSet<Box<[u8]>>,
    _hold: Hold<K, V>,
}

impl<K, V> Cache<K, V>
where
    K: Key + Send + 'static,
    V: Send + Sync + 'static,
{
    /// Reads of single keys through this cache that load together: a read that the near cache cannot
    /// answer waits up to `window` for others, or until there are `max` different keys, whichever comes
    /// first. Then one round trip looks for all of them, and `loader` is called for those that are to be
    /// loaded. What the loader is given and gives: [`get_or_load_many`](Cache::get_or_load_many).
    ///
    /// ```
    /// # use std::collections::HashMap;
    /// # use larder::{Cache, Error};
    /// # async fn names(_: &[u64]) -> Result<HashMap<u64, String>, std::io::Error> {
    /// #     Ok(HashMap::new())
    /// # }
    /// # async fn f(users: Cache<u64, String>) -> Result<(), Box<dyn std::error::Error>> {
    /// let users = users.batcher("2ms", 100, |cx| async move { names(cx.keys()).await })?;
    /// let name = users.get(&7).await?;
    /// # drop(name); Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a window or a number of zero, or a text that is no duration.
    pub fn batcher<E, F, Fut, A, T>(
        &self,
        window: impl IntoDuration,
        max: usize,
        loader: F,
    ) -> Result<Batcher<K, V, E>>
    where
        E: Send + Sync + 'static,
        F: Fn(ManyCx<K, V>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<A, E>> + Send + 'static,
        A: IntoIterator<Item = (K, T)>,
        T: Answer<V, E>,
    {
        let wrong = |what: String| Error::new(ErrorKind::Config, format!("batcher {what}"));
        let window = window.into_duration();
        let window = window.map_err(|error| wrong(format!("window: {error}")))?;
        if window.is_zero() || max == 0 {
            let message = "window and number of keys: must be more than zero";
            return Err(wrong(message.to_owned()));
        }
        let shared = Shared {
            cache: self.clone(),
            loader: boxed_many(loader),
            window,
            max,
            state: Mutex::new(State {
                open: None,
                opened: 0,
            }),
        };
        Ok(Batcher {
            shared: Arc::new(shared),
            error: PhantomData,
        })
    }
}

impl<K, V, E> Batcher<K, V, E>
where
    K: Key + Send + 'static,
    V: Send + Sync + 'static,
    E: Send + Sync + 'static,
{
    /// The value of a key, loaded together with others if no tier has it fresh; `None` if the source has
    /// none.
    ///
    /// A near hit waits for nothing. A key that is being loaded already, or that others have asked for
    /// within the same window, is joined, and takes no place among the `max`. Dropping the future leaves
    /// the others as they are.
    ///
    /// # Errors
    ///
    /// Those of [`get_or_load`](Cache::get_or_load). Limits of waiting ([`Timeouts`](crate::Timeouts))
    /// count from this call, the window included.
    ///
    /// # Cost
    ///
    /// That of [`get_or_load_many`](Cache::get_or_load_many), shared by all that are in the window.
    pub async fn get<Q>(&self, key: &Q) -> Result<Option<Loaded<V>>, LoadError<E>>
    where
        K: Borrow<Q>,
        Q: Key + ToOwned<Owned = K> + Sync + ?Sized,
    {
        let shared = &self.shared;
        let engine = shared.cache.engine();
        if let Some(hit) = shared.cache.near(key) {
            if engine.is_due(&hit)
                && let Ok(wire) = engine.key(key)
            {
                let load = |group: &Group<K, V>| group.refresh(key.to_owned());
                engine.refresh(wire.clone(), &hit, || shared.join(&wire, load));
            }
            return Ok(Some(hit));
        }
        let wire = engine.key(key)?;
        if engine.is_known_absent(&wire) {
            return Ok(None);
        }
        let options = LoadOptions::<V>::new();
        let patience = engine.protection.patience(&options, engine.runtime.now());
        Box::pin(async move {
            let wires = std::slice::from_ref(&wire);
            let absence = engine.about_to_read(wires).await.pop().flatten();
            let load = shared.join(&wire, |group| group.load(key.to_owned()));
            shared.cache.one(wire, load, patience, absence).await
        })
        .await
    }
}

impl<K, V> Shared<K, V>
where
    K: Key + Send + 'static,
    V: Send + Sync + 'static,
{
    /// Takes part in the group that waits for more, or opens one.
    fn join(
        self: &Arc<Self>,
        wire: &EngineKey,
        load: impl FnOnce(&Group<K, V>) -> Load<V>,
    ) -> Load<V> {
        let mut state = self.state.lock();
        if state.open.is_none() {
            state.opened += 1;
            self.close_in_time(state.opened);
        }
        let open = state.open.get_or_insert_with(|| {
            let group = Group::new(self.cache.engine(), &self.loader, self.max);
            Open {
                _hold: group.hold(),
                keys: HashSet::new(),
                group,
            }
        });
        let load = load(&open.group);
        open.keys.insert(wire.id_bytes().into());
        let full = (open.keys.len() >= self.max).then(|| state.open.take());
        drop(state);
        drop(full);
        load
    }

    fn close_in_time(self: &Arc<Self>, number: u64) {
        let (shared, runtime) = (self.clone(), &self.cache.engine().runtime);
        let window = runtime.sleep(self.window);
        runtime.spawn(Box::pin(async move {
            window.await;
            let mut state = shared.state.lock();
            let is_this = state.opened == number;
            let over = state.open.take_if(|_| is_this);
            drop(state);
            drop(over);
        }));
    }
}
