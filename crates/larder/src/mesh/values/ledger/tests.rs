//! The order of replicated values, and what is left of it where memory ends.

use super::*;

fn at(counter: u64, node: u64) -> Stamp {
    let lane = LaneId {
        node: NodeId(node),
        boot: 1,
    };
    Stamp { counter, lane }
}

fn key(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn all(ledger: &Ledger) -> Vec<(Bytes, Stamp, Kind)> {
    let entries = ledger.behind(None);
    entries
        .map(|(key, entry)| (key.clone(), entry.stamp, entry.kind))
        .collect()
}

/// What `used` must be.
fn counted(ledger: &Ledger) -> usize {
    let keys = ledger.entries.keys().map(|key| ENTRY_COST + key.len());
    keys.sum::<usize>() + ledger.gone.len() * GONE_COST
}

#[test]
fn the_greater_stamp_stays_whatever_comes_first() {
    let writes = [
        (at(1, 1), Kind::Live),
        (at(2, 1), Kind::Absent),
        (at(2, 2), Kind::Live),
    ];
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let mut ledger = Ledger::default();
        for write in order {
            let (stamp, kind) = writes[write];
            ledger.accept(&key("k"), stamp, kind);
            assert!(!ledger.accept(&key("k"), stamp, kind), "twice");
        }
        let expected = [(key("k"), at(2, 2), Kind::Live)];
        assert_eq!(all(&ledger), expected, "{order:?}");
        assert_eq!(ledger.stamp(at(0, 3).lane), at(3, 3));
    }
}

#[test]
fn of_the_same_write_a_value_stays_before_none_and_its_end_before_the_value() {
    let mut ledger = Ledger::default();
    assert!(ledger.accept(&key("k"), at(5, 1), Kind::Unheld));
    assert!(ledger.accept(&key("k"), at(5, 1), Kind::Live));
    assert!(!ledger.accept(&key("k"), at(5, 1), Kind::Unheld));
    assert!(ledger.accept(&key("k"), at(5, 1), Kind::Absent));
    assert!(!ledger.accept(&key("k"), at(5, 1), Kind::Live));
}

#[test]
fn a_clear_takes_what_is_older_whenever_that_comes() {
    let mut ledger = Ledger::default();
    assert!(ledger.accept(&key("a"), at(1, 1), Kind::Live));
    assert!(ledger.accept(&key("b"), at(9, 1), Kind::Live));
    let kept = ledger.clear(&Space::default(), at(5, 2));
    assert_eq!(kept, Some(HashSet::from([key("b")])));
    assert!(!ledger.accept(&key("c"), at(4, 1), Kind::Live));
    assert!(ledger.accept(&key("c"), at(6, 1), Kind::Live));
    // The same again, an older one, and one that is part of it change nothing.
    assert_eq!(ledger.clear(&Space::default(), at(5, 2)), None);
    assert_eq!(ledger.clear(&Space::prefix(key("c")), at(5, 1)), None);
    assert!(ledger.clear(&Space::database(1), at(5, 1)).is_some());
    assert_eq!(all(&ledger).len(), 2);
}

#[test]
fn what_is_made_void_late_does_not_reach_newer_values() {
    let mut ledger = Ledger::default();
    ledger.accept(&key("a"), at(1, 1), Kind::Live);
    assert_eq!(ledger.newer(at(2, 1)), [""; 0]);
    ledger.accept(&key("b"), at(5, 1), Kind::Live);
    ledger.accept(&key("c"), at(6, 1), Kind::Absent);
    assert_eq!(ledger.newer(at(3, 1)), ["b"]);
    assert!(ledger.is_live(&key("b")) && !ledger.is_live(&key("c")));
}

#[test]
fn what_has_ended_by_itself_is_a_removal_and_what_is_lost_is_not() {
    let mut ledger = Ledger::default();
    for (count, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        ledger.accept(&key(name), at(count as u64 + 1, 1), Kind::Live);
    }
    ledger.ends(&key("b"), 7);
    for name in ["a", "d"] {
        ledger.ends(&key(name), 8);
    }
    for _ in 0..5 {
        ledger.sweep(1, 7, |key| key != "c");
    }
    let kinds: Vec<Kind> = all(&ledger).into_iter().map(|(_, _, kind)| kind).collect();
    assert_eq!(kinds, [Kind::Live, Kind::Absent, Kind::Unheld, Kind::Live]);
    let again = ledger.accept(&key("b"), at(1, 1), Kind::Live);
    assert!(!again, "it is remembered");
    assert_eq!(ledger.used, counted(&ledger));
}

