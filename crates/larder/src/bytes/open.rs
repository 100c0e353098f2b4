//! Puts an engine together that reaches all keys of a store.

use crate::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;
use larder_core::envelope::HEADER_LEN;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::key::{KeyHasher, Name};
use larder_core::runtime::Runtime;
use larder_core::store::Store;

use super::ByteCache;
use crate::codec::Raw;
use crate::coherence::Coherence;
use crate::depend::Place;
use crate::engine::areas::{KnownAreas, Reach};
use crate::engine::refresh::Refreshes;
use crate::engine::{Engine, Flights, Lives, Protection};
use crate::epoch::Epoch;
use crate::link;
use crate::mode::Mode;
use crate::near::{Near as NearCache, Reporter, View};
use crate::node::{self, Node};
use crate::observe::Counts;
use crate::options::{Near, WhenFenced};
use crate::tags::TagCells;

/// What it is called among the caches that follow a log.
const NAME: &str = "node";

/// Near copies of the values of a store.
#[derive(Clone, Debug)]
#[must_use]
pub struct Copies {
    near: Near,
    when_fenced: WhenFenced,
    node: Option<String>,
}

impl Copies {
    /// As many as fit.
    pub fn of(near: Near) -> Copies {
        Copies {
            near,
            when_fenced: WhenFenced::default(),
            node: None,
        }
    }

    /// What becomes of them while nobody vouches for them. Who asks for a value cannot be told that
    /// it is stale.
    pub fn when_fenced(mut self, when_fenced: WhenFenced) -> Copies {
        self.when_fenced = when_fenced;
        self
    }

    /// What people call this process among those that follow the log.
    pub fn node(mut self, name: impl Into<String>) -> Copies {
        self.node = Some(name.into());
        self
    }
}

/// The parts in which engines over a store differ.
struct Parts {
    capacity: u64,
    near_ttl: Duration,
    when_fenced: WhenFenced,
    view: View,
    areas: KnownAreas,
    node: Option<String>,
}

impl Parts {
    fn without_copies(view: View, areas: KnownAreas) -> Parts {
        Parts {
            capacity: 0,
            near_ttl: Duration::MAX,
            when_fenced: WhenFenced::default(),
            view,
            areas,
            node: None,
        }
    }
}

impl ByteCache {
    /// The cache over `store`, without near copies: every read asks the store.
    pub fn new(store: Arc<dyn Store>, runtime: Arc<dyn Runtime>) -> ByteCache {
        let parts = Parts::without_copies(View::unfenced(Epoch::of(true)), KnownAreas::shared());
        ByteCache::open(store, runtime, parts)
    }

    /// The same over a store that nobody else can reach, so that it need not be asked what others
    /// have invalidated.
    pub fn sole(store: Arc<dyn Store>, runtime: Arc<dyn Runtime>) -> ByteCache {
        let parts = Parts::without_copies(View::sole(Epoch::of(true)), KnownAreas::sole());
        ByteCache::open(store, runtime, parts)
    }

    /// The cache over `store` with near copies, which follow the store's log. Does no I/O.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when a setting is wrong or the store has no log.
    pub fn with_copies(
        store: Arc<dyn Store>,
        runtime: Arc<dyn Runtime>,
        copies: Copies,
    ) -> Result<ByteCache> {
        let wrong = |message: String| Error::new(ErrorKind::Config, message);
        let capacity = copies.near.capacity.clone().map_err(wrong)?;
        let near_ttl = copies.near.ttl.clone().unwrap_or(Ok(Duration::MAX));
        if let Some(name) = &copies.node {
            node::check_name(name).map_err(wrong)?;
        }
        if store.describe().bus.is_none() {
            let name = store.describe().name;
            return Err(wrong(format!(
                "{name} has no log that near copies could follow"
            )));
        }
        let parts = Parts {
            capacity,
            near_ttl: near_ttl.map_err(wrong)?,
            when_fenced: copies.when_fenced,
            view: View::fenced(Epoch::of(true)),
            areas: KnownAreas::shared(),
            node: copies.node,
        };
        Ok(ByteCache::open(store, runtime, parts))
    }

    fn open(store: Arc<dyn Store>, runtime: Arc<dyn Runtime>, parts: Parts) -> ByteCache {
        let tags = TagCells::new(parts.view.shared_epoch());
        let near = NearCache::new(parts.capacity, Reporter::new(None), parts.view);
        let near = Arc::new(near);
        near.start_sweep(&runtime);
        let name = Name::new(NAME).expect("it is a name");
        let node = Node::new(parts.node.as_deref(), &*runtime);
        let engine = Arc::new(Engine {
            coherence: Coherence::new(node, Mode::Invalidate, NAME),
            prefix: Box::default(),
            name,
            hasher: KeyHasher::new(runtime.random()),
            near,
            place: Place::of(Some(&*store)),
            remote: Some(store),
            codec: Box::new(Raw),
            schema: 0,
            // A copy keeps the bytes of the whole record.
            weigher: Some(Box::new(|value: &Bytes| HEADER_LEN + value.len())),
            lives: Lives {
                ttl: None,
                negative_ttl: Duration::ZERO,
                stale_for: Duration::ZERO,
                jitter_percent: 0,
                near_ttl: parts.near_ttl,
                lease: Duration::ZERO,
                tombstone: Duration::ZERO,
            },
            when_fenced: parts.when_fenced,
            max_value: usize::MAX,
            flights: Flights::default(),
            waiters: Arc::default(),
            refreshes: Refreshes::none(),
            protection: Protection::none(),
            turns: Default::default(),
            tags,
            areas: parts.areas,
            reach: Reach::Store,
            touched: Arc::default(),
            deferred: None,
            counts: Counts::default(),
            closed: AtomicBool::new(false),
            last_version: AtomicU64::new(0),
            locks: Default::default(),
            runtime,
        });
        if parts.capacity > 0 {
            link::start(&engine);
        }
        ByteCache { engine }
    }
}
