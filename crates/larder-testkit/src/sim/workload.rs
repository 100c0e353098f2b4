//! A world of several engines over one store, and a random workload on it.

use std::sync::Arc;
use std::time::Duration;

use larder::embedded::Embedded;
use larder::{Cache, Cx, Near, Stats};
use larder_core::runtime::Runtime;
use larder_core::store::Store;

use super::{Faults, History, Link, Random, SimRuntime, Source, Violation, simulate};

/// What a world consists of.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Engines. The last one has no near cache.
    pub nodes: usize,
    /// Keys of the workload.
    pub keys: u64,
    /// Tasks per node.
    pub tasks: usize,
    /// Operations per task.
    pub operations: usize,
    /// What goes wrong between nodes and store.
    pub faults: Faults,
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
    /// The counts of every node.
    pub nodes: Vec<Stats>,
}

/// A failure of a loader, injected.
#[derive(Debug)]
pub(crate) struct SourceDown;

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
}

impl World {
    /// Builds the engines.
    pub async fn new(runtime: SimRuntime, setup: Setup) -> World {
        let clock: Arc<dyn Runtime> = Arc::new(runtime.clone());
        let store: Arc<dyn Store> = Arc::new(Embedded::new(clock.clone()));
        let mut nodes = Vec::new();
        for node in 0..setup.nodes {
            let link: Arc<dyn Store> =
                Arc::new(Link::new(store.clone(), runtime.clone(), setup.faults));
            let mut builder = Cache::builder("sim:rows")
                .ttl(Duration::from_secs(60))
                .stale_for(Duration::from_secs(60))
                .lease(Duration::from_millis(300))
                .runtime(clock.clone())
                .remote(link);
            if node + 1 < setup.nodes {
                builder = builder.near(Near::bytes(1 << 20));
            }
            nodes.push(
                builder
                    .build()
                    .await
                    .expect("the simulated settings are valid"),
            );
        }
        World {
            runtime,
            source: Source::default(),
            history: History::default(),
            nodes,
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
        let due = self.history.begin_read(node, key);
        let (source, runtime) = (self.source.clone(), self.runtime.clone());
        let load = move |cx: Cx<u64>| async move {
            runtime.sleep(pause).await;
            let value = source.read(*cx.key());
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
    /// that is a direct look at the store: it owes the changes of all nodes. (A shared load does
    /// not: it may have begun before a change that its node was not told of.)
    pub async fn peek(&self, node: usize, key: u64) -> bool {
        let reader = if node + 1 == self.nodes.len() {
            self.direct()
        } else {
            node
        };
        let due = self.history.begin_read(reader, key);
        match self.nodes[node].get(&key).await {
            Ok(Some(loaded)) => self.history.end_read(due, *loaded, loaded.is_stale()),
            Ok(None) => {}
            Err(_) => return false,
        }
        true
    }

    /// Changes the source and removes the cached value.
    pub async fn invalidate(&self, node: usize, key: u64) -> bool {
        let value = self.source.write(key);
        let done = self.nodes[node].invalidate(&key).await.is_ok();
        if done {
            self.history
                .acknowledged(self.bound(node), key, value, true);
        }
        done
    }

    /// Changes the source and ends the fresh life of the cached value.
    pub async fn expire(&self, node: usize, key: u64) -> bool {
        let value = self.source.write(key);
        let done = self.nodes[node].expire(&key).await.is_ok();
        if done {
            self.history
                .acknowledged(self.bound(node), key, value, false);
        }
        done
    }

    /// Changes the source and stores the new value.
    pub async fn insert(&self, node: usize, key: u64) -> bool {
        let value = self.source.write(key);
        let done = self.nodes[node].insert(&key, value).await.is_ok();
        if done {
            self.history
                .acknowledged(self.bound(node), key, value, true);
        }
        done
    }

    /// Changes the source and clears the whole cache; the promise is kept for one key.
    pub async fn clear(&self, node: usize, key: u64) -> bool {
        let value = self.source.write(key);
        let done = self.nodes[node].clear().await.is_ok();
        if done {
            self.history
                .acknowledged(self.bound(node), key, value, true);
        }
        done
    }

    async fn step(&self, node: usize, key: u64, random: &mut Random) -> bool {
        let pause = Duration::from_micros(random.below(3_000));
        match random.below(100) {
            0..60 => self.read(node, key, pause, random.per_mille(50)).await,
            60..75 => self.peek(node, key).await,
            75..92 => self.invalidate(node, key).await,
            92..98 => self.expire(node, key).await,
            // No inserts here: they race the source by nature (of two writers the slower one
            // wins), so nothing could be promised. The scenarios have them, one writer each.
            _ => self.clear(node, key).await,
        }
    }

    /// Runs one seed of the random workload.
    pub fn run(seed: u64, setup: Setup) -> Result<Report, Violation> {
        simulate(seed, move |runtime| async move {
            let world = Arc::new(World::new(runtime.clone(), setup).await);
            let (done, mut ended) = tokio::sync::mpsc::unbounded_channel();
            for node in 0..setup.nodes {
                for _ in 0..setup.tasks {
                    let (world, done) = (world.clone(), done.clone());
                    let mut random = runtime.fork_random();
                    runtime.spawn(Box::pin(async move {
                        let mut errors = 0;
                        for _ in 0..setup.operations {
                            let key = random.below(setup.keys);
                            errors += u64::from(!world.step(node, key, &mut random).await);
                            let rest = Duration::from_micros(random.below(2_000));
                            world.runtime.sleep(rest).await;
                        }
                        let _ = done.send(errors);
                    }));
                }
            }
            drop(done);
            let mut errors = 0;
            while let Some(more) = ended.recv().await {
                errors += more;
            }
            let (reads, changes) = world.history.counts();
            let nodes = world.nodes.iter().map(Cache::stats).collect();
            match world.history.violation() {
                Some(violation) => Err(violation),
                None => Ok(Report {
                    reads,
                    changes,
                    errors,
                    nodes,
                }),
            }
        })
    }
}
