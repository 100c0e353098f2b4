//! The mesh against small worlds: every order of events, and long random ones.

mod bounds;
mod model;
mod random;
mod scenes;
mod world;

use std::time::Duration;

use super::*;

/// So many members, for a world in which a unit of time is as long as a lease, and nothing is waited
/// for that is not asked for.
fn impatient(members: usize) -> Settings {
    let never = Duration::from_secs(1);
    Settings {
        acknowledge_within: never,
        poll_within: never,
        lease: Duration::from_nanos(1),
        heartbeat: never,
        grace: Duration::ZERO,
        retry: never,
        patience: Duration::ZERO,
        give_up: never,
        ..Settings::new(Membership::Configured(
            (0..members).map(world::node).collect(),
        ))
    }
}
