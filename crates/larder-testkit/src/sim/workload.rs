//! A world of several engines over one store, and a random workload on it.

use std::sync::Arc;
use std::time::Duration;

use larder::embedded::Embedded;
use larder::{Cache, Cx, Near, Stats};
use larder_core::runtime::Runtime;
use larder_core::store::Store;

use super::{Faults, History, Link, Random, SimRuntime, Source, Violation, chaos, simulate};

/// What a world consists of.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Engines. The last one has no near cache.
    pub nodes: usize,
    /// Keys of the workload.
    pub keys: u64,
    /// Tasks per node; the last one has one, which sees what the store says.
    pub tasks: usize,
    /// Operations per task.
    pub operations: usize,
    /// The longest rest of a task between two operations.
    pub rest: Duration,
    /// What goes wrong between nodes and store.
    pub faults: Faults,
    /// Whether links are cut, the store restarts empty, and logs are trimmed.
    pub chaos: bool,
}

/// What a run amounted to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Reads that were checked.
    pub reads: u64,
    /// Changes that were acknowledged.
    pub changes: u64,
    /// Operations that ended with an error, as injected.
    pub errors: u64,
    /// Cuts, restarts and trimmings.
    pub disasters: u64,
    /// The counts of every node.
    pub nodes: Vec<Stats>,
}

/// A failure of a loader, injected.
#[derive(Debug)]
pub(crate) struct SourceDown;

/// Every key bears one of so many tags.
const TAGS: u64 = 2;

fn tag_of(key: u64) -> String {
    format!("tag:{}", key % TAGS)
}

/// How long copies may take to become what the source says, once nothing goes wrong any more.
const CONVERGENCE: Duration = Duration::from_secs(2);

/// Engines over one store.
pub struct World {
    /// The scheduler.
    pub runtime: SimRuntime,
    /// The truth.
    pub source: Source,
    /// What was promised.
    pub history: History,
    /// One cache per node.
    pub nodes: Vec<Cache<u64, u64>>,
    /// The nodes' ways to the store.
    pub links: Vec<Link>,
    /// The store itself.
    pub store: Embedded,
}

impl World {
    /// Builds the engines.
    pub async fn new(runtime: SimRuntime, setup: Setup) -> World {
        let clock: Arc<dyn Runtime> = Arc::new(runtime.clone());
        let store = Embedded::new(clock.clone());
        let (mut nodes, mut links) = (Vec::new(), Vec::new());
        for node in 0..setup.nodes {
            let link = Link::new(Arc::new(store.clone()), runtime.clone(), setup.faults);
            let remote: Arc<dyn Store> = Arc::new(link.clone());
            let mut builder = Cache::builder("sim:rows")
                .ttl(Duration::from_secs(600))
                .stale_for(Duration::from_secs(600))
                .lease(Duration::from_millis(300))
                .runtime(clock.clone())
                .remote(remote);
            if node + 1 < setup.nodes {
                builder = builder.near(Near::bytes(1 << 20));
            }
            nodes.push(
                builder
                    .build()
                    .await
                    .expect("the simulated settings are valid"),
            );
            links.push(link);
        }
        let (source, history) = (Source::default(), History::default());
        World {
            runtime,
            source,
            history,
            nodes,
            links,
            store,
        }
    }

    /// Who is bound by a change made through `node` at once: the node itself, and whoever reads
    /// the store directly, see [`World::peek`].
    fn bound(&self, node: usize) -> [usize; 2] {
        [node, self.direct()]
    }

    /// Stands, in the history, for reads that pass no near cache and share no load.
    fn direct(&self) -> usize {
        self.nodes.len()
    }

    /// Reads through the loader and checks what comes.
    pub async fn read(&self, node: usize, key: u64, pause: Duration, fails: bool) -> bool {
        let due = self.history.begin_read(self.runtime.now(), node, key);
        let (source, runtime) = (self.source.clone(), self.runtime.clone());
        let load = move |cx: Cx<u64>| async move {
            runtime.sleep(pause).await;
            let value = source.read(*cx.key());
            cx.tag(tag_of(*cx.key()));
            runtime.sleep(pause).await;
            if fails { Err(SourceDown) } else { Ok(value) }
        };
        match self.nodes[node].get_or_load(&key, load).await {
            Ok(loaded) => self.history.end_read(due, *loaded, loaded.is_stale()),
            Err(_) => return false,
        }
        true
    }

    /// Reads without a loader and checks what comes. On the last node, which has no near cache,
    /// that is a direct look at the store: it owes the changes of all nodes at once. (A shared
    /// load does not: it may have begun before a change that its node was not told of yet.)
    pub async fn peek(&self, node: usize, key: u64) -> bool {
        let reader = if node + 1 == self.nodes.len() {
            self.direct()
        } else {
            node
        };
        let due = self.history.begin_read(self.runtime.now(), reader, key);
        match self.nodes[node].get(&key).await {
            Ok(Some(loaded)) => self.history.end_read(due, *loaded, loaded.is_stale()),
            Ok(None) => {}
            Err(_) => return false,
        }
        true
    }

