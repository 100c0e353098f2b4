//! Parts of a cache are invalidated at once, whatever they hold.

use bytes::Bytes;
use larder_core::area::{Area, Areas, Covered, MAX_AREAS, area_key};
use larder_core::record::Life;
use larder_core::space::Space;
use larder_core::store::{Fill, Lease, Put, Within, Write};
use larder_core::tag::Cut;

use super::subject::{LONG, Subject, bytes, fine, put_of, token};

/// Invalidates an area of a cache; gives its number.
pub(super) async fn void(subject: &Subject, cache: &str, area: Area) -> Cut {
    let key = area_key(cache);
    let key = std::str::from_utf8(&key)
        .expect("names are text")
        .to_owned();
    Cut(subject.write(&key, Write::Void(area)).await.version.0)
}

async fn areas(subject: &Subject, cache: &str) -> Areas {
    let cache = area_key(cache);
    fine(subject.tags().get_within(&[], &cache).await).1
}

fn prefix(text: &str) -> Area {
    Area::prefix(text.as_bytes()).expect("it is short")
}

fn pattern(text: &str) -> Area {
    Area::pattern(text.as_bytes()).expect("it is short")
}

fn of_cache(cache: &str, value: &str) -> Put {
    Put {
        within: Some(Within {
            cache: area_key(cache),
            checked: Cut::default(),
        }),
        ..put_of(value, Life::fresh_for_ms(LONG))
    }
}

async fn put(subject: &Subject, key: &str, value: &str) {
    subject.write(key, Write::Put(of_cache("c", value))).await;
}

async fn fill(subject: &Subject, key: &str, put: Put) -> Fill {
    let key = bytes(key);
    fine(subject.leases().fill(&key, token(1), put).await)
}

async fn cut_of_lease(subject: &Subject, key: &str) -> Cut {
    match subject.lease(key, 1).await {
        Lease::Granted { cut, .. } => cut,
        other => panic!("a lease of {key:?} was expected, and got: {other:?}"),
    }
}

/// Whether readers of the cache `c` may use what is stored under a key of its.
async fn is_usable(subject: &Subject, key: &str) -> bool {
    let keys = [bytes(key)];
    let (found, areas) = fine(subject.tags().get_within(&keys, &area_key("c")).await);
    let record = found
        .into_iter()
        .next()
        .and_then(|found| found.into_record());
    record.is_some_and(|record| !areas.cover(key.as_bytes(), record.cut))
}

/// What it covers is void, and only that.
pub async fn an_area_voids_what_it_covers(subject: &Subject) {
    for key in [
        "shoes:1",
        "shoes:2",
        "boots:1",
        "search:a:page:1",
        "search:a:page:12",
    ] {
        put(subject, key, "v").await;
        assert!(is_usable(subject, key).await, "{key}");
    }
    void(subject, "c", prefix("shoes:")).await;
    void(subject, "c", pattern("search:*:page:?")).await;
    for (key, usable) in [
        ("shoes:1", false),
        ("shoes:2", false),
        ("boots:1", true),
        ("search:a:page:1", false),
        ("search:a:page:12", true),
    ] {
        assert_eq!(is_usable(subject, key).await, usable, "{key}");
    }
    put(subject, "shoes:1", "new").await;
    assert!(is_usable(subject, "shoes:1").await, "it came after that");
}

/// Of a cache with a thousand records as of one with none.
pub async fn all_of_a_cache_is_void_at_once(subject: &Subject) {
    for n in 0..1_000 {
        put(subject, &n.to_string(), "v").await;
    }
    void(subject, "c", Area::ALL).await;
    for n in 0..1_000 {
        assert!(!is_usable(subject, &n.to_string()).await, "{n}");
    }
}

/// What expires with its cache is told apart from what is void, and a load that began before it is not
/// stored.
pub async fn all_of_a_cache_expires_at_once(subject: &Subject) {
    put(subject, "1", "v").await;
    let cut = cut_of_lease(subject, "2").await;
    void(subject, "c", Area::Expired).await;
    put(subject, "3", "v").await;
    let keys = ["1", "3"].map(bytes);
    let (found, areas) = fine(subject.tags().get_within(&keys, &area_key("c")).await);
    let covered = found.into_iter().zip(&keys).map(|(found, key)| {
        let record = found.into_record().expect("nothing was removed");
        areas.covered(key, record.cut)
    });
    assert_eq!(covered.collect::<Vec<_>>(), [Covered::Stale, Covered::Not]);
    let put = Put {
        cut,
        ..of_cache("c", "loaded")
    };
    let filled = fill(subject, "2", put).await;
    assert_eq!(filled, Fill::Raced(vec![area_key("c")]));
}

/// Numbers rise, and areas come back with them.
pub async fn areas_are_told_with_their_numbers(subject: &Subject) {
    put(subject, "k", "v").await;
    let mut expected = areas(subject, "c").await;
    let list = [
        prefix("a"),
        pattern("b*"),
        prefix("a"),
        pattern("\0\u{ff}[x-z]"),
    ];
    for area in list {
        let number = void(subject, "c", area.clone()).await;
        assert!(number > expected.latest(), "{number:?} in {expected:?}");
        expected.add(number, area);
        let told = areas(subject, "c").await;
        assert_eq!(told, expected);
    }
    assert_eq!(expected.areas.len(), 3);
}

