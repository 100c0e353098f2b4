//! A world of several engines over one store, and a random workload on it.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use larder::outbox::Tail;
use larder::{Cache, Cx, LoadError, Loaded, Mode, Near, Refresh, Stats, Ticket};
use larder_core::error::Error;
use larder_core::runtime::{BoxFuture, Mono, Runtime};
use tokio::sync::mpsc;

use super::history::{Change, Due};
use super::outbox::{CACHE, SimOutbox};
use super::rows::{self, Rows};
use super::{History, Journal, Random, Remote, Report, Setup, SimRuntime, Source, Violation, Way};

/// A failure of a loader, injected.
#[derive(Debug)]
pub(crate) struct SourceDown;

/// Every key bears one of so many tags.
pub(super) const TAGS: u64 = 2;

pub(super) fn tag_of(key: u64) -> String {
    format!("tag:{}", key % TAGS)
}

/// What a loader does beside reading the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loading {
    /// Nothing.
    Plain,
    /// It fails.
    Fails,
    /// It asks that its value is not stored.
    Skips,
    /// Its value is larger than any tier takes.
    Heavy,
    /// Its value cannot be encoded.
    Unencodable,
    /// It names a tag that is none.
    Mistags,
    /// It says so where the source still has what it is to replace.
    Confirms,
}

impl Loading {
    pub(super) fn draw(random: &mut Random) -> Loading {
        match random.below(1_000) {
            0..40 => Loading::Fails,
            40..50 => Loading::Skips,
            50..60 => Loading::Heavy,
            60..70 => Loading::Unencodable,
            70..80 => Loading::Mistags,
            80..330 => Loading::Confirms,
            _ => Loading::Plain,
        }
    }
}

/// Engines over one store.
pub struct World {
    /// The scheduler.
    pub runtime: SimRuntime,
    /// The truth.
    pub source: Source,
    /// What was promised.
    pub history: History,
    /// What happened.
    pub journal: Journal,
    /// One cache per node.
    caches: RwLock<Vec<Cache<u64, u64>>>,
    /// How many operations each task of each node has left.
    pub(super) left: Vec<Vec<AtomicUsize>>,
    /// The nodes' ways to the store.
    pub links: Vec<Way>,
    /// The store itself.
    pub store: Remote,
    /// Where writers record their changes, if they do.
    pub(super) outbox: Option<SimOutbox>,
    /// The tails of the nodes that follow it.
    pub(super) tails: Mutex<Vec<Option<Tail>>>,
    /// What the former lives of nodes have counted.
    pub(super) former: Mutex<Vec<Stats>>,
    /// Where tasks say that they have ended, for those that begin later.
    pub(super) ending: Mutex<Option<mpsc::WeakUnboundedSender<u64>>>,
}

/// Why a lock is never poisoned.
pub(super) const HELD: &str = "nobody panics who holds this lock";

/// How many operations the tasks of a node have.
fn left(node: usize, setup: Setup) -> Vec<AtomicUsize> {
    // The last one cannot have near hits: it does less, so that they are most of all reads.
    let (tasks, share) = if node + 1 == setup.nodes {
        (1, 2)
    } else {
        (setup.tasks, 1)
    };
    let operations = setup.operations / share;
    (0..tasks).map(|_| AtomicUsize::new(operations)).collect()
}

impl World {
    /// Waits until the nodes have met, if they must.
    pub(super) async fn meet(&self) {
        if let (Remote::Mesh(nodes), true) = (&self.store, self.count() > 1) {
            nodes.meet().await;
        }
    }

    /// From now on nothing goes wrong. Done once the nodes have met again.
    pub(super) async fn calm(&self) {
        self.links.iter().for_each(Way::calm);
        if let Remote::Mesh(nodes) = &self.store {
            nodes.net.calm();
            nodes.meet().await;
            if nodes.is_lenient() {
                self.hold_all().await;
            }
        }
    }

