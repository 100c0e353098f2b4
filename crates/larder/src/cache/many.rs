//! Loading many keys by one call.

use std::borrow::{Borrow, ToOwned};
use std::collections::HashMap;

use futures_util::future::join_all;
use larder_core::key::Key;

use super::Cache;
use super::load::told;
use crate::depend::Absence;
use crate::engine::{EngineKey, Load, Patience};
use crate::loaded::{Loaded, Source};
use crate::loader::LoadError;
use crate::many::{Answer, Group, ManyCx, boxed_many};
use crate::options::ManyOptions;

/// What became of one key of many: its value, or nothing if the source has none, or an error.
type One<V, E> = Result<Option<Loaded<V>>, LoadError<E>>;

/// A key that the near cache does not have.
struct Asked<'k, Q: ?Sized> {
    key: &'k Q,
    wire: EngineKey,
}

/// What the near cache says to many keys.
struct Sorted<'k, Q: ?Sized, V, E> {
    /// For each key what became of it, or its place among those that are asked for.
    found: Vec<Result<One<V, E>, usize>>,
    asked: Vec<Asked<'k, Q>>,
    /// What is due for a refresh.
    due: Vec<(&'k Q, Loaded<V>)>,
}

impl<K, V> Cache<K, V>
where
    K: Key + Send + 'static,
    V: Send + Sync + 'static,
{
    /// The values of many keys, in the order of `keys`; those that no tier has fresh are loaded, by one
    /// call of the loader. Each key has its own outcome: a value, `None` if the source has none, or an
    /// error. A key that is asked for twice is loaded once.
    ///
    /// The loader gives pairs of a key and a value, in any order and in any collection; or pairs of a
    /// key and a [`Result`], where a key may fail by itself. A key that is not among them is absent: the
    /// source has nothing. An error of the loader, or a panic, is that of every key that it was given.
    ///
    /// ```
    /// # use std::collections::HashMap;
    /// # use larder::{Cache, Loaded};
    /// # struct Db;
    /// # impl Db {
    /// #     async fn names(&self, _: &[u64]) -> Result<HashMap<u64, String>, std::io::Error> {
    /// #         Ok(HashMap::new())
    /// #     }
    /// # }
    /// # async fn f(users: Cache<u64, String>, db: std::sync::Arc<Db>) {
    /// let names = users.get_or_load_many(&[1, 2, 3], move |cx| {
    ///     let db = db.clone();
    ///     async move { db.names(cx.keys()).await }
    /// });
    /// for name in names.await {
    ///     match name {
    ///         Ok(Some(name)) => println!("{}", *name),
    ///         Ok(None) => println!("nobody"),
    ///         Err(error) => println!("{error}"),
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Concurrent calls
    ///
    /// Every key is loaded as [`get_or_load`](Cache::get_or_load) loads one: once at a time in a
    /// process, whoever asks for it and together with whichever others, and in turns among processes.
    /// The loader is given the keys that this call has the right to load, without waiting for the
    /// others; keys that another process was loading, and did not bring, are loaded afterwards (those that
    /// become free within 50 ms of each other together), so that the loader may be called more than once.
    /// It also is where there are more keys than a [chunk](ManyOptions::chunk).
    ///
    /// # What is stored
    ///
    /// Each value with its own proof, taken before the loader ran: one whose key has changed meanwhile
    /// is returned and not stored, the others are. That a key is absent is remembered as
    /// [`Cx::absent`](crate::Cx::absent) is: for [`negative_ttl`](crate::Builder::negative_ttl), if there
    /// is one; a value that was there before is gone. What the loader reads from caches, each of its
    /// values depends on.
    ///
    /// # Cancellation
    ///
    /// Dropping the future leaves each key to those who wait for it. The call of the loader goes on
    /// while anyone waits for one of its keys.
    ///
    /// # Errors
    ///
    /// For each key those of [`get_or_load`](Cache::get_or_load); where a stale value may be used in
    /// place of one, that is returned, as it is there.
    ///
    /// # Cost
    ///
    /// One round trip for all that is found in the remote tier. A load costs three round trips, however
    /// many keys: one read of all, then a lease and a fill for each key, side by side, 64 at once. Each
    /// key that is not in the near cache costs a task.
    pub async fn get_or_load_many<'k, Q, E, F, Fut, A, T>(
        &self,
        keys: impl IntoIterator<Item = &'k Q>,
        loader: F,
    ) -> Vec<Result<Option<Loaded<V>>, LoadError<E>>>
    where
        K: Borrow<Q>,
        Q: Key + ToOwned<Owned = K> + Sync + ?Sized + 'k,
        E: Send + Sync + 'static,
        F: Fn(ManyCx<K, V>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<A, E>> + Send + 'static,
        A: IntoIterator<Item = (K, T)>,
        T: Answer<V, E>,
    {
        let options = ManyOptions::new();
        self.get_or_load_many_with(keys, options, loader).await
    }

    /// Loads as [`get_or_load_many`](Cache::get_or_load_many) does, with chunks and limits of its own
    /// for how long this caller waits for each key.
    pub async fn get_or_load_many_with<'k, Q, E, F, Fut, A, T>(
        &self,
        keys: impl IntoIterator<Item = &'k Q>,
        options: ManyOptions,
        loader: F,
    ) -> Vec<Result<Option<Loaded<V>>, LoadError<E>>>
    where
        K: Borrow<Q>,
        Q: Key + ToOwned<Owned = K> + Sync + ?Sized + 'k,
        E: Send + Sync + 'static,
        F: Fn(ManyCx<K, V>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<A, E>> + Send + 'static,
        A: IntoIterator<Item = (K, T)>,
        T: Answer<V, E>,
    {
        let keys = keys.into_iter().collect();
        Box::pin(self.many(keys, options, loader)).await
    }

    async fn many<Q, E, F, Fut, A, T>(
        &self,
        keys: Vec<&Q>,
        options: ManyOptions,
        loader: F,
    ) -> Vec<One<V, E>>
    where
        K: Borrow<Q>,
        Q: Key + ToOwned<Owned = K> + Sync + ?Sized,
        E: Send + Sync + 'static,
        F: Fn(ManyCx<K, V>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<A, E>> + Send + 'static,
        A: IntoIterator<Item = (K, T)>,
        T: Answer<V, E>,
    {
        let engine = &self.engine;
        let patience = engine
            .protection
            .patience(&options.each::<V>(), engine.runtime.now());
        let Sorted { found, asked, due } = self.sort(keys);
        if asked.is_empty() && due.is_empty() {
            return found
                .into_iter()
                .filter_map(|place| place.map_err(drop).ok())
                .collect();
        }
        let wires: Vec<EngineKey> = asked.iter().map(|asked| asked.wire.clone()).collect();
        let absences = engine.about_to_read(&wires).await;
        let group = Group::new(engine, &boxed_many(loader), options.chunk);
        // Nobody begins before all are known.
        let hold = group.hold();
        for (key, hit) in due {
            if let Ok(wire) = engine.key(key) {
                engine.refresh(wire, &hit, || group.refresh(key.to_owned()));
            }
        }
        let each = asked.into_iter().zip(absences).map(|(asked, absence)| {
            let load = group.load(asked.key.to_owned());
            self.one(asked.wire, load, patience, absence)
        });
        let each: Vec<_> = each.collect();
        drop(hold);
        let loaded = join_all(each).await;
        let place = |place: Result<_, usize>| place.unwrap_or_else(|at| loaded[at].clone());
        found.into_iter().map(place).collect()
    }

    /// Looks into the near cache. Keys that are not there are asked for once each.
    fn sort<'k, Q, E>(&self, keys: Vec<&'k Q>) -> Sorted<'k, Q, V, E>
    where
        Q: Key + ?Sized,
    {
        let (mut found, mut asked, mut due) = (Vec::new(), Vec::new(), Vec::new());
        let mut places = HashMap::new();
        for key in keys {
            if let Some(hit) = self.near(key) {
                if self.engine.is_due(&hit) {
                    due.push((key, hit.clone()));
                }
                found.push(Ok(Ok(Some(hit))));
                continue;
            }
            found.push(match self.engine.key(key) {
                Ok(wire) if self.engine.is_known_absent(&wire) => Ok(Ok(None)),
                Ok(wire) => {
                    let place = places.entry(Box::<[u8]>::from(wire.id_bytes()));
                    Err(*place.or_insert_with(|| {
                        asked.push(Asked { key, wire });
                        asked.len() - 1
                    }))
                }
                Err(error) => Ok(Err(LoadError::Cache(error))),
            });
        }
        Sorted { found, asked, due }
    }

    /// One key of many: loads it, or joins a load, as long as the caller waits.
    pub(crate) async fn one<E>(
        &self,
        wire: EngineKey,
        load: Load<V>,
        patience: Patience,
        absence: Option<Absence>,
    ) -> One<V, E>
    where
        E: Send + Sync + 'static,
    {
        let engine = &self.engine;
        let mut load = Some(load);
        loop {
            let failure = match engine.fly(&wire, &mut load, patience).await {
                Ok(landed) if landed.entry.is_nothing() => {
                    // As of when another one's load knows it, its entry alone can say.
                    let is_own = load.is_none() && landed.source == Source::Loaded;
                    match absence.filter(|_| is_own) {
                        Some(absence) => engine.absent_in_load(Some(absence)),
                        None => engine.read_in_load(&wire, &landed.entry, false),
                    }
                    return Ok(None);
                }
                Ok(landed) => {
                    engine.read_in_load(&wire, &landed.entry, landed.is_stale());
                    return Ok(Some(engine.loaded(landed)));
                }
                Err(failure) => failure,
            };
            if let Some(error) = told(failure, load.is_some()) {
                return Err(error);
            }
        }
    }
}
