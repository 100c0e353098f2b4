//! Rows: what is dialled when.

use super::*;

fn at(ms: u64) -> Mono {
    Mono(ms * 1_000_000)
}

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn nobody(_: &NodeName) -> bool {
    false
}

/// The dials of the node `m`.
fn dials() -> Dials {
    Dials::new(name("m"))
}

fn due(dials: &mut Dials, ms: u64) -> Vec<String> {
    let due = dials.due(at(ms), nobody);
    due.iter().map(Address::to_string).collect()
}

#[test]
fn a_given_address_is_dialled_at_once_and_once_at_a_time() {
    let mut dials = dials();
    dials.name(&address("a:1"), Origin::Given, at(0));
    assert_eq!(due(&mut dials, 0), ["a:1"]);
    assert_eq!(due(&mut dials, 9_999), [""; 0]);
    dials.ended(
        &address("a:1"),
        Ended::Failed,
        None,
        false,
        (at(10_000), u64::MAX),
    );
    assert_eq!(due(&mut dials, 10_049), [""; 0]);
    assert_eq!(due(&mut dials, 10_050), ["a:1"]);
}

#[test]
fn pauses_grow_to_a_limit_and_a_call_ends_them() {
    let mut dials = dials();
    let a = address("a:1");
    dials.name(&a, Origin::Given, at(0));
    let mut now = 0;
    for _ in 0..12 {
        now += 2_000;
        assert_eq!(due(&mut dials, now), ["a:1"]);
        dials.ended(&a, Ended::Failed, None, false, (at(now), u64::MAX));
    }
    assert_eq!(due(&mut dials, now + 1_990), [""; 0]);
    dials.name(&a, Origin::Given, at(now + 1_990));
    assert_eq!(due(&mut dials, now + 1_990), ["a:1"]);
    dials.ended(&a, Ended::Failed, None, false, (at(now), 0));
    assert_eq!(
        due(&mut dials, now + 25),
        ["a:1"],
        "jitter takes up to a half"
    );
}

#[test]
fn who_is_linked_is_not_dialled_and_who_was_lost_is() {
    let mut dials = dials();
    let (a, n) = (address("a:1"), name("n"));
    dials.name(&a, Origin::Given, at(0));
    due(&mut dials, 0);
    dials.ended(&a, Ended::Linked, Some(&n), false, (at(0), 0));
    assert_eq!(dials.due(at(60_000), |who| *who == n), []);
    dials.lost(&n, false, at(60_000), u64::MAX);
    assert_eq!(due(&mut dials, 60_050), ["a:1"]);
    dials.ended(&a, Ended::Linked, Some(&n), false, (at(60_050), 0));
    dials.lost(&n, true, at(70_000), u64::MAX);
    assert_eq!(due(&mut dials, 79_999), [""; 0]);
    assert_eq!(due(&mut dials, 80_000), ["a:1"]);
}

#[test]
fn of_two_that_are_told_of_each_other_the_smaller_dials_first() {
    let mut dials = dials();
    dials.told(&name("z"), &address("z:1"), at(0));
    dials.told(&name("a"), &address("a:1"), at(0));
    dials.told(&name("m"), &address("m:1"), at(0));
    assert_eq!(due(&mut dials, 0), ["z:1"]);
    assert_eq!(due(&mut dials, 300), ["a:1"]);
    assert_eq!(due(&mut dials, 99_999), [""; 0]);
}

/// What others have told of may lead to a member by a way that its operator did not choose.
#[test]
fn of_a_configured_list_only_its_own_addresses_are_dialled() {
    let seats = [(name("z"), address("z:1")), (name("a"), address("a:1"))];
    let mut dials = Dials::fixed(name("m"), seats.into_iter(), at(0));
    dials.told(&name("z"), &address("detour:1"), at(0));
    dials.told(&name("x"), &address("x:1"), at(0));
    assert_eq!(due(&mut dials, 0), ["z:1"]);
    assert_eq!(due(&mut dials, 300), ["a:1"]);
    let a = address("a:1");
    for _ in 0..9 {
        dials.ended(&a, Ended::Failed, None, true, (at(0), u64::MAX));
    }
    assert_eq!(due(&mut dials, 5_000), [""; 0]);
    // Somebody sees it: its own address is tried sooner.
    dials.told(&name("a"), &address("detour:2"), at(5_000));
    assert_eq!(due(&mut dials, 7_000), ["a:1"]);
}

#[test]
fn refusals_and_this_node_itself_are_dialled_rarely() {
    let mut dials = dials();
    let (a, b) = (address("a:1"), address("b:1"));
    dials.name(&a, Origin::Given, at(0));
    dials.name(&b, Origin::Given, at(0));
    due(&mut dials, 0);
    dials.ended(&a, Ended::Refused, None, false, (at(0), u64::MAX));
    dials.ended(&b, Ended::Itself, None, false, (at(0), u64::MAX));
    assert_eq!(due(&mut dials, 1_599), [""; 0]);
    assert_eq!(due(&mut dials, 1_600), ["a:1"]);
    assert_eq!(due(&mut dials, 59_999), [""; 0]);
    assert_eq!(due(&mut dials, 60_000), ["b:1"]);
}

#[test]
fn what_the_name_service_no_longer_says_is_dropped_unless_somebody_else_named_it() {
    let mut dials = dials();
    let (a, b) = (address("a:1"), address("b:1"));
    dials.name(&a, Origin::Given, at(0));
    dials.resolved(&[], &[a.clone(), b.clone()], at(0));
    assert_eq!(due(&mut dials, 0), ["a:1", "b:1"]);
    dials.resolved(&[a.clone(), b.clone()], &[], at(1));
    // One that is being dialled goes when that has ended.
    for address in [&a, &b] {
        dials.ended(address, Ended::Failed, None, false, (at(1), 0));
    }
    assert_eq!(due(&mut dials, 9_999), ["a:1"]);
}

#[test]
fn the_forgotten_are_dropped_and_the_number_of_addresses_is_bounded() {
    let mut dials = dials();
    for n in 0..2 * MAX_ADDRESSES {
        let (name, address) = (name(&format!("z{n}")), address(&format!("z{n}:1")));
        dials.told(&name, &address, at(0));
    }
    assert_eq!(dials.targets.len(), MAX_ADDRESSES);
    dials.keep(|who| *who == name("z7"));
    assert_eq!(due(&mut dials, 0), ["z7:1"]);
}