    /// Builds the engines.
    pub async fn new(runtime: SimRuntime, setup: Setup, journal: Journal) -> World {
        let store = Remote::new(setup, &runtime, &journal);
        let link = |node| Way::new(&runtime, setup.faults, (node, journal.clone()));
        let links = (0..setup.nodes).map(link).collect();
        let (source, history) = (Source::default(), History::default());
        let outbox = setup.outbox.then(|| SimOutbox::new(&runtime));
        let world = World {
            outbox,
            runtime,
            source,
            history,
            journal,
            caches: RwLock::default(),
            left: (0..setup.nodes).map(|node| left(node, setup)).collect(),
            links,
            store,
            tails: Mutex::new((0..setup.nodes).map(|_| None).collect()),
            former: Mutex::default(),
            ending: Mutex::default(),
        };
        if let Remote::Mesh(nodes) = &world.store {
            world.history.set_lenient(nodes.is_lenient());
        }
        for node in 0..setup.nodes {
            let cache = world.open(node, setup).await;
            world.caches.write().expect(HELD).push(cache);
        }
        world
    }

    /// Starts the engine of a node.
    pub(super) async fn open(&self, node: usize, setup: Setup) -> Cache<u64, u64> {
        let own = self.clock(node);
        let mode = match setup.inserts {
            true => Mode::Update,
            false => Mode::Invalidate,
        };
        let mut builder = Cache::builder(CACHE)
            .ttl(Duration::from_secs(600))
            .stale_for(Duration::from_secs(600))
            .lease(Duration::from_millis(300))
            .max_value(rows::MAX_VALUE)
            .codec(Rows)
            .node(World::name(node))
            .coherence(mode);
        if !setup.alone {
            let way = self.links[node].clone();
            builder = builder.remote(self.store.over(way, node, &own).await);
        }
        if let Some(ttl) = setup.refresh {
            let refresh = Refresh::after(ttl / 3).and_stale();
            builder = builder.ttl(ttl).refresh(refresh.retry(ttl / 10));
        }
        builder = builder.runtime(Arc::new(own));
        if setup.alone || node + 1 < setup.nodes {
            builder = builder.near(Near::bytes(1 << 20));
        }
        let cache = builder.build().await;
        cache.expect("the simulated settings are valid")
    }

    /// The cache of a node, in its present life.
    pub fn node(&self, node: usize) -> Cache<u64, u64> {
        self.caches.read().expect(HELD)[node].clone()
    }

    /// How many nodes there are.
    pub fn count(&self) -> usize {
        self.left.len()
    }

    /// A node has another life.
    pub(super) fn replace(&self, node: usize, cache: Cache<u64, u64>) {
        let former = std::mem::replace(&mut self.caches.write().expect(HELD)[node], cache);
        drop(former);
    }

    /// The surroundings of a node, in its present life.
    pub(super) fn clock(&self, node: usize) -> SimRuntime {
        match &self.store {
            Remote::Mesh(nodes) => nodes.runtime_of(node),
            Remote::Embedded(_) | Remote::Redis(_) => self.runtime.on_node(node),
        }
    }

    /// What a node is called.
    pub(super) fn name(node: usize) -> String {
        format!("node {node}")
    }

    /// Who is bound by a change made through `node` at once: the node itself, and whoever reads
    /// the store directly, see [`World::peek`].
    pub(super) fn bound(&self, node: usize) -> [usize; 2] {
        match &self.store {
            // Each node looks at a store of its own.
            Remote::Mesh(_) => [node, self.reader(node)],
            Remote::Embedded(_) | Remote::Redis(_) => [node, self.direct()],
        }
    }

    /// Stands, in the history, for reads that pass no near cache and share no load.
    fn direct(&self) -> usize {
        self.count()
    }

    /// Who reads without a loader through `node`: the last one has no near cache, and shares no
    /// load then.
    pub(super) fn reader(&self, node: usize) -> usize {
        if node + 1 == self.count() {
            self.direct()
        } else {
            node
        }
    }

