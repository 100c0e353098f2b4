//! Tickets and sessions: what was done and seen through one node shows on the others.

use std::time::Duration;

use larder::core::Runtime;
use larder::core::lane::Position;
use larder::{Source, Ticket};
use larder_testkit::sim::Cut;

use crate::support::{Network, Oops, Users, World, found, on_a_network};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn with_a_ticket_a_near_copy_that_has_not_heard_of_the_change_is_not_used() {
    on_a_network(|mut network| async move {
        let (one, two) = network.two().await;
        network.cut(1, Cut::Pushes);
        let ticket = one.insert(&1, 20).await.unwrap().ticket();
        assert_eq!(found(two.get(&1).await), Some((10, Source::Near)));
        let read = two.get_with_ticket(&1, &ticket).await;
        assert_eq!(found(read), Some((20, Source::Remote)));
        let loader = |_| async { Err(Oops("not needed")) };
        let loaded = two.get_or_load_with_ticket(&1, &ticket, loader).await;
        assert_eq!(*loaded.unwrap(), 20);
    });
}

#[test]
fn with_a_ticket_an_invalidated_copy_is_not_used() {
    on_a_network(|mut network| async move {
        let (one, two) = network.two().await;
        network.cut(1, Cut::Pushes);
        let ticket = one.invalidate(&1).await.unwrap().ticket();
        assert_eq!(found(two.get(&1).await), Some((10, Source::Near)));
        assert_eq!(found(two.get_with_ticket(&1, &ticket).await), None);
        let loader = |_| async { Ok::<_, Oops>(30) };
        let loaded = two.get_or_load_with_ticket(&1, &ticket, loader).await;
        assert_eq!(*loaded.unwrap(), 30);
    });
}

#[test]
fn a_ticket_costs_nothing_once_the_node_has_heard() {
    on_a_network(|mut network| async move {
        let (one, two) = network.two().await;
        let ticket = one.insert(&2, 5).await.unwrap().ticket();
        network.pass(ms(50)).await;
        let read = two.get_with_ticket(&1, &ticket).await;
        assert_eq!(found(read), Some((10, Source::Near)));
        // The node that made the change has heard of it when the log tells it so.
        let read = one.get_with_ticket(&1, &ticket).await;
        assert_eq!(found(read), Some((10, Source::Near)));
    });
}

#[test]
fn a_load_that_began_before_the_change_is_not_shared() {
    on_a_network(|mut network| async move {
        let (one, two) = (network.node().await, network.node().await);
        network.cut(1, Cut::Pushes);
        let (slow, clock) = (two.clone(), network.runtime.clone());
        network.runtime.spawn(Box::pin(async move {
            let loader = |_| async move {
                clock.sleep(ms(200)).await;
                Ok::<_, Oops>(10)
            };
            // It gives what it read: its caller came before the change.
            assert_eq!(*slow.get_or_load(&1, loader).await.unwrap(), 10);
        }));
        network.pass(ms(50)).await;
        let ticket = one.invalidate(&1).await.unwrap().ticket();
        let loader = || |_| async { Ok::<_, Oops>(20) };
        let shared = two.get_or_load(&1, loader());
        let own = two.get_or_load_with_ticket(&1, &ticket, loader());
        let (shared, own) = futures_util::future::join(shared, own).await;
        assert_eq!(*own.unwrap(), 20);
        // Without one, what the node knows is good enough for Δ.
        assert!(matches!(*shared.unwrap(), 10 | 20));
        network.pass(ms(500)).await;
        assert_eq!(*two.get(&1).await.unwrap().unwrap(), 20);
    });
}

#[test]
fn a_session_goes_on_elsewhere_with_the_text_of_its_ticket() {
    on_a_network(|mut network| async move {
        let (one, two) = network.two().await;
        network.cut(1, Cut::Pushes);
        let mut session = one.session();
        session.insert(&1, 20).await.unwrap();
        let text = session.ticket().to_string();
        let mut session = two.session().resume(&text.parse::<Ticket>().unwrap());
        assert_eq!(*session.get(&1).await.unwrap().unwrap(), 20);
        session.expire(&1).await.unwrap();
        let loaded = session.get_or_load(&1, |_| async { Ok::<_, Oops>(21) });
        assert_eq!(*loaded.await.unwrap(), 21);
        session.invalidate(&1).await.unwrap();
        assert!(session.get(&1).await.unwrap().is_none());
    });
}

#[test]
fn a_session_never_goes_back_behind_what_it_has_read() {
    on_a_network(|mut network| async move {
        let (one, two) = network.two().await;
        network.cut(1, Cut::Pushes);
        // Changed by somebody else: the session has only read it.
        one.insert(&1, 20).await.unwrap();
        let mut session = one.session();
        assert_eq!(*session.get(&1).await.unwrap().unwrap(), 20);
        assert_eq!(found(two.get(&1).await), Some((10, Source::Near)));
        let mut session = two.session().resume(session.ticket());
        assert_eq!(*session.get(&1).await.unwrap().unwrap(), 20);
        let loader = |_| async { Err(Oops("not needed")) };
        assert_eq!(*session.get_or_load(&1, loader).await.unwrap(), 20);
    });
}

