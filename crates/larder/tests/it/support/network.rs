//! Nodes with simulated links to one store, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use larder::core::Runtime;
use larder::core::store::Store;
use larder::embedded::Embedded;
use larder::{Builder, Cache, Loaded, Near, Source};
use larder_testkit::sim::{Cut, Faults, Journal, Link, SimRuntime, simulate};

use super::Users;

/// Several nodes and what lies between them.
pub(crate) struct Network {
    pub(crate) runtime: SimRuntime,
    pub(crate) store: Embedded,
    links: Vec<Link>,
}

impl Network {
    fn new(runtime: SimRuntime) -> Network {
        Network {
            store: Embedded::new(Arc::new(runtime.clone())),
            runtime,
            links: Vec::new(),
        }
    }

    /// A node without tiers: those of the same number share their fate, not their link.
    pub(crate) fn bare(&mut self, node: usize) -> Builder<u64, u64> {
        let place = (node, Journal::default());
        let store: Arc<dyn Store> = Arc::new(self.store.clone());
        let link = Link::new(store, &self.runtime, Faults::default(), place);
        self.links.push(link.clone());
        let remote: Arc<dyn Store> = Arc::new(link);
        Cache::builder("app:users")
            .ttl("1h")
            .stale_for("1h")
            .jitter_percent(0)
            .node(["a", "b", "c"][node])
            .runtime(Arc::new(self.runtime.on_node(node)))
            .remote(remote)
    }

    /// The next node, with a near cache that has begun to follow the log.
    pub(crate) async fn node(&mut self) -> Users {
        let builder = self.bare(self.links.len()).near(Near::bytes("1MiB"));
        let node = builder.build().await.unwrap();
        self.pass(Duration::from_millis(600)).await;
        node
    }

    /// Two nodes with a near copy of 10 under key 1 each.
    pub(crate) async fn two(&mut self) -> (Users, Users) {
        let (one, two) = (self.node().await, self.node().await);
        one.insert(&1, 10).await.unwrap();
        self.pass(Duration::from_millis(50)).await;
        for node in [&one, &two] {
            node.get(&1).await.unwrap().unwrap();
            assert_eq!(found(node.get(&1).await), Some((10, Source::Near)));
        }
        (one, two)
    }

    /// Cuts the link of a node, or heals it.
    pub(crate) fn cut(&self, node: usize, cut: Cut) {
        self.links[node].cut(cut);
    }

    /// Lets time pass.
    pub(crate) async fn pass(&self, time: Duration) {
        self.runtime.sleep(time).await;
    }

    /// What something takes.
    pub(crate) async fn time<T>(&self, what: impl Future<Output = T>) -> (T, Duration) {
        let before = self.runtime.now();
        let done = what.await;
        (done, self.runtime.now().since(before))
    }
}

/// What a read found, and where.
pub(crate) fn found(read: Result<Option<Loaded<u64>>, larder::Error>) -> Option<(u64, Source)> {
    read.unwrap().map(|loaded| (*loaded, loaded.source()))
}

/// Runs a test under some seeds: orders of events differ, what must hold does not.
pub(crate) fn on_a_network<F>(test: impl Fn(Network) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    (0..20).for_each(|seed| under(seed, &test));
}

/// Runs a test under one seed, on this thread.
pub(crate) fn under<F>(seed: u64, test: impl FnOnce(Network) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    simulate(seed, |runtime| test(Network::new(runtime)));
}
