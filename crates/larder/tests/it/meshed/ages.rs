//! A store that is a copy itself: how long what it tells may be used, and what is made from it. In
//! virtual time, over a network that can be cut.

use std::sync::Arc;
use std::time::Duration;

use larder::core::Runtime;
use larder::core::mutant::{Mutant, activate};
use larder::embedded::Embedded;
use larder::mesh::{
    Address, ClusterName, Membership, MeshConfig, MeshStore, NodeName, Seat, Secret,
};
use larder::{Cache, Cx, Near};
use larder_testkit::sim::{Faults, Journal, Net, SimRuntime, simulate};

use super::{Numbers, Truth};

const MEMBERS: usize = 3;
const BASE: u64 = 1;
const DERIVED: u64 = 2;

/// A member of three.
async fn member(runtime: &SimRuntime, net: &Net, node: usize) -> MeshStore {
    let name = |node: usize| NodeName::new(&format!("node{node}")).unwrap();
    let seat = |node| Seat {
        name: name(node),
        address: Address::from(Net::address(node)),
    };
    let secret = Secret::new("a secret of sixteen bytes").unwrap();
    let cluster = ClusterName::new("ages").unwrap();
    let config = MeshConfig::new(cluster, name(node), secret, Net::address(node));
    let config = MeshConfig {
        membership: Membership::Fixed((0..MEMBERS).map(seat).collect()),
        ..config
    };
    let config = config.over(net.of(node, node));
    let own = Arc::new(runtime.on_node(node));
    let store = Embedded::with_shards(own.clone(), 16);
    MeshStore::start_with(config, store, own).await.unwrap()
}