    pub(super) fn begin(&self, reader: usize, key: u64) -> (Mono, Due) {
        self.journal.operation();
        let now = self.runtime.now();
        (now, self.history.begin_read(now, reader, key))
    }

    /// Checks what a read gave.
    pub(super) fn check(
        &self,
        (began, due): (Mono, Due),
        what: (&str, usize, u64),
        found: &Loaded<u64>,
    ) {
        let (value, now) = (rows::plain(**found), self.runtime.now());
        let kept = self.history.end_read(due, value, found.is_stale());
        self.journal.note(now, || {
            let (verb, node, key) = what;
            let stale = if found.is_stale() { ", stale" } else { "" };
            let verdict = if kept { "" } else { "  <-- too old" };
            let (source, taken) = (found.source(), now.since(began));
            format!("node {node}: {verb} {key} -> {value} ({source:?}{stale}, {taken:?}){verdict}")
        });
    }

    pub(super) fn say(
        &self,
        began: Mono,
        (verb, node, key): (&str, usize, u64),
        outcome: impl FnOnce() -> String,
    ) {
        let now = self.runtime.now();
        self.journal.note(now, || {
            let (outcome, taken) = (outcome(), now.since(began));
            format!("node {node}: {verb} {key} -> {outcome} ({taken:?})")
        });
    }

    /// A loader that takes twice `pause`.
    fn loader(
        &self,
        node: usize,
        pause: Duration,
        loading: Loading,
    ) -> impl FnOnce(Cx<u64, u64>) -> BoxFuture<'static, Result<u64, SourceDown>> + Send + use<>
    {
        let (source, runtime) = (self.source.clone(), self.runtime.on_node(node));
        move |cx: Cx<u64, _>| {
            Box::pin(async move {
                runtime.sleep(pause).await;
                let value = source.read(*cx.key());
                cx.tag(tag_of(*cx.key()));
                let is_same = cx.previous().is_some_and(|old| rows::plain(**old) == value);
                runtime.sleep(pause).await;
                match loading {
                    Loading::Confirms if is_same => cx.not_modified().await,
                    Loading::Plain | Loading::Confirms => Ok(value),
                    Loading::Fails => Err(SourceDown),
                    Loading::Skips => {
                        cx.skip();
                        Ok(value)
                    }
                    Loading::Mistags => {
                        cx.tag("");
                        Ok(value)
                    }
                    Loading::Heavy => Ok(rows::heavy(value)),
                    Loading::Unencodable => Ok(rows::unencodable(value)),
                }
            })
        }
    }

    /// Reads through a loader that takes twice `pause`, and checks what comes.
    pub(super) async fn read(
        &self,
        node: usize,
        key: u64,
        pause: Duration,
        loading: Loading,
    ) -> bool {
        let begun = self.begin(node, key);
        let load = self.loader(node, pause, loading);
        let read = self.node(node).get_or_load(&key, load).await;
        self.judge(begun, ("read", node, key), read)
    }

    /// The same with a ticket that asks for a change.
    pub(super) async fn read_with_ticket(
        &self,
        node: usize,
        (ticket, change): (&Ticket, Change),
        loading: Loading,
    ) -> bool {
        let (now, due) = self.begin(node, change.key);
        let load = self.loader(node, Duration::from_micros(500), loading);
        let cache = self.node(node);
        let read = cache.get_or_load_with_ticket(&change.key, ticket, load);
        let begun = (now, due.with_ticket(change));
        self.judge(begun, ("ticketed read", node, change.key), read.await)
    }

    fn judge(
        &self,
        begun: (Mono, Due),
        what: (&str, usize, u64),
        read: Result<Loaded<u64>, LoadError<SourceDown>>,
    ) -> bool {
        match read {
            Ok(found) => self.check(begun, what, &found),
            Err(error) => {
                self.say(begun.0, what, || format!("{error:?}"));
                return false;
            }
        }
        true
    }

