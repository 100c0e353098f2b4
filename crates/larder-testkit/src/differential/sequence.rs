//! One sequence of random steps.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use larder_core::codec::CodecId;
use larder_core::runtime::Runtime;
use larder_core::store::Store;
use larder_redis::Redis;

use super::client::bytes;
use super::pair::{Halt, Pair};
use super::tee::{Shared, Tee};
use super::{commands, operations, snippets};
use crate::sim::{Random, SimRuntime, simulate};
use crate::simredis::{SimRedis, Writes};

const STEPS: u64 = 24;

/// Runs the sequence of a seed; gives the servers back, and what the sequence came to.
pub(super) fn run(seed: u64, pair: Pair) -> (Pair, Result<(), Halt>) {
    let shared = Arc::new(Mutex::new(pair));
    let steps = shared.clone();
    let ended = simulate(seed, move |runtime| async move {
        let mut random = runtime.fork_random();
        begin(&steps, &runtime, &mut random);
        let stores = stores(&steps, &runtime);
        if random.per_mille(700) {
            operations::begin_log(&*stores[0], &mut random).await;
        }
        for _ in 0..8 + random.below(STEPS) {
            step(&steps, &stores, &mut random).await;
            if lock(&steps).halted().is_some() {
                break;
            }
        }
        lock(&steps).compare()
    });
    let shared = Arc::into_inner(shared).expect("the stores are gone with their run");
    let pair = shared.into_inner().expect("a step does not panic");
    (pair, ended)
}

fn lock(shared: &Shared) -> std::sync::MutexGuard<'_, Pair> {
    shared.lock().expect("a step does not panic")
}

fn begin(shared: &Shared, runtime: &SimRuntime, random: &mut Random) {
    let hour = 3_600_000_000;
    let skew_us = match random.below(4) {
        0 => hour,
        1 => -hour,
        _ => 0,
    };
    let simulated = SimRedis::new(Arc::new(runtime.clone()));
    lock(shared).begin(simulated, skew_us);
}

/// One of each layout.
fn stores(shared: &Shared, runtime: &SimRuntime) -> [Arc<dyn Store>; 2] {
    let clock: Arc<dyn Runtime> = Arc::new(runtime.clone());
    let redis = Redis::open("redis://both").expect("this is an address");
    let redis = redis.over(Arc::new(Tee(shared.clone())));
    let plain = redis.clone().key_prefix("p:");
    [
        Arc::new(redis.store(clock.clone())),
        Arc::new(plain.plain_store(clock, CodecId::RAW)),
    ]
}

async fn step(shared: &Shared, stores: &[Arc<dyn Store>; 2], random: &mut Random) {
    match random.below(100) {
        0..40 => {
            let store = &stores[usize::from(random.per_mille(200))];
            operations::step(&**store, random).await;
        }
        40..80 => drop(lock(shared).run(&commands::command(random))),
        80..90 => {
            let mut pair = lock(shared);
            let calls = pair.calls();
            if calls.is_empty() {
                return;
            }
            let call = &calls[random.below(calls.len() as u64) as usize];
            let call = commands::changed(call, random);
            drop(pair.run(&call));
        }
        90..97 => drop(lock(shared).run(&snippets::call(random))),
        _ => happen(&mut lock(shared), random),
    }
}

/// Something happens to the servers.
fn happen(pair: &mut Pair, random: &mut Random) {
    match random.below(8) {
        0 => pair.set_full(true),
        1 => pair.set_writes(Writes::Replica),
        2 => pair.set_writes(Writes::NoReplicas),
        3 => drop(pair.run(&[bytes("SCRIPT"), bytes("FLUSH")])),
        4 => {
            let keys: Vec<Bytes> = pair.keys();
            let lost = keys.into_iter().filter(|_| random.below(2) == 0);
            let lost: Vec<Bytes> = lost.collect();
            pair.lose(&lost);
        }
        _ => {
            pair.set_full(false);
            pair.set_writes(Writes::Allowed);
        }
    }
}
