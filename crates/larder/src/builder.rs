//! Building a cache: every setting, and every error at once.

mod checks;
mod loads;

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use larder_core::codec::{Codec, CodecId};
use larder_core::error::Result;
use larder_core::key::{Key, KeyHasher, Name};
use larder_core::limits::MAX_VALUE_BYTES;
use larder_core::refresh::Early;
use larder_core::runtime::Runtime;
use larder_core::store::Store;

use crate::backlog::{Backlog, Deferred};
use crate::cache::Cache;
#[cfg(feature = "msgpack")]
use crate::codec::MessagePack;
use crate::codec::Opaque;
use crate::coherence::Coherence;
use crate::depend::Place;
use crate::engine::areas::{KnownAreas, Reach};
use crate::engine::refresh::{self, Refreshes};
use crate::engine::{Engine, Flights, Lives, Weigher};
use crate::link;
use crate::loader::{Cx, LoadFn, boxed_loader};
use crate::mode::Mode;
use crate::near::{Cause, Near as NearCache, Reporter};
use crate::node::{self, Node};
use crate::observe::Counts;
use crate::options::{IntoBytes, IntoDuration, Near, Refresh, RefreshPolicy, WhenFenced};
use crate::remote::{Layout, Opening, Remote};
use crate::runtime::TokioRuntime;
use crate::sync::atomic::{AtomicBool, AtomicU64};
use crate::tags::TagCells;
use checks::{Wrong, check_leases, named, refresh_setting, view};
use loads::LoadSettings;

/// The codec of a builder that was given none.
#[cfg(feature = "msgpack")]
pub type DefaultCodec = MessagePack;
/// The codec of a builder that was given none.
#[cfg(not(feature = "msgpack"))]
pub type DefaultCodec = Opaque;

type Listener<V> = Box<dyn Fn(&[u8], &V, Cause) + Send + Sync>;

/// Collects the settings of a [`Cache`]; made by [`Cache::builder`].
///
/// Setters check nothing: [`build`](Builder::build) reports all errors at once.
#[must_use]
pub struct Builder<K, V, C = DefaultCodec> {
    name: String,
    ttl: Option<Result<Duration, String>>,
    endless: bool,
    stale_for: Result<Duration, String>,
    refresh: Option<Refresh>,
    loads: LoadSettings,
    jitter_percent: u8,
    lease: Result<Duration, String>,
    tombstone: Result<Duration, String>,
    max_value: Result<u64, String>,
    schema: u32,
    when_fenced: WhenFenced,
    mode: Mode,
    node: Option<String>,
    backlog: Option<Backlog>,
    near: Option<Near>,
    remote: Option<Box<dyn Remote>>,
    layout: Layout,
    codec: C,
    weigher: Option<Weigher<V>>,
    listener: Option<Listener<V>>,
    loader: Option<Arc<LoadFn<K, V>>>,
    runtime: Option<Arc<dyn Runtime>>,
    keys: PhantomData<fn(K)>,
}

impl<K, V> Builder<K, V> {
    pub(crate) fn new(name: &str) -> Builder<K, V> {
        Builder {
            name: name.to_owned(),
            ttl: None,
            endless: false,
            stale_for: Ok(Duration::ZERO),
            refresh: None,
            loads: LoadSettings::default(),
            jitter_percent: 5,
            lease: Ok(Duration::from_secs(3)),
            tombstone: Ok(Duration::from_secs(60)),
            max_value: Ok(MAX_VALUE_BYTES as u64),
            schema: 0,
            when_fenced: WhenFenced::default(),
            mode: Mode::default(),
            node: None,
            backlog: None,
            near: None,
            remote: None,
            layout: Layout::default(),
            codec: DefaultCodec::default(),
            weigher: None,
            listener: None,
            loader: None,
            runtime: None,
            keys: PhantomData,
        }
    }
}

impl<K, V, C> Builder<K, V, C> {
    /// How long a value is fresh. Every cache needs one, or
    /// [`without_ttl`](Builder::without_ttl).
    pub fn ttl(mut self, ttl: impl IntoDuration) -> Self {
        self.ttl = Some(ttl.into_duration());
        self
    }