#[test]
fn whatever_is_older_than_a_removal_that_was_forgotten_is_refused() {
    let limits = Limits {
        gone: 2,
        ..Limits::default()
    };
    let mut ledger = Ledger::within(limits);
    ledger.accept(&key("kept"), at(1, 1), Kind::Live);
    for (count, name) in ["a", "b", "c"].into_iter().enumerate() {
        ledger.accept(&key(name), at(count as u64 + 10, 1), Kind::Absent);
    }
    assert_eq!(ledger.floor(), at(10, 1));
    assert!(!ledger.accept(&key("a"), at(9, 2), Kind::Live), "revived");
    assert!(!ledger.accept(&key("unknown"), at(10, 1), Kind::Live));
    // What is known is younger than anything that was forgotten of it.
    assert!(ledger.accept(&key("kept"), at(2, 1), Kind::Live));
    assert!(ledger.accept(&key("new"), at(11, 1), Kind::Live));
    let named = |name: &Bytes| name == "kept";
    assert_eq!(
        ledger.unnamed(None, None, at(11, 1), named),
        [(key("new"), at(11, 1))]
    );
    assert_eq!(ledger.unnamed(None, Some(&key("m")), at(11, 1), named), []);
    assert_eq!(
        ledger.unnamed(Some(&key("new")), None, at(11, 1), named),
        []
    );
    assert_eq!(ledger.unnamed(None, None, at(10, 1), named), []);
}

#[test]
fn a_clear_that_was_forgotten_leaves_a_floor() {
    let limits = Limits {
        clears: 1,
        ..Limits::default()
    };
    let mut ledger = Ledger::within(limits);
    ledger.clear(&Space::prefix(key("a")), at(5, 1));
    ledger.clear(&Space::prefix(key("b")), at(7, 1));
    assert!(!ledger.accept(&key("a1"), at(4, 2), Kind::Live));
    assert!(ledger.accept(&key("a1"), at(6, 2), Kind::Live));
}

#[test]
fn what_is_not_held_stays_known_and_is_gone_for_nobody_else() {
    let limits = Limits {
        gone: 2,
        ..Limits::default()
    };
    let mut ledger = Ledger::within(limits);
    for (count, name) in ["a", "b"].into_iter().enumerate() {
        ledger.accept(&key(name), at(count as u64 + 5, 1), Kind::Live);
    }
    ledger.sweep(2, 0, |_| false);
    assert!(!ledger.accept(&key("a"), at(4, 1), Kind::Live), "older");
    assert_eq!(all(&ledger)[0], (key("a"), at(5, 1), Kind::Unheld));
    // Another has it.
    assert!(ledger.accept(&key("b"), at(6, 1), Kind::Live));
    // Even this is forgotten: nothing old comes back, and nobody is told that it is gone.
    for name in ["c", "d"] {
        ledger.accept(&key(name), at(9, 1), Kind::Absent);
    }
    assert!(!ledger.accept(&key("a"), at(4, 1), Kind::Live), "older");
    assert!(ledger.accept(&key("a"), at(6, 1), Kind::Live));
    assert_eq!(ledger.floor(), Stamp::ZERO);
    assert_eq!(ledger.used, counted(&ledger));
}

#[test]
fn what_is_gone_takes_no_more_than_its_part_of_the_memory() {
    let limits = Limits {
        bytes_gone: 25_000,
        ..Limits::default()
    };
    let mut ledger = Ledger::within(limits);
    for count in 0..10_000 {
        ledger.accept(&key(&format!("{count}")), at(count + 1, 1), Kind::Absent);
        assert!(ledger.used <= 25_000);
    }
    ledger.clear(&Space::default(), at(20_000, 1));
    assert_eq!((ledger.used, ledger.used_by_gone), (0, 0));
}
