//! One load for many, among nodes, and what becomes of it when its node or its caller goes away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::{Near, Refusal, Source};
use larder_testkit::proxy::{Fault, Proxy, Traffic};
use tokio::sync::Barrier;

use super::{PATIENT, Place, Users, load, patient, read, reads, scenes, take_out, until};
use crate::support::{
    Loader, Oops, address, in_time, node_on, paused, paused_load, redis_at, server, spawn_load,
};

/// Blocking callers are threads with a runtime of their own, as code has that is not async itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s02_blocking_and_async_callers_share_one_load() {
    const EACH: usize = 20;
    for scene in scenes() {
        for is_led_by_a_thread in [false, true] {
            let [node] = scene.nodes().await;
            let loads = Arc::<AtomicU64>::default();
            let blocking = |loader: Loader<u64, u64>| {
                let node = node.clone();
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build();
                    *runtime
                        .unwrap()
                        .block_on(node.get_or_load(&1, loader))
                        .unwrap()
                })
            };
            let counted = || -> Loader<u64, u64> {
                let loads = loads.clone();
                Box::new(move |_| {
                    loads.fetch_add(1, Ordering::SeqCst);
                    Box::pin(std::future::ready(Ok(99)))
                })
            };
            let (first, mut loading) = paused();
            let (mut threads, mut tasks) = (Vec::new(), Vec::new());
            match is_led_by_a_thread {
                true => threads.push(blocking(first)),
                false => tasks.push(spawn_load(&node, 1, first)),
            }
            loading.begun().await;
            for _ in 0..EACH {
                threads.push(blocking(counted()));
                tasks.push(spawn_load(&node, 1, counted()));
            }
            until(async || node.stats().near.misses > 2 * EACH as u64).await;
            loading.answer(Ok(10));
            for task in tasks {
                assert_eq!(*in_time(task).await.unwrap().unwrap(), 10, "{}", scene.name);
            }
            for thread in threads {
                let value = tokio::task::spawn_blocking(|| thread.join().unwrap());
                assert_eq!(in_time(value).await.unwrap(), 10, "{}", scene.name);
            }
            assert_eq!(loads.load(Ordering::SeqCst), 0, "{}", scene.name);
            let _ = node.invalidate(&1).await.unwrap();
        }
    }
}

#[tokio::test]
async fn s04_the_server_is_asked_once_for_many_callers() {
    for scene in scenes() {
        let Place::Redis(server) = &scene.place else {
            continue;
        };
        let [node] = scene.nodes().await;
        let _ = scene.looking().await.insert(&1, 10).await.unwrap();
        let before = reads(server);
        let unused = |_| async { Err(Oops("not needed")) };
        let calls: Vec<_> = (0..100).map(|_| spawn_load(&node, 1, unused)).collect();
        for call in calls {
            assert_eq!(*in_time(call).await.unwrap().unwrap(), 10);
        }
        assert_eq!(reads(server) - before, 1);
    }
}

#[tokio::test]
async fn s09_ten_nodes_with_a_thousand_callers_each_load_once() {
    const NODES: usize = 10;
    const CALLERS: usize = 1_000;
    for scene in scenes() {
        let mut nodes = Vec::new();
        for _ in 0..NODES {
            let node = scene.bare().near(Near::bytes("1MiB"));
            nodes.push(node.build().await.unwrap());
        }
        let loads = Arc::<AtomicU64>::default();
        let start = Arc::new(Barrier::new(NODES * CALLERS));
        let mut calls = tokio::task::JoinSet::new();
        for caller in 0..NODES * CALLERS {
            let (node, loads, start) =
                (nodes[caller % NODES].clone(), loads.clone(), start.clone());
            calls.spawn(async move {
                start.wait().await;
                let loader = move |_| async move {
                    loads.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    Ok::<_, Oops>(10)
                };
                *node.get_or_load(&1, loader).await.unwrap()
            });
        }
        let values = tokio::time::timeout(PATIENT, calls.join_all())
            .await
            .unwrap();
        assert!(values.iter().all(|value| *value == 10), "{}", scene.name);
        assert_eq!(loads.load(Ordering::SeqCst), 1, "{}", scene.name);
    }
}

#[tokio::test]
async fn s10_the_load_of_a_node_that_is_cut_off_is_taken_over_and_comes_too_late() {
    take_out();
    let Some(server) = server() else { return };
    let lease = Duration::from_millis(600);
    let proxy = Proxy::to_port(server.port());
    let node = |address| node_on(redis_at(address)).lease(lease);
    let a = node(proxy.address()).build().await.unwrap();
    let b = node(address(&server)).build().await.unwrap();
    let (call, loading) = paused_load(&a, 1).await;
    // To the others it is dead: nobody renews its lease.
    proxy.set(Traffic::ALL, Fault::BlackHole);
    let began = tokio::time::Instant::now();
    assert_eq!(in_time(load(&b, 1, 20)).await, 20);
    assert!(began.elapsed() < lease * 3, "{:?}", began.elapsed());
    proxy.heal();
    loading.answer(Ok(10));
    assert_eq!(*in_time(call).await.unwrap().unwrap(), 10);
    assert_eq!(read(&b, 1).await, Some(20));
    until(async || {
        a.get(&1)
            .await
            .is_ok_and(|found| found.is_some_and(|v| *v == 20))
    })
    .await;
    let refused = |reason| {
        let all = a.stats().refused.into_iter();
        all.filter(|(of, _)| *of == reason)
            .map(|(_, n)| n)
            .sum::<u64>()
    };
    let late = [Refusal::LeaseRevoked, Refusal::LeaseLost, Refusal::Unproven];
    assert_eq!(late.map(refused).iter().sum::<u64>(), 1);
}

#[tokio::test]
async fn s11_a_load_three_times_as_long_as_its_lease_keeps_it() {
    take_out();
    let Some(server) = server() else { return };
    let lease = Duration::from_millis(1_500);
    let node = || node_on(patient(&server)).lease(lease);
    let a = node().build().await.unwrap();
    let b = node().build().await.unwrap();
    let (call, loading) = paused_load(&a, 1).await;
    let began = tokio::time::Instant::now();
    let waiting = spawn_load(&b, 1, |_| async { Ok(99) });
    until(async || began.elapsed() > lease * 3).await;
    assert!(!waiting.is_finished());
    loading.answer(Ok(10));
    assert_eq!(*in_time(call).await.unwrap().unwrap(), 10);
    let found = in_time(waiting).await.unwrap().unwrap();
    assert_eq!((*found, found.source()), (10, Source::Remote));
}

#[tokio::test]
async fn s13_a_caller_who_goes_away_leaves_no_lease_behind() {
    for scene in scenes() {
        let ([a, b], _): ([Users; 2], _) = scene.both().await;
        let (call, loading) = paused_load(&a, 1).await;
        call.abort();
        until(async || loading.is_dropped()).await;
        // Nobody waits for a lease to run out.
        let began = tokio::time::Instant::now();
        assert_eq!(in_time(load(&b, 1, 20)).await, 20, "{}", scene.name);
        assert!(began.elapsed() < Duration::from_secs(1), "{}", scene.name);

        let (call, loading) = paused_load(&a, 2).await;
        call.abort();
        until(async || loading.is_dropped()).await;
        if let Place::Redis(server) = &scene.place {
            until(async || server.cli(&["EXISTS", "app:users:2"]) == "0").await;
        }
        assert_eq!(read(&b, 2).await, None, "{}", scene.name);
    }
}
