//! Nodes of a test, and what they have been told.

use std::sync::Arc;
use std::time::Duration;

use larder::TokioRuntime;
use larder_mesh::{
    Address, ClusterName, Config, Discovery, DownReason, Event, Events, Incarnation, Membership,
    Mesh, NodeName, Peer, Secret, State,
};
use larder_testkit::servers::until;
use parking_lot::Mutex;
use tokio::runtime::Runtime;

/// Long enough for a machine that does other things besides.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) const SECRET: &str = "a secret of the tests, 0123456789";

/// Where the nodes of one test run.
pub(crate) struct World {
    pub(crate) runtime: Runtime,
}

impl World {
    pub(crate) fn new() -> World {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build();
        World {
            runtime: runtime.unwrap(),
        }
    }

    pub(crate) fn start(&self, config: Config) -> Node {
        let (node, events) = self.start_deaf(config);
        node.listen(self, events);
        node
    }

    /// A node whose events nobody takes.
    pub(crate) fn start_deaf(&self, config: Config) -> (Node, Events) {
        let runtime = Arc::new(TokioRuntime::on(self.runtime.handle().clone()));
        let (mesh, events) = self.runtime.block_on(Mesh::start(config, runtime)).unwrap();
        let told = Arc::default();
        (Node { mesh, told }, events)
    }

    pub(crate) fn shutdown(&self, node: &Node) {
        self.runtime.block_on(node.mesh.shutdown());
    }
}

pub(crate) struct Node {
    pub(crate) mesh: Mesh,
    told: Arc<Mutex<Vec<Event>>>,
}

impl Node {
    pub(crate) fn listen(&self, world: &World, mut events: Events) {
        let told = Arc::clone(&self.told);
        world.runtime.spawn(async move {
            while let Some(event) = events.next().await {
                told.lock().push(event);
            }
        });
    }

    pub(crate) fn address(&self) -> Address {
        Address::from(self.mesh.address())
    }

    pub(crate) fn told(&self) -> Vec<Event> {
        self.told.lock().clone()
    }

    pub(crate) fn state(&self, of: &str) -> Option<State> {
        let members = self.mesh.members();
        let member = members.iter().find(|member| member.name.as_str() == of);
        member.map(|member| member.state)
    }

    pub(crate) fn is(&self, of: &str, state: State) -> bool {
        self.state(of) == Some(state)
    }

    /// How many others are alive and linked.
    pub(crate) fn alive(&self) -> usize {
        let members = self.mesh.members();
        let alive = members.iter().filter(|m| m.state == State::Alive).count();
        alive.min(self.mesh.peers().len())
    }

    pub(crate) fn peer(&self, of: &str) -> Option<Peer> {
        let id = NodeName::new(of).unwrap().id();
        self.mesh.peers().into_iter().find(|peer| peer.node() == id)
    }

    /// The lives of a node to which links came up, in order.
    pub(crate) fn ups(&self, of: &str) -> Vec<Incarnation> {
        let ups = self.told().into_iter().filter_map(|event| match event {
            Event::Up {
                name, incarnation, ..
            } if name.as_str() == of => Some(incarnation),
            _ => None,
        });
        ups.collect()
    }

    /// Why links went down, in order.
    pub(crate) fn downs(&self) -> Vec<DownReason> {
        let downs = self.told().into_iter().filter_map(|event| match event {
            Event::Down { reason, .. } => Some(reason),
            _ => None,
        });
        downs.collect()
    }

    /// What was received, in order.
    pub(crate) fn received(&self) -> Vec<bytes::Bytes> {
        let received = self.told().into_iter().filter_map(|event| match event {
            Event::Message { bytes, .. } => Some(bytes),
            _ => None,
        });
        received.collect()
    }

    pub(crate) fn refused(&self, reason: &str) -> u64 {
        let counts = self.mesh.counts();
        counts.refused.get(reason).copied().unwrap_or_default()
    }
}

/// A node on a free port of loopback that knows nobody.
pub(crate) fn config(name: &str) -> Config {
    Config::new(
        ClusterName::new("tests").unwrap(),
        NodeName::new(name).unwrap(),
        Secret::new(SECRET).unwrap(),
        ([127, 0, 0, 1], 0).into(),
    )
}

/// The same that joins these.
pub(crate) fn joining(name: &str, join: &[&Address]) -> Config {
    Config {
        membership: Membership::Learned(Discovery {
            join: join.iter().copied().cloned().collect(),
            ..Discovery::default()
        }),
        ..config(name)
    }
}

pub(crate) fn wait(what: &str, condition: impl FnMut() -> bool) {
    until(LIMIT, what, condition).unwrap();
}

pub(crate) fn wait_all_alive(nodes: &[&Node]) {
    let others = nodes.len() - 1;
    wait("a full mesh", || {
        nodes.iter().all(|node| node.alive() == others)
    });
}
