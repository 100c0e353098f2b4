//! Nodes of a mesh on free ports of loopback, each with its own store, in this process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use larder::TokioRuntime;
use larder::core::error::ErrorKind;
use larder::embedded::Embedded;
use larder::mesh::{
    Address, ClusterName, Discovery, Membership, MeshConfig, MeshStore, NodeName, Seat, Secret,
    State,
};

use crate::proxy::{Fault, Proxy, Traffic};
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

/// What is asked of them.
#[derive(Clone, Copy, Default)]
struct Kind {
    is_breakable: bool,
    is_replicated: bool,
}

/// Some nodes. Each can be killed and started again.
pub struct MeshNodes {
    configs: Vec<MeshConfig>,
    nodes: Vec<Option<MeshStore>>,
    /// Whether values are those of all nodes.
    is_replicated: bool,
    runtime: Arc<TokioRuntime>,
    /// What one dials to reach another, where faults are asked for.
    proxies: Vec<(usize, usize, Proxy)>,
}

impl MeshNodes {
    /// So many nodes that have found each other, on the runtime of the calling task.
    ///
    /// # Panics
    ///
    /// If they do not find each other within a minute.
    pub async fn start(count: usize, members: Members) -> MeshNodes {
        MeshNodes::start_with(count, members, Kind::default()).await
    }

    /// The same with links that can be broken; the members are configured.
    ///
    /// # Panics
    ///
    /// If they do not find each other within a minute.
    pub async fn start_breakable(count: usize) -> MeshNodes {
        let kind = Kind {
            is_breakable: true,
            ..Kind::default()
        };
        MeshNodes::start_with(count, Members::Configured, kind).await
    }

    /// The same with replicated values.
    ///
    /// # Panics
    ///
    /// If they do not find each other within a minute.
    pub async fn start_replicated(count: usize) -> MeshNodes {
        let kind = Kind {
            is_breakable: true,
            is_replicated: true,
        };
        MeshNodes::start_with(count, Members::Configured, kind).await
    }

    async fn start_with(count: usize, members: Members, kind: Kind) -> MeshNodes {
        // Somebody else may take a port that was free.
        for _ in 0..5 {
            let mut nodes = MeshNodes::prepare(count, members, kind);
            if nodes.try_start_all().await {
                nodes.found().await;
                return nodes;
            }
        }
        panic!("free ports are taken again and again");
    }

    fn prepare(count: usize, members: Members, kind: Kind) -> MeshNodes {
        let seats: Vec<Seat> = (1..=count).map(seat).collect();
        let config = |seat: &Seat| config(seat, &seats, members);
        let mut nodes = MeshNodes {
            configs: seats.iter().map(config).collect(),
            nodes: (0..count).map(|_| None).collect(),
            is_replicated: kind.is_replicated,
            runtime: Arc::new(TokioRuntime::current()),
            proxies: Vec::new(),
        };
        if kind.is_breakable {
            nodes.put_proxies(&seats);
        }
        nodes
    }

    /// Everybody reaches everybody else through a proxy, and nobody tells where it really is.
    fn put_proxies(&mut self, seats: &[Seat]) {
        for (from, config) in self.configs.iter_mut().enumerate() {
            let mut seen = seats.to_vec();
            // Its own place in the list is told to others, too.
            let nowhere = Address::from(SocketAddr::from(([127, 0, 0, 1], 1)));
            seen[from].address = nowhere.clone();
            for (to, seat) in seen.iter_mut().enumerate().filter(|(to, _)| *to != from) {
                let proxy = Proxy::start(listen(&seats[to]));
                seat.address = Address::from(proxy.address());
                self.proxies.push((from, to, proxy));
            }
            config.membership = Membership::Fixed(seen);
            config.advertise = Some(nowhere);
        }
    }

    fn links_of(&self, at: usize) -> impl Iterator<Item = &Proxy> {
        let links = self.proxies.iter();
        let is_of = move |(from, to, _): &&(usize, usize, Proxy)| *from == at || *to == at;
        links.filter(is_of).map(|(_, _, proxy)| proxy)
    }

    /// Cuts a node off: what is sent to it and by it is lost, and nobody is told.
    pub fn cut_off(&self, at: usize) {
        self.links_of(at)
            .for_each(|proxy| proxy.set(Traffic::ALL, Fault::BlackHole));
    }

    /// Cuts two nodes off from each other: what they say to each other is lost.
    pub fn cut_between(&self, one: usize, other: usize) {
        self.links_between(one, other)
            .for_each(|proxy| proxy.set(Traffic::ALL, Fault::BlackHole));
    }

    /// What two nodes say to each other waits until it is healed; their links are cut after some
    /// seconds.
    pub fn stall_between(&self, one: usize, other: usize) {
        self.links_between(one, other)
            .for_each(|proxy| proxy.set(Traffic::ALL, Fault::Stall));
    }

    /// Mends the links of two nodes.
    pub fn heal_between(&self, one: usize, other: usize) {
        self.links_between(one, other).for_each(Proxy::heal);
    }

    fn links_between(&self, one: usize, other: usize) -> impl Iterator<Item = &Proxy> {
        let both = [(one, other), (other, one)];
        let links = self.proxies.iter();
        let is_between = move |(from, to, _): &&(usize, usize, Proxy)| both.contains(&(*from, *to));
        links.filter(is_between).map(|(_, _, proxy)| proxy)
    }

    /// Breaks the links of a node; new ones can be made.
    pub fn break_links(&self, at: usize) {
        self.links_of(at).for_each(Proxy::reset);
    }

    /// Mends all links.
    pub fn heal(&self) {
        self.proxies.iter().for_each(|(_, _, proxy)| proxy.heal());
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
        let config = self.configs[at].clone();
        match self.is_replicated {
            true => MeshStore::replicated(config, store, runtime).await,
            false => MeshStore::start_with(config, store, runtime).await,
        }
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

    /// The same for what takes time to be looked at.
    ///
    /// # Panics
    ///
    /// If it does not hold within a minute.
    pub async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let mut left = LIMIT;
        while !holds().await {
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

fn listen(seat: &Seat) -> SocketAddr {
    let address = seat.address.to_string();
    address.parse().expect("it is an address of loopback")
}

fn config(seat: &Seat, seats: &[Seat], members: Members) -> MeshConfig {
    let mut config = MeshConfig::new(
        ClusterName::new("tests").expect("this is a name"),
        seat.name.clone(),
        Secret::new("a secret of the tests, 0123456789").expect("it is long enough"),
        listen(seat),
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
