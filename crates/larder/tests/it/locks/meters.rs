//! Limits of rates, and counters.

use std::time::Duration;

use larder::{ErrorKind, RateLimit};

use super::two;
use crate::support::World;

#[tokio::test]
async fn processes_share_a_limit() {
    let world = World::new();
    let (one, other) = two(&world).await;
    let limit = RateLimit::new(10, Duration::from_secs(1), 3).unwrap();
    for users in [&one, &other, &one] {
        assert!(users.rate_limit(&1, &limit).await.unwrap().is_allowed);
    }
    let refused = other.rate_limit(&1, &limit).await.unwrap();
    assert!(!refused.is_allowed);
    assert_eq!(refused.retry_after, Duration::from_millis(100));
    assert!(other.rate_limit(&2, &limit).await.unwrap().is_allowed);
    world.clock.advance(refused.retry_after).await;
    assert!(other.rate_limit(&1, &limit).await.unwrap().is_allowed);
    assert!(!one.rate_limit(&1, &limit).await.unwrap().is_allowed);
    let limits = one.rate_limits().unwrap();
    world.clock.advance(Duration::from_millis(250)).await;
    assert_eq!(limits.look(&1, &limit).await.unwrap().remaining, 2);
    let two = limits.request_of(&1, &limit, 2).await.unwrap();
    assert!(two.is_allowed && two.remaining == 0);
    let never = limits.request_of(&1, &limit, 4).await.unwrap_err();
    assert_eq!(never.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn counters_count_across_processes_and_end_with_their_window() {
    let world = World::new();
    let (one, other) = two(&world).await;
    let (here, there) = (one.counters().unwrap(), other.counters().unwrap());
    assert_eq!(here.add_for(&1, 2, "60s").await.unwrap(), 2);
    world.clock.advance(Duration::from_secs(40)).await;
    assert_eq!(there.add_for(&1, 3, "60s").await.unwrap(), 5);
    assert_eq!(here.get(&1).await.unwrap(), Some(5));
    world.clock.advance(Duration::from_secs(20)).await;
    assert_eq!(there.get(&1).await.unwrap(), None);
    assert_eq!(there.add(&1, -4).await.unwrap(), -4);
    drop(one.clear().await.unwrap());
    assert_eq!(there.reset(&1).await.unwrap(), Some(-4));
    assert_eq!(here.reset(&1).await.unwrap(), None);
}

#[tokio::test]
async fn a_counter_that_would_overflow_stays_as_it_is() {
    let world = World::new();
    let (one, _) = two(&world).await;
    let counters = one.counters().unwrap();
    assert_eq!(counters.add(&1, i64::MAX).await.unwrap(), i64::MAX);
    let error = counters.add(&1, 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(counters.get(&1).await.unwrap(), Some(i64::MAX));
}
