//! What each verb asks of the remote tier: the table of docs/library.md.

use crate::support::{Op, Users, World};

/// Round trips since the last look, of all kinds but the background's.
fn trips(world: &World, seen: &mut u64) -> u64 {
    let ops = [
        Op::Get,
        Op::GetMany,
        Op::Commit,
        Op::Lease,
        Op::Fill,
        Op::Release,
        Op::Clear,
    ];
    let now: u64 = ops.into_iter().map(|op| world.store.calls(op)).sum();
    now - std::mem::replace(seen, now)
}

#[tokio::test]
async fn changes_and_reads_cost_one_round_trip_however_many_keys() {
    let world = World::new();
    let cache = world.remote_only().build().await.unwrap();
    let mut seen = 0;
    let keys: Vec<u64> = (0..50).collect();
    cache.insert(&1, 10).await.unwrap();
    assert_eq!(trips(&world, &mut seen), 1, "insert");
    cache.get(&1).await.unwrap();
    assert_eq!(trips(&world, &mut seen), 1, "get");
    cache.contains_key(&1).await.unwrap();
    assert_eq!(trips(&world, &mut seen), 1, "contains_key");
    let _ = cache.expire(&1).await.unwrap();
    assert_eq!(trips(&world, &mut seen), 1, "expire");
    let _ = cache.invalidate(&1).await.unwrap();
    assert_eq!(trips(&world, &mut seen), 1, "invalidate");
    let values = keys.iter().map(|key| (*key, *key));
    cache.insert_many(values).await.unwrap();
    assert_eq!(trips(&world, &mut seen), 1, "insert_many");
    cache.get_many(&keys).await.unwrap();
    assert_eq!(trips(&world, &mut seen), 1, "get_many");
    let _ = cache.invalidate_many(&keys).await.unwrap();
    assert_eq!(trips(&world, &mut seen), 1, "invalidate_many");
}

#[tokio::test]
async fn what_is_near_costs_none_and_only_the_rest_is_asked_for() {
    let world = World::new();
    let cache: Users = world.both().build().await.unwrap();
    let mut seen = 0;
    cache.insert_many([(1, 10), (2, 20)]).await.unwrap();
    trips(&world, &mut seen);
    cache.get(&1).await.unwrap();
    cache.get_many(&[1, 2]).await.unwrap();
    cache.contains_key(&2).await.unwrap();
    assert_eq!(trips(&world, &mut seen), 0);
    cache.get_many(&[1, 3, 2, 4]).await.unwrap();
    assert_eq!(trips(&world, &mut seen), 1);
}

#[tokio::test]
async fn a_batch_with_a_wrong_value_stores_nothing() {
    let world = World::new();
    let cache = world.bare::<String>().remote(world.remote());
    let cache = cache.max_value(100).build().await.unwrap();
    let values = [(1, "fits".to_owned()), (2, "x".repeat(200))];
    cache.insert_many(values).await.unwrap_err();
    assert!(cache.get(&1).await.unwrap().is_none());
    assert_eq!(world.store.calls(Op::Commit), 0);
}
