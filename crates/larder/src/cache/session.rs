//! Reads that reflect what a caller has done and seen elsewhere: tickets, and sessions that hold
//! one.

use std::borrow::{Borrow, ToOwned};

use larder_core::error::Result;
use larder_core::key::Key;
use larder_core::ticket::Ticket;

use super::Cache;
use crate::engine::{EngineKey, Standing};
use crate::loaded::Loaded;
use crate::loader::{Cx, LoadError};
use crate::options::{InsertOptions, LoadOptions};
use crate::receipt::Receipt;

impl<K, V> Cache<K, V>
where
    K: Key + Send + 'static,
    V: Send + Sync + 'static,
{
    /// Reads as [`get`](Cache::get) does, and reflects at least what `ticket` asks for, through
    /// whichever node its changes were made.
    ///
    /// A near copy is used only if this node has heard of everything that the ticket asks for; then
    /// the read costs nothing more. Otherwise it costs a round trip, and one more if it loads. A
    /// ticket that is forged or out of date has the same cost, and no other effect: near copies that
    /// the remote tier no longer has are forgotten, and loaded anew.
    ///
    /// A change that no log tells of, as in the plain layout, is asked for at the remote tier.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Cache::get). While the remote tier is away, nothing else can be given that
    /// the ticket would be content with.
    pub async fn get_with_ticket<Q>(&self, key: &Q, ticket: &Ticket) -> Result<Option<Loaded<V>>>
    where
        K: Borrow<Q>,
        Q: Key + ToOwned<Owned = K> + Sync + ?Sized,
    {
        if ticket.is_empty() {
            return self.get(key).await;
        }
        let wire = self.engine.key(key)?;
        let (hit, standing) = self.engine.near_hit_with(&wire, ticket);
        if let Some(hit) = hit {
            self.refresh_through(key, &hit);
            return Ok(Some(hit));
        }
        let Some(loader) = &self.loader else {
            return Box::pin(self.engine.remote_hit(&wire)).await;
        };
        if let Some(found) = Box::pin(self.anew(&wire, standing)).await {
            return Ok(Some(found));
        }
        Box::pin(self.load_through(wire, key.to_owned(), loader)).await
    }

    /// Reads or loads as [`get_or_load`](Cache::get_or_load) does, and reflects at least what
    /// `ticket` asks for. See [`get_with_ticket`](Cache::get_with_ticket).
    ///
    /// A load that began before this node had heard of everything that the ticket asks for is not
    /// shared. If the remote tier is away, the loader runs: what it gives is as new as the source
    /// that it asks.
    pub async fn get_or_load_with_ticket<Q, E, F, Fut>(
        &self,
        key: &Q,
        ticket: &Ticket,
        loader: F,
    ) -> Result<Loaded<V>, LoadError<E>>
    where
        K: Borrow<Q>,
        Q: Key + ToOwned<Owned = K> + Sync + ?Sized,
        E: Send + Sync + 'static,
        F: FnOnce(Cx<K, V>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        if ticket.is_empty() {
            return self.get_or_load(key, loader).await;
        }
        let wire = self.engine.key(key)?;
        let (hit, standing) = self.engine.near_hit_with(&wire, ticket);
        if let Some(hit) = hit {
            self.refresh(key, &hit, loader);
            return Ok(hit);
        }
        if let Some(found) = Box::pin(self.anew(&wire, standing)).await {
            return Ok(found);
        }
        Box::pin(self.load(wire, key.to_owned(), LoadOptions::new(), loader)).await
    }

    /// A series of reads and changes of which each reflects those before it.
    pub fn session(&self) -> Session<K, V> {
        Session {
            cache: self.clone(),
            ticket: Ticket::new(),
        }
    }

    /// What the remote tier has, where a shared load will not do. Trouble of the remote tier is the
    /// load's business.
    async fn anew(&self, wire: &EngineKey, standing: Standing) -> Option<Loaded<V>> {
        match standing {
            Standing::Reached => None,
            Standing::Behind => self.engine.remote_hit_anew(wire).await.ok().flatten(),
        }
    }
}

