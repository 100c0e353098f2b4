//! Rows: what a table of members says after silence, returns and goodbyes.

use super::*;

const PATIENCE: Patience = Patience {
    suspect: Duration::from_millis(1250),
    gone: Duration::from_secs(10),
    forget: Duration::from_secs(3600),
};
const LIFE: Incarnation = Incarnation(1);

fn at(ms: u64) -> Mono {
    Mono(ms * 1_000_000)
}

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// A table that has heard `b` at 0.
fn with_b() -> Members {
    let mut members = Members::learned(PATIENCE);
    let changes = members.up(&name("b"), LIFE, address("b:1"), at(0));
    assert_eq!(states(&changes), [State::Alive]);
    members
}

fn states(changes: &[Change]) -> Vec<State> {
    changes.iter().map(|change| change.state).collect()
}

fn state(members: &Members, of: &str) -> Option<State> {
    members.get(&name(of)).map(|member| member.state)
}

#[test]
fn silence_is_told_twice_and_each_once() {
    let mut members = with_b();
    assert_eq!(members.tick(at(1249)), []);
    assert_eq!(states(&members.tick(at(1250))), [State::Suspect]);
    assert_eq!(members.tick(at(1300)), []);
    assert_eq!(states(&members.tick(at(10_000))), [State::Gone]);
    assert_eq!(members.tick(at(11_000)), []);
}

#[test]
fn a_suspect_that_is_heard_is_alive_again() {
    let mut members = with_b();
    members.tick(at(2_000));
    // What was read long ago is no sign of life now.
    assert_eq!(members.heard(&name("b"), at(500), at(2_000)), None);
    let change = members.heard(&name("b"), at(2_010), at(2_020)).unwrap();
    assert_eq!(change.state, State::Alive);
    assert_eq!(members.tick(at(3_000)), []);
}

#[test]
fn a_broken_link_makes_suspect_and_a_goodbye_makes_gone() {
    let mut members = with_b();
    assert_eq!(
        members.lost(&name("b"), at(5)).unwrap().state,
        State::Suspect
    );
    assert_eq!(members.lost(&name("b"), at(6)), None);
    assert_eq!(members.left(&name("b"), at(7)).unwrap().state, State::Gone);
    // The link of one that has left breaks too; that is no news.
    assert_eq!(members.lost(&name("b"), at(8)), None);
}

#[test]
fn another_incarnation_is_another_life() {
    let mut members = with_b();
    let again = members.up(&name("b"), LIFE, address("b:1"), at(10));
    assert_eq!(again, []);
    let changes = members.up(&name("b"), Incarnation(2), address("b:2"), at(20));
    assert_eq!(states(&changes), [State::Gone, State::Alive]);
    assert_eq!(changes[0].incarnation, Some(LIFE));
    assert_eq!(changes[1].incarnation, Some(Incarnation(2)));
    assert_eq!(members.get(&name("b")).unwrap().address, address("b:2"));
}

#[test]
fn who_is_gone_for_long_is_forgotten_unless_configured() {
    let mut members = with_b();
    members.tick(at(10_000));
    members.tick(at(10_000 + 3_599_999));
    assert_eq!(state(&members, "b"), Some(State::Gone));
    members.tick(at(10_000 + 3_600_000));
    assert_eq!(state(&members, "b"), None);
    let seats = [(name("c"), address("c:1"))].into_iter();
    let mut fixed = Members::fixed(PATIENCE, seats, at(0));
    assert_eq!(states(&fixed.tick(at(10_000))), [State::Gone]);
    fixed.tick(at(10_000_000));
    assert_eq!(state(&fixed, "c"), Some(State::Gone));
}

#[test]
fn a_fixed_list_admits_nobody_else_and_knows_its_majority() {
    for (others, majority) in [(0, 1), (1, 2), (2, 2), (3, 3), (4, 3), (5, 4)] {
        let seats = (0..others).map(|n| (name(&format!("n{n}")), address("h:1")));
        let mut fixed = Members::fixed(PATIENCE, seats, at(0));
        assert_eq!(fixed.majority(), Some(majority), "{others} others");
        assert_eq!(fixed.admits(&name("x")), Admits::NotListed);
        fixed.learn(&name("x"), &address("x:1"), at(0));
        assert_eq!(fixed.iter().count(), others);
    }
    assert_eq!(with_b().majority(), None);
}

#[test]
fn a_table_never_grows_beyond_its_bound_and_the_gone_make_room() {
    let mut members = Members::learned(PATIENCE);
    for n in 0..MAX_MEMBERS + 10 {
        members.learn(&name(&format!("n{n}")), &address("h:1"), at(n as u64));
    }
    assert_eq!(members.iter().count(), MAX_MEMBERS);
    assert_eq!(members.admits(&name("late")), Admits::Full);
    members.left(&name("n7"), at(1_000));
    members.left(&name("n3"), at(2_000));
    assert_eq!(members.admits(&name("late")), Admits::Yes);
    members.up(&name("late"), LIFE, address("h:2"), at(3_000));
    assert_eq!(
        (state(&members, "n7"), state(&members, "late")),
        (None, Some(State::Alive))
    );
}

#[test]
fn what_is_only_told_is_suspect_and_does_not_change_who_is_heard() {
    let mut members = with_b();
    members.learn(&name("b"), &address("elsewhere:1"), at(1));
    members.learn(&name("c"), &address("c:1"), at(1));
    assert_eq!(members.get(&name("b")).unwrap().address, address("b:1"));
    assert_eq!(state(&members, "c"), Some(State::Suspect));
    assert!(members.is_silent(&name("c"), at(1)) && !members.is_silent(&name("b"), at(1)));
}

#[test]
fn a_node_that_stood_still_does_not_blame_others() {
    let mut members = with_b();
    members.forgive(Duration::from_secs(30), at(30_100));
    assert_eq!(members.tick(at(30_100)), []);
    assert_eq!(states(&members.tick(at(31_250))), [State::Suspect]);
}