#[test]
fn what_a_session_saw_gone_does_not_come_back() {
    on_a_network(|mut network| async move {
        let (one, two) = network.two().await;
        network.cut(1, Cut::Pushes);
        one.invalidate(&1).await.unwrap();
        let mut session = one.session();
        assert!(session.get(&1).await.unwrap().is_none());
        assert_eq!(found(two.get(&1).await), Some((10, Source::Near)));
        let mut session = two.session().resume(session.ticket());
        assert!(session.get(&1).await.unwrap().is_none());
    });
}

#[test]
fn a_ticket_of_another_life_costs_round_trips_until_the_next_change() {
    on_a_network(|mut network| async move {
        let (one, two) = network.two().await;
        let mut session = one.session();
        session.insert(&1, 11).await.unwrap();
        network.store.restart_empty();
        network.pass(ms(600)).await;
        one.insert(&1, 20).await.unwrap();
        two.get(&1).await.unwrap();
        network.pass(ms(50)).await;
        let read = two.get_with_ticket(&1, session.ticket()).await;
        assert_eq!(found(read), Some((20, Source::Remote)));
        session.insert(&2, 1).await.unwrap();
        network.pass(ms(50)).await;
        let read = two.get_with_ticket(&1, session.ticket()).await;
        assert_eq!(found(read), Some((20, Source::Near)));
    });
}

#[test]
fn a_forged_ticket_costs_round_trips_and_nothing_else() {
    on_a_network(|mut network| async move {
        let (one, two) = network.two().await;
        let mut forged = Ticket::new();
        let lane = larder::core::ticket::lane_of("app:users");
        forged.passed(
            lane,
            Some(Position {
                incarnation: u64::MAX,
                seq: u64::MAX,
            }),
        );
        forged.saw(
            larder::core::ticket::key_of(b"app:users:1"),
            larder::core::Version(u64::MAX),
        );
        for node in [&one, &two] {
            let read = node.get_with_ticket(&1, &forged).await;
            assert_eq!(found(read), Some((10, Source::Remote)));
            let loader = |_| async { Err(Oops("not needed")) };
            let loaded = node.get_or_load_with_ticket(&1, &forged, loader).await;
            assert_eq!(*loaded.unwrap(), 10);
            assert_eq!(found(node.get(&1).await), Some((10, Source::Near)));
        }
    });
}

/// While `reading` loads a key, `writing` changes it: who holds the ticket does not get what the load
/// brings.
async fn keeps_an_older_load_away(network: &mut Network, writing: &Users, reading: &Users) {
    let (slow, clock) = (reading.clone(), network.runtime.clone());
    network.runtime.spawn(Box::pin(async move {
        let loader = |_| async move {
            clock.sleep(ms(200)).await;
            Ok::<_, Oops>(10)
        };
        slow.get_or_load(&1, loader).await.unwrap();
    }));
    network.pass(ms(50)).await;
    let ticket = writing.invalidate(&1).await.unwrap().ticket();
    let loader = |_| async { Ok::<_, Oops>(20) };
    let loaded = reading.get_or_load_with_ticket(&1, &ticket, loader).await;
    assert_eq!(*loaded.unwrap(), 20);
}

#[test]
fn without_a_near_cache_a_ticket_still_keeps_older_loads_away() {
    on_a_network(|mut network| async move {
        let (one, _) = network.two().await;
        let bare = network.bare(2).build().await.unwrap();
        one.invalidate(&1).await.unwrap();
        keeps_an_older_load_away(&mut network, &one, &bare).await;
    });
}

#[test]
fn where_nobody_reads_a_log_a_ticket_still_keeps_older_loads_away() {
    on_a_network(|mut network| async move {
        let one = network.bare(0).build().await.unwrap();
        let two = network.bare(1).build().await.unwrap();
        keeps_an_older_load_away(&mut network, &one, &two).await;
    });
}

#[test]
fn a_loading_cache_honours_tickets_too() {
    on_a_network(|mut network| async move {
        let one = network.node().await;
        let loading = network.bare(1).near(larder::Near::bytes("1MiB"));
        let loading = loading.loader(|_| async { Ok::<_, Oops>(30) });
        let two = loading.build().await.unwrap();
        one.insert(&1, 10).await.unwrap();
        network.pass(ms(600)).await;
        two.get(&1).await.unwrap();
        assert_eq!(found(two.get(&1).await), Some((10, Source::Near)));
        network.cut(1, Cut::Pushes);
        let ticket = one.invalidate(&1).await.unwrap().ticket();
        assert_eq!(found(two.get(&1).await), Some((10, Source::Near)));
        let read = two.get_with_ticket(&1, &ticket).await;
        assert_eq!(found(read), Some((30, Source::Loaded)));
    });
}

#[tokio::test]
async fn without_a_remote_tier_every_ticket_is_content() {
    let world = World::new();
    let cache = world.near_only().build().await.unwrap();
    let receipt = cache.insert(&1, 10).await.unwrap();
    assert!(receipt.ticket().is_empty());
    let mut forged = Ticket::new();
    let lane = larder::core::ticket::lane_of("app:users");
    forged.passed(
        lane,
        Some(Position {
            incarnation: 1,
            seq: 1,
        }),
    );
    let read = cache.get_with_ticket(&1, &forged).await;
    assert_eq!(found(read), Some((10, Source::Near)));
    let mut session = cache.session();
    session.get(&1).await.unwrap();
    assert!(session.ticket().is_empty());
}