/// A series of reads and changes through one cache, of which each reflects those before it, also
/// when it goes on elsewhere: give its [`ticket`](Session::ticket) along with a request or a
/// reply, and [`resume`](Session::resume) with it on the next node.
///
/// * *Read your writes*: no read gives a value from before a change that was made in the session.
/// * *Monotonic reads*: no read of a key gives an older value than one before it, for the last
///   [`MAX_FLOORS`](larder_core::ticket::MAX_FLOORS) keys that were read, as far as the values were
///   stored. A key that was absent does not come back with what it had before.
///
/// A session costs nothing as long as it stays on one node, or that node has heard of everything.
pub struct Session<K, V> {
    cache: Cache<K, V>,
    ticket: Ticket,
}

impl<K, V> Session<K, V> {
    /// Goes on where another session was when it gave this ticket.
    #[must_use]
    pub fn resume(mut self, ticket: &Ticket) -> Session<K, V> {
        self.ticket.merge(ticket);
        self
    }

    /// What a session elsewhere needs to go on from here. As text it fits into a header.
    pub fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// Reflects from now on what another session has done and seen, too.
    pub fn merge(&mut self, ticket: &Ticket) {
        self.ticket.merge(ticket);
    }
}

impl<K, V> Session<K, V>
where
    K: Key + Send + 'static,
    V: Send + Sync + 'static,
{
    /// See [`Cache::get_with_ticket`].
    pub async fn get<Q>(&mut self, key: &Q) -> Result<Option<Loaded<V>>>
    where
        K: Borrow<Q>,
        Q: Key + ToOwned<Owned = K> + Sync + ?Sized,
    {
        let wire = self.cache.engine.key(key)?;
        let asked = self.cache.engine.version_by_now();
        let found = self.cache.get_with_ticket(key, &self.ticket).await?;
        let seen = (asked, found.as_ref());
        self.cache.engine.note(&mut self.ticket, &wire, seen);
        Ok(found)
    }

    /// See [`Cache::get_or_load_with_ticket`].
    pub async fn get_or_load<Q, E, F, Fut>(
        &mut self,
        key: &Q,
        loader: F,
    ) -> Result<Loaded<V>, LoadError<E>>
    where
        K: Borrow<Q>,
        Q: Key + ToOwned<Owned = K> + Sync + ?Sized,
        E: Send + Sync + 'static,
        F: FnOnce(Cx<K, V>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        let wire = self.cache.engine.key(key)?;
        let cache = &self.cache;
        let asked = cache.engine.version_by_now();
        let loaded = cache.get_or_load_with_ticket(key, &self.ticket, loader);
        let loaded = loaded.await;
        let seen = match &loaded {
            Ok(loaded) => (loaded.version(), Some(loaded)),
            Err(LoadError::Absent) => (asked, None),
            Err(_) => return loaded,
        };
        cache.engine.note(&mut self.ticket, &wire, seen);
        loaded
    }

    /// See [`Cache::insert`].
    pub async fn insert<Q>(&mut self, key: &Q, value: V) -> Result<Receipt>
    where
        K: Borrow<Q>,
        Q: Key + Sync + ?Sized,
    {
        self.insert_with(key, value, InsertOptions::new()).await
    }

    /// See [`Cache::insert_with`].
    pub async fn insert_with<Q>(
        &mut self,
        key: &Q,
        value: V,
        options: InsertOptions,
    ) -> Result<Receipt>
    where
        K: Borrow<Q>,
        Q: Key + Sync + ?Sized,
    {
        let done = self.cache.insert_with(key, value, options).await?;
        Ok(self.passed(done))
    }

    /// See [`Cache::invalidate`].
    pub async fn invalidate<Q>(&mut self, key: &Q) -> Result<Receipt>
    where
        K: Borrow<Q>,
        Q: Key + Sync + ?Sized,
    {
        let done = self.cache.invalidate(key).await?;
        Ok(self.passed(done))
    }

    /// See [`Cache::expire`].
    pub async fn expire<Q>(&mut self, key: &Q) -> Result<Receipt>
    where
        K: Borrow<Q>,
        Q: Key + Sync + ?Sized,
    {
        let done = self.cache.expire(key).await?;
        Ok(self.passed(done))
    }

    /// Reflects a change that was made outside of the session, by whoever got this receipt.
    pub fn passed(&mut self, receipt: Receipt) -> Receipt {
        receipt.note(&mut self.ticket);
        receipt
    }
}
