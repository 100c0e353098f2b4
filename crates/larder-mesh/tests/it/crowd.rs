//! Many nodes on one machine.

use std::time::Instant;

use larder_mesh::DownReason;

use crate::support::{Node, World, config, joining, wait, wait_all_alive};

#[test]
#[allow(clippy::disallowed_methods, reason = "real time is what is measured")]
fn twenty_nodes_that_join_one_form_a_mesh_and_survive_the_loss_of_nine() {
    let world = World::new();
    let start = Instant::now();
    let mut nodes = vec![world.start(config("n00"))];
    let first = nodes[0].address();
    nodes.extend((1..20).map(|n| world.start(joining(&format!("n{n:02}"), &[&first]))));
    let all: Vec<&Node> = nodes.iter().collect();
    wait_all_alive(&all);
    let formed = start.elapsed();
    let downs: usize = nodes.iter().map(|node| node.downs().len()).sum();
    println!("20 nodes, 190 links with TLS: {formed:?}, {downs} links lost on the way");
    assert_eq!(downs, 0);
    // The first one, which all have joined, is among those that end without a goodbye.
    drop(nodes.drain(..9));
    wait("eleven are left", || {
        nodes.iter().all(|node| node.alive() == 10)
    });
    assert!(
        nodes
            .iter()
            .all(|node| node.downs() == [DownReason::Broken; 9])
    );
}
