//! What all parts of one running node share.

use std::fmt::Write;
use std::sync::Arc;

use larder::Invalidator;
use larder::bytes::ByteCache;
use larder::mesh::MeshStore;
use larder::outbox::Tail;
use larder_core::{Error, Runtime};
use tokio::sync::watch;

use crate::command::Scripts;
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::store;

/// One running node: the cache, its settings, its counts, and the word to stop.
pub(crate) struct Node {
    pub(crate) cache: ByteCache,
    /// This node among others, if there are any.
    pub(crate) mesh: Option<MeshStore>,
    /// Carries out what the rules say of events.
    pub(crate) invalidator: Invalidator,
    pub(crate) settings: Settings,
    pub(crate) metrics: Metrics,
    /// Scripts that clients have sent.
    pub(crate) scripts: Scripts,
    /// 40 hexadecimal digits, new at each start; clients tell restarts by it.
    pub(crate) run_id: String,
    /// Becomes `true` when the node is to drain: finish what is under way, take nothing new.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// A shared node.
pub(crate) type SharedNode = Arc<Node>;

impl Node {
    /// A node that stores what `settings` say. Waits for nobody.
    pub(crate) async fn new(
        settings: Settings,
        commands: &'static [&'static str],
        runtime: Arc<dyn Runtime>,
        stopping: watch::Receiver<bool>,
    ) -> Result<Node, Error> {
        let opened = store::open(&settings, runtime.clone()).await?;
        let invalidator = invalidator(&settings, &opened.cache)?;
        let tail = tail(&settings, &invalidator, runtime.clone())?;
        let metrics = Metrics::new(commands, opened.tier)
            .with_store(opened.embedded)
            .with_tail(tail)
            .with_cache(opened.cache.clone(), opened.keeps_copies);
        Ok(Node {
            metrics,
            scripts: Scripts::default(),
            invalidator,
            cache: opened.cache,
            mesh: opened.mesh,
            settings,
            run_id: run_id(&*runtime),
            stopping,
        })
    }

    /// Whether the node finishes and takes nothing new.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }
}

/// Knows the caches of which rules and the outbox speak, by name: who fills them is no business of
/// a node.
fn invalidator(settings: &Settings, cache: &ByteCache) -> Result<Invalidator, Error> {
    let mut caches = settings.rules.caches();
    let outbox = settings.outbox.iter().flat_map(|outbox| &outbox.caches);
    caches.extend(outbox.map(String::as_str));
    let builder = caches
        .into_iter()
        .fold(Invalidator::builder(), |builder, name| {
            builder.named(cache, name)
        });
    builder.rules(settings.rules.clone()).build()
}

/// Follows the outbox, if there is one. One that cannot be reached is tried again and again.
#[cfg(feature = "sqlite")]
fn tail(
    settings: &Settings,
    invalidator: &Invalidator,
    runtime: Arc<dyn Runtime>,
) -> Result<Option<Tail>, Error> {
    let start = |outbox: &crate::settings::OutboxSettings| {
        let place = larder_sql::sqlite::SqliteOutbox::at(&outbox.url)?;
        Tail::builder(place, invalidator).runtime(runtime).start()
    };
    settings.outbox.as_ref().map(start).transpose()
}

/// The configuration refuses an outbox in such a build.
#[cfg(not(feature = "sqlite"))]
fn tail(_: &Settings, _: &Invalidator, _: Arc<dyn Runtime>) -> Result<Option<Tail>, Error> {
    Ok(None)
}

fn run_id(runtime: &dyn Runtime) -> String {
    let mut id = String::with_capacity(48);
    for _ in 0..3 {
        // Writing to a string cannot fail.
        let _ = write!(id, "{:016x}", runtime.random());
    }
    id.truncate(40);
    id
}
