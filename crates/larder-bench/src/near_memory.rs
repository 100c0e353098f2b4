//! What a near entry costs beyond its key and value.

use larder::{Cache, Near};

use crate::counting;

const ENTRIES: u64 = 200_000;

pub(crate) fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime can be built");
    println!("{ENTRIES} entries u64 -> u64, bytes per entry beyond the 16 of key and value");
    println!("| candidate | bytes |");
    println!("|---|---|");
    let before = counting::held();
    let raw = quick_cache::sync::Cache::<u64, u64>::new(ENTRIES as usize);
    (0..ENTRIES).for_each(|key| raw.insert(key, key));
    report("quick_cache", before, raw.len() as u64);
    let before = counting::held();
    let moka = moka::sync::Cache::<u64, u64>::new(ENTRIES);
    (0..ENTRIES).for_each(|key| moka.insert(key, key));
    moka.run_pending_tasks();
    report("moka::sync", before, moka.entry_count());
    let before = counting::held();
    let cache = runtime.block_on(async {
        let builder = Cache::<u64, u64>::builder("bench:rows")
            .ttl("1h")
            .near(Near::bytes(1 << 30));
        let codec = larder::codec::Opaque;
        let cache = builder
            .codec(codec)
            .build()
            .await
            .expect("the settings are valid");
        for key in 0..ENTRIES {
            cache
                .insert(&key, key)
                .await
                .expect("a near insert cannot fail");
        }
        cache
    });
    report("larder", before, cache.stats().near.entries);
    println!(
        "larder counts {} bytes per entry",
        cache.stats().near.bytes / ENTRIES
    );
}

fn report(name: &str, before: u64, entries: u64) {
    let held = counting::held() - before;
    println!("| {name} | {:.0} |", held as f64 / entries as f64 - 16.0);
}
