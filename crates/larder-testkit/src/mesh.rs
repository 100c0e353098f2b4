//! Nodes of a mesh on free ports of loopback, each with its own store, in this process.

use std::sync::Arc;
use std::time::Duration;

use larder::TokioRuntime;
use larder::core::error::ErrorKind;
use larder::embedded::Embedded;
use larder::mesh::{
    Address, ClusterName, Discovery, Membership, MeshConfig, MeshStore, NodeName, Seat, Secret,
    State,
};

use crate::servers::free_port;

/// How often it is looked whether nodes have found each other.
const LOOK: Duration = Duration::from_millis(5);

/// A machine that does other things besides has found them by then.
const LIMIT: Duration = Duration::from_secs(60);

/// Who is in the cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Members {
    /// All of them, as a list that each has.
    Configured,
    /// Whoever joins the first.
    Learned,
}

/// Some nodes. Each can be killed and started again.
pub struct MeshNodes {
    configs: Vec<MeshConfig>,
    nodes: Vec<Option<MeshStore>>,
    runtime: Arc<TokioRuntime>,
}

impl MeshNodes {
    /// So many nodes that have found each other, on the runtime of the calling task.
    ///
    /// # Panics
    ///
    /// If they do not find each other within a minute.
    pub async fn start(count: usize, members: Members) -> MeshNodes {
        // Somebody else may take a port that was free.
        for _ in 0..5 {
            let mut nodes = MeshNodes::prepare(count, members);
            if nodes.try_start_all().await {
                nodes.found().await;
                return nodes;
            }
        }
        panic!("free ports are taken again and again");
    }

    fn prepare(count: usize, members: Members) -> MeshNodes {
        let seats: Vec<Seat> = (1..=count).map(seat).collect();
        let config = |seat: &Seat| config(seat, &seats, members);
        MeshNodes {
            configs: seats.iter().map(config).collect(),
            nodes: (0..count).map(|_| None).collect(),
            runtime: Arc::new(TokioRuntime::current()),
        }
    }

    async fn try_start_all(&mut self) -> bool {
        for at in 0..self.configs.len() {
            match self.try_start(at).await {
                Ok(node) => self.nodes[at] = Some(node),
                Err(error) if error.kind() == ErrorKind::Unavailable => return false,
                Err(error) => panic!("node {at}: {error}"),
            }
        }
        true
    }

    async fn try_start(&self, at: usize) -> larder::core::Result<MeshStore> {
        let runtime: Arc<TokioRuntime> = self.runtime.clone();
        let store = Embedded::with_shards(runtime.clone(), 64);
        MeshStore::start_with(self.configs[at].clone(), store, runtime).await
    }

    /// A node that is alive.
    ///
    /// # Panics
    ///
    /// If it was killed.
    pub fn node(&self, at: usize) -> &MeshStore {
        self.nodes[at].as_ref().expect("it is alive")
    }

    /// Ends a node without a goodbye, if nobody else holds it.
    pub fn kill(&mut self, at: usize) {
        self.nodes[at] = None;
    }

    /// Starts a node again, which has forgotten everything.
    ///
    /// # Panics
    ///
    /// If its port is not free within a minute.
    pub async fn restart(&mut self, at: usize) {
        self.kill(at);
        let mut left = LIMIT;
        loop {
            match self.try_start(at).await {
                Ok(node) => {
                    self.nodes[at] = Some(node);
                    return;
                }
                Err(error) if left.is_zero() => panic!("node {at}: {error}"),
                Err(_) => self.pause(&mut left).await,
            }
        }
    }

    /// Waits until all that are alive have links to each other, and copies that they may use.
    ///
    /// # Panics
    ///
    /// If that takes more than a minute.
    pub async fn found(&self) {
        self.wait("a full mesh", |nodes| {
            let alive = nodes.nodes.iter().flatten();
            let others = alive.clone().count() - 1;
            alive.clone().all(|node| {
                let members = node.members().into_iter();
                let is_alive = |state: State| state == State::Alive;
                let found = members.filter(|standing| is_alive(standing.member.state));
                found.count() >= others && node.log().mesh().peers().len() >= others
            }) && alive.clone().all(MeshStore::is_leased)
        })
        .await;
    }

    /// Waits until something holds.
    ///
    /// # Panics
    ///
    /// If it does not within a minute.
    pub async fn wait(&self, what: &str, mut holds: impl FnMut(&MeshNodes) -> bool) {
        let mut left = LIMIT;
        while !holds(self) {
            assert!(!left.is_zero(), "{what} did not come to be");
            self.pause(&mut left).await;
        }
    }

    async fn pause(&self, left: &mut Duration) {
        use larder::core::Runtime;
        *left = left.saturating_sub(LOOK);
        self.runtime.sleep(LOOK).await;
    }
}

fn seat(number: usize) -> Seat {
    let address = format!("127.0.0.1:{}", free_port());
    Seat {
        name: NodeName::new(&format!("node{number}")).expect("this is a name"),
        address: Address::parse(&address).expect("this is an address"),
    }
}

fn config(seat: &Seat, seats: &[Seat], members: Members) -> MeshConfig {
    let address = seat.address.to_string();
    let mut config = MeshConfig::new(
        ClusterName::new("tests").expect("this is a name"),
        seat.name.clone(),
        Secret::new("a secret of the tests, 0123456789").expect("it is long enough"),
        address.parse().expect("it is an address of loopback"),
    );
    config.membership = match members {
        Members::Configured => Membership::Fixed(seats.to_vec()),
        Members::Learned => Membership::Learned(Discovery {
            join: seats[..1].iter().map(|seat| seat.address.clone()).collect(),
            ..Discovery::default()
        }),
    };
    config
}
