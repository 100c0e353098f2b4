//! Writes that bear the token of a lock, in all tiers.

use std::time::Duration;

use larder::{ErrorKind, FencingToken, InsertOptions};

use super::{held, two};
use crate::support::{Op, Trouble, Users, World, found, settle};

async fn value(users: &Users, key: u64) -> Option<u64> {
    found(users.get(&key).await).map(|(value, _)| value)
}

#[tokio::test]
async fn a_holder_that_comes_late_changes_nothing_in_any_tier() {
    let world = World::new();
    let (one, other) = two(&world).await;
    let late = held(&one, 1).await;
    drop(one.insert_fenced(&1, 1, late.token()).await.unwrap());
    world.clock.advance(Duration::from_secs(9)).await;
    let next = held(&other, 1).await;
    drop(other.insert_fenced(&1, 2, next.token()).await.unwrap());
    let before = world.store.peek(1).await;
    let refused = one.insert_fenced(&1, 3, late.token()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Fenced);
    assert_eq!(world.store.peek(1).await, before);
    assert_eq!(value(&other, 1).await, Some(2));
    assert!(!late.release().await.unwrap());
    assert!(next.is_held());
    let counted = one.stats().errors;
    assert!(counted.contains(&(ErrorKind::Fenced, 1)), "{counted:?}");
    // No lock of this key, but a token that is not older.
    drop(other.insert_fenced(&1, 4, next.token()).await.unwrap());
    assert_eq!(value(&other, 1).await, Some(4));
}

#[tokio::test]
async fn a_fenced_value_is_kept_near_and_ends_as_it_was_told_to() {
    let world = World::new();
    let (one, _) = two(&world).await;
    let guard = held(&one, 1).await;
    let options = InsertOptions::new().ttl(Duration::from_secs(60));
    let inserted = one.insert_fenced_with(&1, 1, guard.token(), options);
    drop(inserted.await.unwrap());
    let asked = world.store.calls(Op::Get);
    assert_eq!(value(&one, 1).await, Some(1));
    assert_eq!(world.store.calls(Op::Get), asked, "it is near");
    world.clock.advance(Duration::from_secs(61)).await;
    assert_eq!(value(&one, 1).await, None);
    let nothing = InsertOptions::new().ttl(Duration::ZERO);
    let refused = one.insert_fenced_with(&1, 1, guard.token(), nothing).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_fenced_write_of_unknown_outcome_leaves_nothing_near() {
    let world = World::new();
    let (one, _) = two(&world).await;
    let guard = held(&one, 1).await;
    drop(one.insert_fenced(&1, 1, guard.token()).await.unwrap());
    world.store.hurt(Trouble::LosesReplies);
    one.insert_fenced(&1, 2, guard.token()).await.unwrap_err();
    world.store.heal();
    settle().await;
    assert_eq!(value(&one, 1).await, Some(2), "it is read again");
}

#[tokio::test]
async fn a_token_travels_as_a_number() {
    let world = World::new();
    let (one, other) = two(&world).await;
    let guard = held(&one, 1).await;
    let number = guard.token().get();
    let token = FencingToken::from_number(number);
    drop(other.insert_fenced(&1, 5, token).await.unwrap());
    let forged = FencingToken::from_number(number + 1);
    let refused = other.insert_fenced(&1, 6, forged).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Fenced);
    assert_eq!(value(&other, 1).await, Some(5));
}