async fn cache(runtime: &SimRuntime, store: &MeshStore) -> Numbers {
    let built = Cache::builder("numbers")
        .ttl("1h")
        .near(Near::bytes("1MiB"));
    let built = built.runtime(Arc::new(runtime.clone()));
    built.remote(store.clone()).build().await.unwrap()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Reads a value that is made from another one.
async fn derived(cache: &Numbers, truth: &Truth) -> u64 {
    let (inner, truth) = (cache.clone(), truth.clone());
    let load = move |_: Cx<u64, _>| async move {
        Ok::<_, std::convert::Infallible>(truth.read(&inner, BASE).await)
    };
    *cache.get_or_load(&DERIVED, load).await.unwrap()
}

/// What is read of a derived value 1.2 s after the value that it was made from was loaded, on a node
/// that sees nobody.
async fn derived_late(runtime: SimRuntime) -> u64 {
    let net = Net::new(&runtime, MEMBERS, Faults::default(), Journal::default());
    let store = member(&runtime, &net, 0).await;
    let (cache, truth) = (cache(&runtime, &store).await, Truth::default());
    truth.set(1);
    assert_eq!(truth.read(&cache, BASE).await, 1);
    // Elsewhere, by a majority.
    truth.set(2);
    runtime.sleep(ms(900)).await;
    assert_eq!(derived(&cache, &truth).await, 1, "still within Δ");
    runtime.sleep(ms(300)).await;
    derived(&cache, &truth).await
}

#[test]
fn what_is_made_from_a_copy_is_used_no_longer_than_that_where_nobody_vouches_for_it() {
    assert_eq!(simulate(1, derived_late), 2);
    let _active = activate(Some(Mutant::MadeAnew));
    assert_eq!(simulate(1, derived_late), 1, "the rule is not needed");
}

/// Reads a value, cuts the first two members apart, has the value changed elsewhere, and returns a tenth
/// of a second before the lease of the store ends.
async fn until_near_the_end(
    runtime: &SimRuntime,
    net: &Net,
    store: &MeshStore,
    (first, truth): (&Numbers, &Truth),
) {
    while !store.is_leased() {
        runtime.sleep(ms(10)).await;
    }
    truth.set(1);
    assert_eq!(truth.read(first, BASE).await, 1);
    runtime.sleep(ms(500)).await;
    net.cut(0, 1);
    net.cut(1, 0);
    // Elsewhere, by a majority.
    truth.set(2);
    let end = store.log().lease_until();
    runtime.sleep(end.since(runtime.now()) - ms(100)).await;
}

/// What is read of a value by a cache that has no lease, once the lease of its store has ended.
async fn after_the_lease(runtime: SimRuntime) -> u64 {
    let net = Net::new(&runtime, MEMBERS, Faults::default(), Journal::default());
    let store = member(&runtime, &net, 0).await;
    let _other = member(&runtime, &net, 1).await;
    let (first, truth) = (cache(&runtime, &store).await, Truth::default());
    until_near_the_end(&runtime, &net, &store, (&first, &truth)).await;
    // Its own poll is not answered.
    let second = cache(&runtime, &store).await;
    assert_eq!(truth.read(&second, BASE).await, 1, "still within Δ");
    runtime.sleep(ms(200)).await;
    truth.read(&second, BASE).await
}

#[test]
fn what_a_store_tells_that_is_a_copy_is_as_old_as_its_lease() {
    assert_eq!(simulate(1, after_the_lease), 2);
    let _active = activate(Some(Mutant::AsOfAsked));
    assert_eq!(simulate(1, after_the_lease), 1, "the rule is not needed");
}

/// What somebody gets who joins a load 300 ms after it began, with a source that fails the first
/// of them, and a stale value in a store whose lease has ended meanwhile.
async fn joined_after_the_lease(runtime: SimRuntime) -> u64 {
    let net = Net::new(&runtime, MEMBERS, Faults::default(), Journal::default());
    let store = member(&runtime, &net, 0).await;
    let _other = member(&runtime, &net, 1).await;
    let truth = Truth::default();
    let short = async || {
        let built = Cache::builder("numbers").ttl("100ms").stale_for("1h");
        let built = built.runtime(Arc::new(runtime.clone()));
        let built = built.near(Near::bytes("1MiB")).remote(store.clone());
        built.build().await.unwrap()
    };
    let first: Numbers = short().await;
    until_near_the_end(&runtime, &net, &store, (&first, &truth)).await;
    // Its own poll is not answered.
    let second = short().await;
    let clock = runtime.clone();
    let fails = move |_: Cx<u64, _>| async move {
        clock.sleep(ms(600)).await;
        Err::<u64, _>(std::io::Error::other("the source is down"))
    };
    let leader = {
        let second = second.clone();
        async move {
            let loaded = second.get_or_load(&BASE, fails).await.unwrap();
            assert!(loaded.is_stale());
            assert_eq!(*loaded, 1, "as the lease still stood when it began");
        }
    };
    let follower = async {
        runtime.sleep(ms(300)).await;
        truth.read(&second, BASE).await
    };
    tokio::join!(leader, follower).1
}

#[test]
fn who_joins_a_load_gets_nothing_that_it_would_not_have_got_by_itself() {
    assert_eq!(simulate(1, joined_after_the_lease), 2);
    let _active = activate(Some(Mutant::LandedOld));
    assert_eq!(
        simulate(1, joined_after_the_lease),
        1,
        "the rule is not needed"
    );
}

/// Three members with a writer on the first, which nobody reads, and a reader on the third.
struct Three {
    writer: Numbers,
    reader: Numbers,
    truth: Truth,
    _stores: Vec<MeshStore>,
}

async fn three(runtime: &SimRuntime, net: &Net) -> Three {
    let mut stores = Vec::new();
    for node in 0..MEMBERS {
        stores.push(member(runtime, net, node).await);
    }
    let reader = cache(runtime, &stores[2]).await;
    let built = Cache::builder("numbers")
        .ttl("1h")
        .remote(stores[0].clone());
    let built = built.runtime(Arc::new(runtime.clone()));
    let truth = Truth::default();
    truth.set(1);
    runtime.sleep(ms(1_000)).await;
    Three {
        writer: built.build().await.unwrap(),
        reader,
        truth,
        _stores: stores,
    }
}

/// Whether the reader gives an old value once everybody is said to have heard of a change.
async fn is_old_for(three: &Three) -> bool {
    three.truth.set(2);
    let receipt = three.writer.invalidate(&BASE).await.unwrap();
    let heard = receipt.wait_all(ms(5_000)).await.unwrap();
    assert!(heard.complete, "{heard:?}");
    three.truth.read(&three.reader, BASE).await != 2
}

/// The same, with a link between the two that is about to come back.
async fn is_old_while_a_link_comes_back(runtime: SimRuntime) -> bool {
    let net = Net::new(&runtime, MEMBERS, Faults::default(), Journal::default());
    let three = three(&runtime, &net).await;
    net.cut(0, 2);
    net.cut(2, 0);
    net.sever(0, 2);
    runtime.sleep(ms(7_000 + runtime.random() % 250)).await;
    assert_eq!(three.truth.read(&three.reader, BASE).await, 1);
    net.heal(0, 2);
    net.heal(2, 0);
    is_old_for(&three).await
}

/// The same, with a link that breaks before the reader's member could say who reads there.
async fn is_old_while_a_link_breaks(runtime: SimRuntime) -> bool {
    let net = Net::new(&runtime, MEMBERS, Faults::default(), Journal::default());
    let three = three(&runtime, &net).await;
    assert_eq!(three.truth.read(&three.reader, BASE).await, 1);
    net.cut(0, 2);
    net.cut(2, 0);
    let (clock, after) = (runtime.clone(), ms(3 + runtime.random() % 10));
    runtime.spawn(Box::pin(async move {
        clock.sleep(after).await;
        net.sever(0, 2);
    }));
    is_old_for(&three).await
}

/// Nobody is said to have heard of a change who has not, unless one of these rules is taken out.
fn needs<F>(is_old: impl Fn(SimRuntime) -> F + Copy, rules: &[Mutant])
where
    F: Future<Output = bool> + Send + 'static,
{
    let old = || (0..40).filter(|seed| simulate(*seed, is_old));
    assert_eq!(old().next(), None);
    for rule in rules {
        let _active = activate(Some(*rule));
        assert_ne!(
            old().next(),
            None,
            "{rule:?} takes out nothing that is needed"
        );
    }
}

#[test]
fn who_has_not_heard_of_a_change_is_waited_for_though_nobody_reads_where_it_was_made() {
    let rules = [Mutant::UnplacedHeard, Mutant::LinkedLate];
    needs(is_old_while_a_link_comes_back, &rules);
}

#[test]
fn who_was_lost_before_it_said_who_reads_there_is_waited_for() {
    needs(is_old_while_a_link_breaks, &[Mutant::LostReaders]);
}