/// Caches have areas of their own.
pub async fn areas_belong_to_one_cache(subject: &Subject) {
    put(subject, "k", "v").await;
    void(subject, "other", Area::ALL).await;
    void(subject, "c:d", Area::ALL).await;
    assert!(is_usable(subject, "k").await);
}

/// More of them than are kept: everything older is void, and nothing is forgotten.
pub async fn too_many_areas_are_one(subject: &Subject) {
    put(subject, "first", "v").await;
    void(subject, "c", prefix("first")).await;
    put(subject, "untouched", "v").await;
    for n in 0..MAX_AREAS {
        void(subject, "c", prefix(&format!("n{n}"))).await;
    }
    assert!(areas(subject, "c").await.areas.len() <= MAX_AREAS);
    assert!(!is_usable(subject, "first").await);
    assert!(!is_usable(subject, "untouched").await, "nobody can tell");
    put(subject, "first", "new").await;
    assert!(is_usable(subject, "first").await);
}

/// A load that began before an area was invalidated is not stored.
pub async fn a_fill_into_a_void_area_is_refused(subject: &Subject) {
    let cut = cut_of_lease(subject, "shoes:1").await;
    void(subject, "c", prefix("shoes:")).await;
    let put = Put {
        cut,
        ..of_cache("c", "loaded")
    };
    let filled = fill(subject, "shoes:1", put).await;
    assert_eq!(filled, Fill::Raced(vec![area_key("c")]));
    subject.assert_absent("shoes:1").await;
}

/// Whoever has seen that no area concerns the value may say so.
pub async fn a_fill_beside_void_areas_is_stored_when_it_was_checked(subject: &Subject) {
    let cut = cut_of_lease(subject, "boots:1").await;
    let checked = void(subject, "c", prefix("shoes:")).await;
    let within = Some(Within {
        cache: area_key("c"),
        checked,
    });
    let put = Put {
        cut,
        within,
        ..of_cache("c", "loaded")
    };
    let filled = fill(subject, "boots:1", put.clone()).await;
    assert!(
        matches!(filled, Fill::Stored { cut, .. } if cut >= checked),
        "{filled:?}"
    );
    assert!(is_usable(subject, "boots:1").await);
    // Of what came after it was checked nobody knows.
    subject.remove("boots:1").await;
    let cut = cut_of_lease(subject, "boots:1").await;
    void(subject, "c", prefix("sandals:")).await;
    let filled = fill(subject, "boots:1", Put { cut, ..put }).await;
    assert_eq!(filled, Fill::Raced(vec![area_key("c")]));
}

/// A record that its reader may not use does not keep others from loading.
pub async fn the_lease_of_a_void_record_is_to_be_had(subject: &Subject) {
    put(subject, "k", "void").await;
    let version = subject.record("k").await.version;
    let key = bytes("k");
    let ask = |number, void| subject.leases().lease(&key, token(number), LEASE, void);
    assert!(matches!(
        fine(ask(1, larder_core::Version::ZERO).await),
        Lease::Hit(_)
    ));
    let granted = fine(ask(1, version).await);
    assert!(
        matches!(granted, Lease::Granted { stale: None, .. }),
        "{granted:?}"
    );
    let taken = fine(ask(2, version).await);
    assert!(
        matches!(taken, Lease::Taken { stale: None, .. }),
        "{taken:?}"
    );
    subject.put("k", "new").await;
    assert!(matches!(fine(ask(2, version).await), Lease::Hit(hit) if hit.value == "new"));
}

const LEASE: std::time::Duration = std::time::Duration::from_secs(600);

/// Void records are released, and nothing else.
pub async fn only_void_records_are_reclaimed(subject: &Subject) {
    put(subject, "old", "v").await;
    put(subject, "leased", "v").await;
    let version = subject.record("leased").await.version;
    let key = bytes("leased");
    fine(subject.leases().lease(&key, token(1), LEASE, version).await);
    let number = void(subject, "c", Area::ALL).await;
    put(subject, "new", "v").await;
    let keys: Vec<Bytes> = ["old", "leased", "new", "absent"].map(bytes).into();
    let reclaimed = fine(subject.keyspace().reclaim(&keys, number).await);
    assert!((1..=2).contains(&reclaimed), "{reclaimed}");
    subject.assert_absent("old").await;
    assert!(is_usable(subject, "new").await);
    let put = Put {
        cut: number,
        ..of_cache("c", "loaded")
    };
    let filled = fill(subject, "leased", put).await;
    assert!(matches!(filled, Fill::Stored { .. }), "{filled:?}");
}

/// They are no keys of users.
pub async fn areas_are_in_no_space(subject: &Subject) {
    void(subject, "c", Area::ALL).await;
    assert_eq!(fine(subject.keyspace().count(&Space::default()).await), 0);
}
