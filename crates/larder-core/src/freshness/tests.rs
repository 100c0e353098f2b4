//! Tables for freshness.

use bytes::Bytes;

use super::*;
use crate::codec::CodecId;
use crate::record::Kind;
use crate::tag::{Cut, Tags};
use crate::version::Version;

fn record(fresh_until: Option<u64>, expires_at: Option<u64>) -> Record {
    Record {
        kind: Kind::Value,
        version: Version(1),
        marked_stale: false,
        origin: 0,
        load_cost_ms: 0,
        created: Timestamp(0),
        fresh_until: fresh_until.map(Timestamp),
        expires_at: expires_at.map(Timestamp),
        codec: CodecId::RAW,
        schema: 0,
        tags: Tags::default(),
        cut: Cut(0),
        value: Bytes::new(),
    }
}

#[test]
fn ends_belong_to_the_next_state() {
    use Freshness::*;
    for (fresh, gone, now, expected) in [
        (None, None, u64::MAX, Fresh),
        (Some(10), Some(10), 9, Fresh),
        (Some(10), Some(10), 10, Expired),
        (Some(10), Some(20), 10, Stale),
        (Some(10), Some(20), 19, Stale),
        (Some(10), Some(20), 20, Expired),
    ] {
        assert_eq!(
            classify(&record(fresh, gone), Timestamp(now)),
            expected,
            "{fresh:?} {now}"
        );
    }
    let marked = Record {
        marked_stale: true,
        ..record(None, None)
    };
    assert_eq!(classify(&marked, Timestamp(0)), Stale);
}

#[test]
fn a_near_copy_never_outlives_the_record_nor_its_own_ttl() {
    let now = Mono(1_000_000_000);
    let store_now = Timestamp(100);
    let second = Duration::from_secs(1);
    let short = NearLife::of(&record(Some(150), Some(180)), store_now, now, second);
    assert_eq!(short.fresh_until, now.after(Duration::from_millis(50)));
    assert_eq!(short.usable_until, now.after(Duration::from_millis(80)));
    let long = NearLife::of(&record(None, None), store_now, now, second);
    assert_eq!(
        (long.fresh_until, long.usable_until),
        (now.after(second), Mono::MAX)
    );
    let gone = NearLife::of(&record(Some(10), Some(20)), store_now, now, second);
    assert_eq!(gone.classify(now), Freshness::Expired);
    let marked = Record {
        marked_stale: true,
        ..record(Some(500), Some(900))
    };
    assert_eq!(
        NearLife::of(&marked, store_now, now, second).classify(now),
        Freshness::Stale
    );
}

#[test]
fn jitter_only_shortens_and_at_most_by_its_percentage() {
    let ttl = Duration::from_secs(100);
    assert_eq!(jitter(ttl, 0, u64::MAX), ttl);
    assert_eq!(jitter(ttl, 10, 0), ttl);
    assert_eq!(jitter(ttl, 10, u64::MAX), Duration::from_secs(90));
    let middle = jitter(ttl, 10, u64::MAX / 2);
    assert!(
        middle > Duration::from_secs(94) && middle < Duration::from_secs(96),
        "{middle:?}"
    );
    assert_eq!(jitter(Duration::MAX, 100, 0), Duration::MAX);
}