    fn acknowledged(&self, node: usize, key: u64, value: u64, removal: bool) {
        let now = self.runtime.now();
        self.history
            .acknowledged(now, self.bound(node), key, value, removal);
    }

    /// Changes the source and removes the cached value.
    pub async fn invalidate(&self, node: usize, key: u64) -> bool {
        let value = self.source.write(key);
        let done = self.nodes[node].invalidate(&key).await.is_ok();
        if done {
            self.acknowledged(node, key, value, true);
        }
        done
    }

    /// Changes the source of every key of a tag, and invalidates the tag.
    pub async fn invalidate_tag(&self, node: usize, tag: u64, keys: u64) -> bool {
        let changed: Vec<(u64, u64)> = (0..keys)
            .filter(|key| key % TAGS == tag)
            .map(|key| (key, self.source.write(key)))
            .collect();
        let done = self.nodes[node].invalidate_tag(tag_of(tag)).await.is_ok();
        if done {
            for (key, value) in changed {
                self.acknowledged(node, key, value, true);
            }
        }
        done
    }

    /// Changes the source and ends the fresh life of the cached value.
    pub async fn expire(&self, node: usize, key: u64) -> bool {
        let value = self.source.write(key);
        let done = self.nodes[node].expire(&key).await.is_ok();
        if done {
            self.acknowledged(node, key, value, false);
        }
        done
    }

    /// Changes the source and stores the new value.
    pub async fn insert(&self, node: usize, key: u64) -> bool {
        let value = self.source.write(key);
        let done = self.nodes[node].insert(&key, value).await.is_ok();
        if done {
            self.acknowledged(node, key, value, true);
        }
        done
    }

    /// Changes the source and clears the whole cache; the promise is kept for one key.
    pub async fn clear(&self, node: usize, key: u64) -> bool {
        let value = self.source.write(key);
        let done = self.nodes[node].clear().await.is_ok();
        if done {
            self.acknowledged(node, key, value, true);
        }
        done
    }

    async fn step(&self, setup: Setup, node: usize, key: u64, random: &mut Random) -> bool {
        let pause = Duration::from_micros(random.below(3_000));
        match random.below(1_000) {
            0..700 => self.read(node, key, pause, random.per_mille(50)).await,
            700..900 => self.peek(node, key).await,
            900..950 => self.invalidate(node, key).await,
            950..970 => self.expire(node, key).await,
            970..975 => self.clear(node, key).await,
            975..985 => self.invalidate_tag(node, key % TAGS, setup.keys).await,
            // No inserts here: they race the source by nature (of two writers the slower one
            // wins), so nothing could be promised. The scenarios have them, one writer each.
            _ => self.read(node, key, pause, false).await,
        }
    }

    /// Once nothing goes wrong any more: every key changes once more, and soon every copy is
    /// what the source says.
    async fn converge(&self, setup: Setup) {
        for link in &self.links {
            link.calm();
        }
        for key in 0..setup.keys {
            while !self.invalidate(0, key).await {}
            // A last copy everywhere, then a last change.
            for node in 0..self.nodes.len() {
                self.read(node, key, Duration::ZERO, false).await;
            }
            while !self.invalidate(0, key).await {}
        }
        self.runtime.sleep(CONVERGENCE).await;
        for (node, cache) in self.nodes.iter().enumerate() {
            for key in 0..setup.keys {
                let source = self.source.read(key);
                match cache.get(&key).await {
                    Ok(Some(copy)) if *copy != source => {
                        self.history.not_converged(node, key, *copy, source);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Runs one seed of the random workload.
    pub fn run(seed: u64, setup: Setup) -> Result<Report, Violation> {
        simulate(seed, move |runtime| async move {
            let world = Arc::new(World::new(runtime.clone(), setup).await);
            let (done, mut ended) = tokio::sync::mpsc::unbounded_channel();
            for node in 0..setup.nodes {
                let is_observer = node + 1 == setup.nodes;
                for _ in 0..if is_observer { 1 } else { setup.tasks } {
                    let (world, done) = (world.clone(), done.clone());
                    let mut random = runtime.fork_random();
                    runtime.spawn(Box::pin(async move {
                        let mut errors = 0;
                        for _ in 0..setup.operations {
                            let key = random.below(setup.keys);
                            errors += u64::from(!world.step(setup, node, key, &mut random).await);
                            let rest = setup.rest.as_nanos() as u64;
                            let rest = Duration::from_nanos(random.below(rest.max(1)));
                            world.runtime.sleep(rest).await;
                        }
                        let _ = done.send(errors);
                    }));
                }
            }
            drop(done);
            let chaos = setup.chaos.then(|| chaos::start(&world));
            let mut errors = 0;
            while let Some(more) = ended.recv().await {
                errors += more;
            }
            let disasters = match chaos {
                Some(chaos) => chaos.stop().await,
                None => 0,
            };
            world.converge(setup).await;
            let (reads, changes) = world.history.counts();
            let nodes = world.nodes.iter().map(Cache::stats).collect();
            match world.history.violation() {
                Some(violation) => Err(violation),
                None => Ok(Report {
                    reads,
                    changes,
                    errors,
                    disasters,
                    nodes,
                }),
            }
        })
    }
}
