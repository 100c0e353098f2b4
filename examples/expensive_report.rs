//! An expensive report: made again before it ends, by one reader for all, while everybody reads the one
//! that is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use larder::{Cache, LoadLimit, Near, Refresh, Source, Timeouts};

/// What takes the database half a minute in earnest.
async fn make_report(month: &str, edition: u32) -> Result<String, std::io::Error> {
    tokio::time::sleep(Duration::from_millis(60)).await;
    Ok(format!("report of {month}, edition {edition}"))
}

async fn build() -> Result<Cache<String, String>, larder::Error> {
    Cache::builder("app:reports")
        .ttl("400ms")
        .stale_for("1h")
        .near(Near::bytes("64MiB"))
        // From half of its life on, a read begins the next edition and gets this one. After a quiet
        // time, when the report has ended, the same.
        .refresh(Refresh::after(0.5).and_stale())
        // Nobody ever waits longer than this, not even for the first one.
        .timeouts(Timeouts::new().hard("5s"))
        // If that fails, the database is left alone for a while.
        .throttle("10s")
        // However many reports are asked for: the database makes two at once.
        .load_limit(LoadLimit::new(2).queue(100).queue_for("4s"))
        .build()
        .await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let reports = build().await?;
    let editions = Arc::new(AtomicU32::new(0));
    let (mut reads, mut waited) = (0, 0);
    let began = tokio::time::Instant::now();
    while began.elapsed() < Duration::from_millis(1_200) {
        let editions = editions.clone();
        let report = reports
            .get_or_load("2026-11", move |cx| async move {
                let edition = editions.fetch_add(1, Ordering::Relaxed) + 1;
                make_report(cx.key(), edition).await
            })
            .await?;
        reads += 1;
        if report.source() == Source::Loaded {
            waited += 1;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let editions = editions.load(Ordering::Relaxed);
    println!("{reads} reads, {editions} editions, {waited} of the readers waited for one");
    assert!(editions > 1 && waited == 1);
    Ok(())
}
