//! Nodes that are a mesh: each with a store of its own in a process of its own, which can be killed
//! and started again with nothing.
//!
//! Nothing of the mesh is simulated but the bytes between the nodes: greetings, links, heartbeats, the
//! log and the store over it are those of production.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use larder::embedded::Embedded;
use larder::mesh::{
    Address, ClusterName, Discovery, Membership, MeshConfig, MeshStore, NodeName, Seat, Secret,
};
use larder_core::runtime::Runtime;

use super::net::{Death, Net};
use super::{Journal, Setup, Shared, SimRuntime, World};

/// Processes of a node are so far apart in their numbers.
const PROCESSES: usize = 1_000;

/// Enough for the keys of a run.
const SHARDS: usize = 16;

/// Nodes find each other within so long, once nothing goes wrong any more. A link that is dead without
/// anybody's word is cut after three seconds, and dialled after two more at most.
const MEETING: Duration = Duration::from_secs(15);

/// Most records of a small log: as many are soon written while a node is away.
const SMALL: [usize; 3] = [2, 16, 256];

/// The nodes of a run.
pub struct Nodes {
    /// What is between them.
    pub net: Net,
    runtime: SimRuntime,
    setup: Setup,
    /// How many records each node keeps for others; `None` as many as usual.
    kept: Option<usize>,
    secret: Secret,
    /// By how much each node's wall clock is wrong.
    skews: Vec<Arc<AtomicI64>>,
    lives: Mutex<Vec<Life>>,
}

/// The present life of a node.
#[derive(Clone)]
struct Life {
    process: usize,
    /// Nothing while it is dead.
    is: Option<(MeshStore, Embedded)>,
}

impl Nodes {
    pub(super) fn new(setup: Setup, runtime: &SimRuntime, journal: Journal) -> Nodes {
        let life = |node| Life {
            process: node,
            is: None,
        };
        // Only where nodes are away for long somebody asks for what is gone.
        let random = runtime.fork_random().draw();
        let kept = SMALL.get((random % 8) as usize).copied();
        Nodes {
            net: Net::new(runtime, setup.nodes, setup.faults, journal),
            runtime: runtime.clone(),
            setup,
            kept: kept.filter(|_| setup.chaos),
            secret: Secret::new("all of them know it, and nobody else").expect("it is long enough"),
            skews: (0..setup.nodes).map(|_| Arc::default()).collect(),
            lives: Mutex::new((0..setup.nodes).map(life).collect()),
        }
    }

