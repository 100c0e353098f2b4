//! How long a message takes, printed; bounded only as loosely as a busy machine needs.

use std::time::{Duration, Instant};

use bytes::Bytes;
use larder_mesh::{Event, Tls};

use crate::support::{World, config, joining, wait_all_alive};

const ROUNDS: usize = 2_000;

#[test]
#[allow(clippy::disallowed_methods, reason = "real time is what is measured")]
fn a_message_takes_microseconds_to_another_node_and_back() {
    for tls in [Tls::Secret, Tls::Off] {
        let world = World::new();
        let mut first = config("a");
        first.tls = tls.clone();
        let (a, mut heard_by_a) = world.start_deaf(first);
        let mut second = joining("b", &[&a.address()]);
        second.tls = tls.clone();
        let (b, mut heard_by_b) = world.start_deaf(second);
        let echo = b.mesh.clone();
        world.runtime.spawn(async move {
            while let Some(event) = heard_by_b.next().await {
                if let Event::Message { peer, bytes } = event {
                    let _ = echo.send(peer, bytes);
                }
            }
        });
        wait_all_alive(&[&a, &b]);
        let to = a.peer("b").unwrap();
        let mesh = a.mesh.clone();
        let task = world.runtime.spawn(async move {
            let mut times = Vec::new();
            for _ in 0..ROUNDS {
                let sent = Instant::now();
                mesh.send(to, Bytes::from(vec![7; 100])).unwrap();
                while !matches!(heard_by_a.next().await, Some(Event::Message { .. })) {}
                times.push(sent.elapsed());
            }
            times
        });
        let mut times = world.runtime.block_on(task).unwrap();
        times.sort();
        let [p50, p99] = [50, 99].map(|percent| times[ROUNDS * percent / 100] / 2);
        println!("one way, half of there and back, {tls:?}: p50 {p50:?}, p99 {p99:?}");
        assert!(p50 < Duration::from_millis(20), "{p50:?}");
    }
}
