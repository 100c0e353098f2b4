//! Where a process keeps its values: on a server, or as a node of a mesh.

use std::net::SocketAddr;
use std::sync::Arc;

use larder::mesh::{
    Address, ClusterName, Membership, MeshConfig, MeshStore, NodeName, Seat, Secret,
};
use larder::redis::Redis;
use larder::{Builder, Cache, Near, TokioRuntime};

/// What the place of a node of a mesh begins with.
const MESH: &str = "mesh:";

/// The place of a node in a mesh of nodes on these ports.
pub(super) fn mesh(node: usize, ports: &[u16]) -> String {
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    format!("{MESH}{node}:{}", ports.join(","))
}

/// Whether values are not shared, so that each process loads its own.
pub(super) fn is_mesh(place: &str) -> bool {
    place.starts_with(MESH)
}

/// A cache at a place: the address of a server, or what [`mesh`] gives.
pub(super) async fn builder(place: &str) -> Builder<u64, u64> {
    let builder = Cache::builder("bench:rows").ttl("1h");
    let builder = builder.near(Near::bytes("64MiB"));
    match place.strip_prefix(MESH) {
        Some(node) => builder.remote(join(node).await),
        None => builder.remote(Redis::open(place).expect("the address is sound")),
    }
}

async fn join(node: &str) -> MeshStore {
    let (node, ports) = node.split_once(':').expect("a node and its ports");
    let node: usize = node.parse().expect("the number of a node");
    let address = |port: &str| -> SocketAddr {
        let port: u16 = port.parse().expect("a port");
        ([127, 0, 0, 1], port).into()
    };
    let name = |node: usize| NodeName::new(&format!("node{node}")).expect("a name");
    let ports: Vec<&str> = ports.split(',').collect();
    let seats = ports.iter().enumerate().map(|(node, port)| Seat {
        name: name(node),
        address: Address::parse(&address(port).to_string()).expect("an address"),
    });
    let mut config = MeshConfig::new(
        ClusterName::new("bench").expect("a name"),
        name(node),
        Secret::new("what only the nodes of this bench know").expect("long enough"),
        address(ports[node]),
    );
    config.membership = Membership::Fixed(seats.collect());
    let mesh = MeshStore::start(config, Arc::new(TokioRuntime::current())).await;
    mesh.expect("the port is free")
}