    /// Values are fresh until they are invalidated or evicted.
    pub fn without_ttl(mut self) -> Self {
        self.endless = true;
        self
    }

    /// How long after its fresh life a value may still be used, marked as stale, when a load
    /// fails. Default: not at all.
    pub fn stale_for(mut self, stale_for: impl IntoDuration) -> Self {
        self.stale_for = stale_for.into_duration();
        self
    }

    /// When values are loaded again while they are still served. Default: never; a value whose
    /// fresh life is over is loaded by the next reader, who waits for it. Needs a remote tier with
    /// leases, or none: not the plain layout.
    pub fn refresh(mut self, refresh: Refresh) -> Self {
        self.refresh = Some(refresh);
        self
    }

    /// The most by which each fresh life is shortened at random, in percent, so that values
    /// stored together do not end together. Default: 5.
    pub fn jitter_percent(mut self, percent: u8) -> Self {
        self.jitter_percent = percent;
        self
    }

    /// How long a lease of the remote tier lasts without being renewed: what a process that dies
    /// while it loads makes the others wait. Default: 3 s.
    pub fn lease(mut self, lease: impl IntoDuration) -> Self {
        self.lease = lease.into_duration();
        self
    }

    /// How long the remote tier remembers that a key was invalidated. Default: 60 s.
    pub fn tombstone(mut self, tombstone: impl IntoDuration) -> Self {
        self.tombstone = tombstone.into_duration();
        self
    }

    /// The largest encoded value. Larger ones are given to their caller and not stored; an
    /// insert of one is an error. Default: 16 MiB.
    pub fn max_value(mut self, max_value: impl IntoBytes) -> Self {
        self.max_value = max_value.into_bytes();
        self
    }

    /// A number for the shape of the value. A value stored under another number is a miss.
    pub fn schema(mut self, schema: u32) -> Self {
        self.schema = schema;
        self
    }

    /// What becomes of near copies while the bus is silent. Default: they are not used.
    pub fn when_fenced(mut self, when_fenced: WhenFenced) -> Self {
        self.when_fenced = when_fenced;
        self
    }