    /// Checks what a read without a loader gave.
    pub(super) fn peeked(
        &self,
        begun: (Mono, Due),
        what: (&str, usize, u64),
        found: Result<Option<Loaded<u64>>, Error>,
    ) -> bool {
        match found {
            Ok(Some(found)) => self.check(begun, what, &found),
            Ok(None) => self.say(begun.0, what, || "nothing".to_owned()),
            Err(error) => {
                self.say(begun.0, what, || error.to_string());
                return false;
            }
        }
        true
    }

    /// Reads without a loader and checks what comes. On the last node, which has no near cache,
    /// that is a direct look at the store: it owes the changes of all nodes at once. (A shared
    /// load does not: it may have begun before a change that its node was not told of yet.)
    pub async fn peek(&self, node: usize, key: u64) -> bool {
        let begun = self.begin(self.reader(node), key);
        let what = ("get", node, key);
        let found = self.node(node).get(&key).await;
        self.peeked(begun, what, found)
    }

    /// Changes the source, then does what `change` says, and keeps what was promised. After a
    /// removal nothing older may come back even as a stale value.
    async fn change<T>(
        &self,
        what: (&str, usize, u64),
        removal: bool,
        change: impl AsyncFnOnce(u64) -> Result<T, Error>,
    ) -> bool {
        self.changed(what, removal, change).await.is_some()
    }

    /// The same; gives what the change gave.
    pub(super) async fn changed<T>(
        &self,
        what: (&str, usize, u64),
        removal: bool,
        change: impl AsyncFnOnce(u64) -> Result<T, Error>,
    ) -> Option<(T, Change)> {
        let (_, node, key) = what;
        self.journal.operation();
        let began = self.runtime.now();
        let value = self.source.write(key);
        match change(value).await {
            Ok(done) => {
                let (now, bound) = (self.runtime.now(), self.bound(node));
                let change = Change {
                    key,
                    value,
                    removal,
                };
                self.history.acknowledged(now, bound, change);
                self.say(began, what, || format!("done for {value}"));
                Some((done, change))
            }
            Err(error) => {
                self.say(began, what, || format!("{error} for {value}"));
                None
            }
        }
    }

    /// Changes the source and removes the cached value.
    pub async fn invalidate(&self, node: usize, key: u64) -> bool {
        let change = async |_| self.node(node).invalidate(&key).await;
        self.change(("invalidate", node, key), true, change).await
    }

    /// Changes the source of every key of a tag, and invalidates the tag.
    pub async fn invalidate_tag(&self, node: usize, tag: u64, keys: u64) -> bool {
        let bears_it = |key: &u64| key % TAGS == tag;
        let change = async || self.node(node).invalidate_tag(tag_of(tag)).await.map(drop);
        let what = ("invalidate tag", node, tag);
        self.change_all(what, (0..keys).filter(bears_it), change)
            .await
    }

    /// Changes the source and ends the fresh life of the cached value.
    pub async fn expire(&self, node: usize, key: u64) -> bool {
        let change = async |_| self.node(node).expire(&key).await;
        self.change(("expire", node, key), false, change).await
    }

    /// Changes the source and stores the new value.
    pub async fn insert(&self, node: usize, key: u64) -> bool {
        let change = async |value| self.node(node).insert(&key, value).await;
        self.change(("insert", node, key), true, change).await
    }

    /// Changes the source and clears the whole cache; the promise is kept for one key.
    pub async fn clear(&self, node: usize, key: u64) -> bool {
        let change = async |_| self.node(node).clear().await;
        self.change(("clear", node, key), true, change).await
    }

    /// The same, but its values are kept for fail-safe.
    pub async fn expire_all(&self, node: usize, key: u64) -> bool {
        let change = async |_| self.node(node).expire_all().await;
        self.change(("expire all", node, key), false, change).await
    }

    /// What the run amounted to, or what it broke.
    pub(super) fn report(&self, errors: u64) -> Result<Report, Violation> {
        match self.history.violation() {
            Some(violation) => Err(violation),
            None => Ok(Report::of(self, errors)),
        }
    }
}
