//! What happens to the nodes of a mesh: ways that are cut, connections that break, processes that
//! stand still or die, clocks that are wrong.

use std::sync::Arc;

use larder_core::runtime::Runtime;

use super::{GREAT_STEP, OUTAGE, PAUSE, STEP};
use crate::sim::net::Death;
use crate::sim::nodes::Nodes;
use crate::sim::{Fault, Random, Setup, Shared, World};

/// The longest outage by which links are given up for dead, in milliseconds.
const LONG_OUTAGE: u64 = 5_000;
/// How long a node stays away after its death, at most, in milliseconds.
const AWAY: u64 = 1_500;

pub(super) async fn strike(world: &Arc<World>, nodes: &Nodes, random: &mut Random, setup: Setup) {
    let node = random.below(setup.nodes as u64) as usize;
    let other = (node + 1 + random.below(setup.nodes as u64 - 1) as usize) % setup.nodes;
    match random.below(20) {
        0 | 1 => {
            if let Some(store) = nodes.store(node) {
                world.befall(Fault::Trim, "the log of a node's store is trimmed");
                store.trim_log(random.below(4) as usize);
            }
        }
        2 | 3 => {
            if let Some(store) = nodes.store(node) {
                world.befall(Fault::Evict, "a node's store evicts some keys and leases");
                store.evict(|| random.per_mille(500));
            }
        }
        4..7 => pause(world, nodes, node, random).await,
        7..10 => kill(world, nodes, (node, setup), random).await,
        10 | 11 => {
            world.befall(Fault::Severed, "the connections of a node break");
            (0..setup.nodes).for_each(|other| nodes.net.sever(node, other));
        }
        12 => step_clock(world, nodes, node, random),
        13..16 => {
            world.journal.fault(Fault::CutWay);
            let outage = outage(random);
            nodes.net.cut(node, other);
            world.wait(outage).await;
            nodes.net.heal(node, other);
        }
        _ => {
            world.journal.fault(Fault::CutOff);
            let outage = outage(random);
            // Deaf, mute, or both.
            let ways = 1 + random.below(3);
            let others = || (0..setup.nodes).filter(|other| *other != node);
            for other in others() {
                if ways & 1 != 0 {
                    nodes.net.cut(node, other);
                }
                if ways & 2 != 0 {
                    nodes.net.cut(other, node);
                }
            }
            world.wait(outage).await;
            for other in others() {
                if ways & 1 != 0 {
                    nodes.net.heal(node, other);
                }
                if ways & 2 != 0 {
                    nodes.net.heal(other, node);
                }
            }
        }
    }
}

fn outage(random: &mut Random) -> u64 {
    let is_long = random.per_mille(250);
    random.below(if is_long { LONG_OUTAGE } else { OUTAGE })
}

async fn pause(world: &World, nodes: &Nodes, node: usize, random: &mut Random) {
    let (runtime, process) = (&world.runtime, nodes.process(node));
    world.journal.fault(Fault::Pause);
    world.note(format!("node {node} stands still"));
    runtime.freeze(process);
    world.wait(random.below(PAUSE)).await;
    world.note(format!("node {node} goes on"));
    runtime.thaw(process);
}

async fn kill(
    world: &Arc<World>,
    nodes: &Nodes,
    (node, setup): (usize, Setup),
    random: &mut Random,
) {
    if !nodes.is_alive(node) {
        return;
    }
    let death = if random.per_mille(500) {
        Death::Process
    } else {
        Death::Machine
    };
    world.journal.fault(match death {
        Death::Process => Fault::Killed,
        Death::Machine => Fault::Crashed,
    });
    world.note(format!("node {node} dies: {death:?}"));
    if setup.store == Shared::Learned && !nodes.is_known(node) {
        // Of what only the dead knew nobody can tell: docs/decisions/0010.
        world.forfeit();
    }
    world.bury(node);
    nodes.kill(node, death);
    // Now and then it is back before anybody has noticed.
    let away = if random.per_mille(300) { 5 } else { AWAY };
    world.wait(random.below(away)).await;
    world.note(format!("node {node} is started again"));
    let cache = world.open(node, setup).await;
    world.replace(node, cache);
    world.follow(node);
    world.start_again(node, setup);
}

fn step_clock(world: &World, nodes: &Nodes, node: usize, random: &mut Random) {
    let is_great = random.per_mille(100);
    let most = if is_great { GREAT_STEP } else { STEP };
    let by = 1 + random.below(most).cast_signed();
    let is_forward = random.per_mille(500);
    world.journal.fault(if is_forward {
        Fault::ClockForward
    } else {
        Fault::ClockBack
    });
    let by = if is_forward { by } else { -by };
    world.note(format!("the wall clock of node {node} is set by {by} ms"));
    nodes.step_clock(node, by);
}

impl World {
    fn note(&self, text: String) {
        self.journal.note(self.runtime.now(), || text);
    }

    /// What a dead process has counted is kept, and it follows nothing any more.
    fn bury(&self, node: usize) {
        self.former
            .lock()
            .expect("no one panics who counts")
            .push(self.node(node).stats());
    }
}