    fn lives(&self) -> MutexGuard<'_, Vec<Life>> {
        self.lives
            .lock()
            .expect("nobody panics who holds this lock")
    }

    /// The stores of all nodes that live.
    pub(super) fn stores(&self) -> Vec<Embedded> {
        let lives = self.lives();
        let stores = lives.iter().filter_map(|life| life.is.as_ref());
        stores.map(|(_, store)| store.clone()).collect()
    }

    /// The store of a node, if it lives.
    pub(super) fn store(&self, node: usize) -> Option<Embedded> {
        let life = self.lives()[node].clone();
        life.is.map(|(_, store)| store)
    }

    fn meshes(&self) -> Vec<MeshStore> {
        let lives = self.lives();
        let meshes = lives.iter().filter_map(|life| life.is.as_ref());
        meshes.map(|(mesh, _)| mesh.clone()).collect()
    }

    /// The number of a node's present process.
    pub(super) fn process(&self, node: usize) -> usize {
        self.lives()[node].process
    }

    /// The surroundings of a node's present process.
    pub(super) fn runtime_of(&self, node: usize) -> SimRuntime {
        let own = self.runtime.on_node(self.process(node));
        own.with_skew(self.skews[node].clone())
    }

    /// Sets the wall clock of a node.
    pub(super) fn step_clock(&self, node: usize, by_ms: i64) {
        self.skews[node].fetch_add(by_ms, Ordering::Relaxed);
    }

    /// Starts the present process of a node.
    pub(super) async fn start(&self, node: usize) -> MeshStore {
        let own = Arc::new(self.runtime_of(node));
        let store = Embedded::with_shards(own.clone(), SHARDS);
        let config = self.config(node);
        let mesh = MeshStore::start_with(config, store.clone(), own).await;
        let mesh = mesh.expect("the configuration is right and the address is free");
        self.lives()[node].is = Some((mesh.clone(), store));
        mesh
    }

    fn config(&self, node: usize) -> MeshConfig {
        let all = 0..self.setup.nodes;
        let cluster = ClusterName::new("simulated").expect("this is a name");
        let at = Net::address(node);
        let mut config = MeshConfig::new(cluster, name(node), self.secret.clone(), at);
        config.membership = if self.setup.store == Shared::Mesh {
            let seat = |node| Seat {
                name: name(node),
                address: Address::from(Net::address(node)),
            };
            Membership::Fixed(all.map(seat).collect())
        } else {
            let others = all.filter(|other| *other != node);
            Membership::Learned(Discovery {
                join: others
                    .map(|node| Address::from(Net::address(node)))
                    .collect(),
                ..Discovery::default()
            })
        };
        if let Some(kept) = self.kept {
            config.limits.log_records = kept;
        }
        config.over(self.net.of(node, self.process(node)))
    }

    /// Whether all others that live have heard of all that the present process of a node has
    /// acknowledged, or will know that they have not once its next one comes up.
    pub(super) fn is_known(&self, node: usize) -> bool {
        let lives = self.lives().clone();
        let Some((mesh, _)) = &lives[node].is else {
            return true;
        };
        let (lane, newest) = (mesh.log().lane(), mesh.log().newest());
        let links = mesh.log().mesh();
        let others = lives.iter().filter_map(|life| life.is.as_ref());
        let mut others = others.map(|(other, _)| other.log());
        others.all(|other| {
            let met = other.mesh().members();
            let met = met.iter().any(|member| {
                member.name == *links.name() && member.incarnation == Some(links.incarnation())
            });
            met || other.logged(lane) >= newest
        })
    }

    /// Kills the present process of a node. The next one has another number.
    pub(super) fn kill(&self, node: usize, death: Death) {
        let mut life = self.lives()[node].clone();
        self.net.dies(node, life.process, death);
        self.runtime.kill(life.process);
        life.process += PROCESSES;
        life.is = None;
        self.lives()[node] = life;
    }

    /// Whether the nodes promise G2 only while nothing is wrong between them.
    pub(super) fn is_lenient(&self) -> bool {
        let is_troubled = self.setup.chaos || self.setup.faults.broken > 0;
        self.setup.store == Shared::Learned && is_troubled
    }

    /// Whether the present process of a node is alive.
    pub(super) fn is_alive(&self, node: usize) -> bool {
        self.lives()[node].is.is_some()
    }

    /// Waits until all nodes have met and trust what they hold.
    ///
    /// # Panics
    ///
    /// If that takes too long.
    pub(super) async fn meet(&self) {
        let until = self.runtime.now().after(MEETING);
        loop {
            let meshes = self.meshes();
            let others = self.setup.nodes - 1;
            let has_met = |mesh: &MeshStore| {
                let peers = mesh.log().mesh().peers();
                let met: BTreeSet<_> = peers.iter().map(|peer| peer.node()).collect();
                met.len() == others && mesh.is_leased()
            };
            if meshes.len() > others && meshes.iter().all(has_met) {
                return;
            }
            let now = self.runtime.now();
            assert!(now < until, "the nodes do not find each other");
            self.runtime.pause(Duration::from_millis(10)).await;
        }
    }
}

fn name(node: usize) -> NodeName {
    NodeName::new(&format!("node{node}")).expect("this is a name")
}

impl World {
    /// Runs `work` in a process of this node; `None` if that is killed meanwhile.
    pub(super) async fn within<T: Send + 'static>(
        &self,
        node: usize,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (tell, told) = tokio::sync::oneshot::channel();
        self.clock(node).spawn(Box::pin(async move {
            // An error says that nobody waits for it.
            let _ = tell.send(work.await);
        }));
        told.await.ok()
    }
}
