//! One of the processes whose readers ask for the key at once.
//!
//! It is told `<key> <readers> <instant>`, and answers `<loads> <end of its load or 0> <value or -
//! if its readers got different ones>` and then the instant of each answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use larder::redis::Redis;
use larder::{Cache, Near};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::watch;

use super::{LOAD, Said};
use crate::crew::{say, wait_until};
use crate::measure::{instant, runtime};

/// The place of a process that has nothing in common with the others.
pub(super) const ALONE: &str = "alone";

pub(crate) fn run(place: &str, ttl: &str) {
    let ttl = Duration::from_secs(ttl.parse().expect("a number of seconds"));
    let served = serve(place.to_owned(), ttl);
    let served = runtime().block_on(async { tokio::spawn(served).await });
    served.expect("nothing goes wrong");
}

async fn serve(place: String, ttl: Duration) {
    let builder = Cache::builder("bench:storm").ttl(ttl);
    let builder = builder.near(Near::bytes("16MiB"));
    let builder = match &*place {
        ALONE => builder,
        url => builder.remote(Redis::open(url).expect("the address is sound")),
    };
    let cache = builder.build().await.expect("the settings are valid");
    let mut told = BufReader::new(tokio::io::stdin()).lines();
    say("ready");
    while let Ok(Some(line)) = told.next_line().await {
        let mut words = line.split(' ').map(|word| word.parse().expect("a number"));
        let mut word = || words.next().expect("three numbers");
        let said = round(&cache, word(), word(), word() as i64).await;
        let value = said.value.map_or("-".to_owned(), |value| value.to_string());
        let mut answer = format!("{} {} {value}", said.loads, said.loaded_at);
        for answered in said.answered {
            answer.push(' ');
            answer.push_str(&answered.to_string());
        }
        say(&answer);
    }
}

#[derive(Default)]
struct Loads {
    count: AtomicU64,
    ended: AtomicI64,
}

async fn round(cache: &Cache<u64, u64>, key: u64, readers: u64, begin: i64) -> Said {
    let loads = Arc::<Loads>::default();
    let (gate, at_gate) = watch::channel(());
    let readers: Vec<_> = (0..readers)
        .map(|_| {
            let (cache, loads, mut gate) = (cache.clone(), loads.clone(), at_gate.clone());
            tokio::spawn(async move {
                gate.changed().await.expect("it is opened");
                let loaded = cache.get_or_load(&key, move |_| async move {
                    tokio::time::sleep(LOAD).await;
                    let now = instant();
                    loads.count.fetch_add(1, Ordering::Relaxed);
                    loads.ended.store(now, Ordering::Relaxed);
                    Ok::<_, Infallible>(now as u64)
                });
                let value = loaded.await.expect("the loader has no error").into_value();
                (value, instant())
            })
        })
        .collect();
    wait_until(begin).await;
    gate.send_replace(());
    let (mut values, mut answered) = (Vec::new(), Vec::new());
    for reader in readers {
        let (value, at) = reader.await.expect("no reader panics");
        values.push(value);
        answered.push(at);
    }
    values.dedup();
    Said {
        loads: loads.count.load(Ordering::Relaxed),
        loaded_at: loads.ended.load(Ordering::Relaxed),
        value: values.first().copied().filter(|_| values.len() == 1),
        answered,
    }
}