    /// What other nodes do with their near copies when a value changes, and what this one does.
    /// Default: they become void.
    pub fn coherence(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// What people call this node, in lists of nodes and in logs: 1 to 64 bytes, such as `web-1`.
    /// Default: the number of the process and a random number.
    pub fn node(mut self, name: impl Into<String>) -> Self {
        self.node = Some(name.into());
        self
    }

    /// The near cache. Default: none.
    pub fn near(mut self, near: Near) -> Self {
        self.near = Some(near);
        self
    }

    /// The remote tier. Default: none.
    pub fn remote(mut self, remote: impl Remote + 'static) -> Self {
        self.remote = Some(Box::new(remote));
        self
    }

    /// How values lie in the remote tier. Default: enveloped.
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// How values become bytes. Default: MessagePack.
    pub fn codec<D>(self, codec: D) -> Builder<K, V, D> {
        Builder {
            codec,
            name: self.name,
            ttl: self.ttl,
            endless: self.endless,
            stale_for: self.stale_for,
            refresh: self.refresh,
            loads: self.loads,
            jitter_percent: self.jitter_percent,
            lease: self.lease,
            tombstone: self.tombstone,
            max_value: self.max_value,
            schema: self.schema,
            when_fenced: self.when_fenced,
            mode: self.mode,
            node: self.node,
            backlog: self.backlog,
            near: self.near,
            remote: self.remote,
            layout: self.layout,
            weigher: self.weigher,
            listener: self.listener,
            loader: self.loader,
            runtime: self.runtime,
            keys: self.keys,
        }
    }

    /// What a value weighs in the near cache, in bytes. Default: as long as it is when encoded.
    pub fn weigher(mut self, weigher: impl Fn(&V) -> usize + Send + Sync + 'static) -> Self {
        self.weigher = Some(Box::new(weigher));
        self
    }

    /// Called when an entry leaves the near cache, with its key (without the cache's name), its
    /// value and the cause. Runs in the call that displaced the entry, outside of all locks: be
    /// brief. If it panics, that is logged and nothing else happens.
    pub fn listener(mut self, listener: impl Fn(&[u8], &V, Cause) + Send + Sync + 'static) -> Self {
        self.listener = Some(Box::new(listener));
        self
    }

    /// Makes [`Cache::get`] and [`Cache::get_many`] load what they do not find: a loading cache.
    pub fn loader<E, F, Fut>(mut self, loader: F) -> Self
    where
        K: Send + 'static,
        E: std::error::Error + Send + Sync + 'static,
        F: Fn(Cx<K, V>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<V, E>> + Send + 'static,
    {
        self.loader = Some(boxed_loader(loader));
        self
    }

    /// Keeps changes that cannot reach the remote tier, and carries them out once it is back. Default:
    /// such a change is an error.
    pub fn backlog(mut self, backlog: Backlog) -> Self {
        self.backlog = Some(backlog);
        self
    }

    /// The surroundings. Default: the tokio runtime that calls [`build`](Builder::build).
    pub fn runtime(mut self, runtime: Arc<dyn Runtime>) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Checks all settings and builds the cache. Asks no server: one that cannot be reached shows
    /// with the first use. An error of kind [`ErrorKind::Config`](crate::ErrorKind::Config) names
    /// every setting that is wrong.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime, unless [`runtime`](Builder::runtime) was given.
    pub async fn build(self) -> Result<Cache<K, V>>
    where
        K: Key,
        V: Send + Sync + 'static,
        C: Codec<V>,
    {
        let mut wrong = Wrong::default();
        let name = wrong.unwrap(Name::new(&self.name).map_err(|error| error.to_string()));
        let (lives, refresh) = (self.lives(&mut wrong), self.refresh_policy(&mut wrong));
        self.check_tiers(self.codec.id(), &mut wrong);
        let protection = self.loads.check(&self.stale_for, &mut wrong);
        let max_value = wrong.positive("max_value", self.max_value);
        let capacity = self.near.as_ref().map(|near| near.capacity.clone());
        let capacity = capacity.map_or(Some(0), |bytes| wrong.positive("near capacity", bytes));
        let runtime = self
            .runtime
            .unwrap_or_else(|| Arc::new(TokioRuntime::current()));
        let opening = Opening::new(self.layout, self.codec.id(), &runtime);
        let remote = open_remote(self.remote, opening, &mut wrong);
        check_leases(refresh, remote.as_ref(), &mut wrong);
        let deferred = open_backlog(self.backlog, name.as_ref(), &mut wrong);
        let (Some(name), Some(lives), Some(max_value), Some(capacity), Some(remote)) =
            (name, lives, max_value, capacity, remote)
        else {
            return Err(wrong.error(&self.name));
        };
        let (Some(protection), true) = (protection, wrong.0.is_empty()) else {
            return Err(wrong.error(&self.name));
        };
        let view = view(remote.as_deref(), self.mode);
        let tags = TagCells::new(view.shared_epoch());
        let place = Place::of(remote.as_deref());
        let near = Arc::new(NearCache::new(capacity, Reporter::new(self.listener), view));
        near.start_sweep(&runtime);
        let node = Node::new(self.node.as_deref(), &*runtime);
        let (life, ended) = refresh::life();
        let engine = Engine {
            coherence: Coherence::new(node, self.mode, name.as_str()),
            prefix: format!("{name}:").into_bytes().into(),
            name,
            hasher: KeyHasher::new(runtime.random()),
            near,
            remote,
            codec: Box::new(self.codec),
            schema: self.schema,
            weigher: self.weigher,
            lives,
            when_fenced: self.when_fenced,
            max_value: usize::try_from(max_value).unwrap_or(usize::MAX),
            flights: Flights::default(),
            waiters: Arc::default(),
            refreshes: Refreshes::new(refresh, ended),
            protection,
            turns: Default::default(),
            tags,
            areas: KnownAreas::shared(),
            reach: Reach::Cache,
            touched: Arc::default(),
            deferred,
            place,
            counts: Counts::default(),
            closed: AtomicBool::new(false),
            last_version: AtomicU64::new(0),
            locks: Default::default(),
            runtime,
        };
        let engine = Arc::new(engine);
        begin(&engine, capacity);
        Ok(Cache::new(engine, life, self.loader))
    }

    fn check_tiers(&self, codec: CodecId, wrong: &mut Wrong) {
        if self.near.is_none() && self.remote.is_none() {
            wrong
                .add("there is neither a near cache nor a remote tier: add .near(…) or .remote(…)");
        }
        if self.backlog.is_some() && self.remote.is_none() {
            wrong.add("a backlog is for a remote tier: add .remote(…)");
        }
        if self.remote.is_some() && codec == Opaque::ID {
            wrong.add("values for a remote tier need a codec: add .codec(…)");
        }
        wrong.unwrap(self.node.as_deref().map_or(Ok(()), node::check_name));
    }

    fn refresh_policy(&self, wrong: &mut Wrong) -> Option<RefreshPolicy> {
        let policy = refresh_setting(self.refresh.as_ref()?, wrong)?;
        if let (Early::After(after), Some(Ok(ttl))) = (policy.early, &self.ttl)
            && after >= *ttl
        {
            wrong.add(format!(
                "refresh after {after:?} never happens: values are fresh for {ttl:?} (ttl)"
            ));
        }
        if policy.serves_stale && self.stale_for == Ok(Duration::ZERO) {
            wrong.add("refresh of stale values needs some: add .stale_for(\"1h\")");
        }
        Some(policy)
    }

    fn lives(&self, wrong: &mut Wrong) -> Option<Lives> {
        let ttl = match (&self.ttl, self.endless) {
            (Some(_), true) => {
                wrong.add("there are both a ttl and without_ttl(); choose one");
                None
            }
            (None, false) => {
                wrong.add("there is no ttl: add .ttl(\"1h\"), or .without_ttl() if you mean it");
                None
            }
            (None, true) => Some(None),
            (Some(ttl), false) => wrong.positive("ttl", ttl.clone()).map(Some),
        };
        if self.jitter_percent > 100 {
            wrong.add(format!(
                "jitter_percent is {}; it goes from 0 to 100",
                self.jitter_percent
            ));
        }
        let near_ttl = match self.near.as_ref().and_then(|near| near.ttl.clone()) {
            Some(near_ttl) => wrong.positive("near ttl", near_ttl),
            None => Some(Duration::MAX),
        };
        let stale_for = wrong.unwrap(self.stale_for.clone().map_err(named("stale_for")));
        let negative_ttl = self.loads.negative_ttl.clone();
        let negative_ttl = wrong.unwrap(negative_ttl.map_err(named("negative_ttl")));
        let lease = wrong.positive("lease", self.lease.clone());
        let tombstone = wrong.unwrap(self.tombstone.clone().map_err(named("tombstone")));
        Some(Lives {
            ttl: ttl?,
            stale_for: stale_for?,
            negative_ttl: negative_ttl?,
            jitter_percent: self.jitter_percent,
            near_ttl: near_ttl?,
            lease: lease?,
            tombstone: tombstone?,
        })
    }
}

fn open_remote(
    remote: Option<Box<dyn Remote>>,
    opening: Opening<'_>,
    wrong: &mut Wrong,
) -> Option<Option<Arc<dyn Store>>> {
    let opened = remote.map(|remote| remote.open(opening)).transpose();
    wrong.unwrap(opened.map_err(|error| error.to_string()))
}

/// What may wait; not opened if something is wrong already.
fn open_backlog(
    backlog: Option<Backlog>,
    name: Option<&Name>,
    wrong: &mut Wrong,
) -> Option<Deferred> {
    let (Some(backlog), Some(name), true) = (backlog, name, wrong.0.is_empty()) else {
        return None;
    };
    wrong.unwrap(Deferred::open(backlog, name.as_str()))
}

/// Begins what a cache does by itself.
fn begin<V: Send + Sync + 'static>(engine: &Arc<Engine<V>>, capacity: u64) {
    engine.begin_carrying_out();
    engine.cleared();
    if capacity > 0 && engine.coherence.is_followed() {
        link::start(engine);
    }
}
