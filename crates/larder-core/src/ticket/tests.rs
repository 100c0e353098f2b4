//! What tickets ask for, and their text.

use proptest::prelude::*;

use super::*;

const LANE: u64 = 1;
const KEY: u64 = 5;

fn at(incarnation: u64, seq: u64) -> Position {
    Position { incarnation, seq }
}

fn after(lane: u64, position: Position) -> Ticket {
    let mut ticket = Ticket::new();
    ticket.passed(lane, Some(position));
    ticket
}

fn allows(ticket: &Ticket, applied: Option<Position>) -> bool {
    ticket.is_reached(LANE, applied)
}

#[test]
fn a_copy_will_do_only_where_the_change_was_applied() {
    let ticket = after(LANE, at(7, 5));
    for (applied, expected) in [
        (None, false),
        (Some(at(7, 4)), false),
        (Some(at(7, 5)), true),
        (Some(at(7, 6)), true),
        // Another life: before or after that of the change, nobody knows.
        (Some(at(8, 0)), false),
        (Some(at(6, 99)), false),
    ] {
        assert_eq!(allows(&ticket, applied), expected, "{applied:?}");
    }
    assert!(allows(&Ticket::new(), None));
}

#[test]
fn a_change_that_no_log_tells_of_asks_for_the_remote_tier() {
    let mut ticket = after(LANE, at(7, 5));
    ticket.passed(LANE, None);
    for applied in [None, Some(at(7, 99)), Some(at(8, 0))] {
        assert!(!allows(&ticket, applied), "{applied:?}");
    }
    assert!(ticket.is_reached(2, None), "another lane's business");
    ticket.passed(LANE, Some(at(8, 1)));
    assert!(allows(&ticket, Some(at(8, 1))));
}

#[test]
fn what_other_lanes_have_passed_counts_where_it_is_the_same_log() {
    let ticket = after(2, at(7, 5));
    assert!(!allows(&ticket, Some(at(7, 4))), "the same shard");
    assert!(allows(&ticket, Some(at(7, 5))));
    assert!(allows(&ticket, Some(at(8, 0))), "another shard");
    assert!(allows(&ticket, None));
}

#[test]
fn nothing_older_than_what_was_read_will_do() {
    let mut ticket = Ticket::new();
    ticket.saw(KEY, Version(9));
    ticket.saw(KEY, Version(4));
    ticket.saw(KEY + 1, Version(99));
    assert_eq!(ticket.floor_of(KEY), Version(9));
    assert_eq!(ticket.floor_of(KEY + 2), Version::ZERO);
    let mut nothing = Ticket::new();
    nothing.saw(KEY, Version::ZERO);
    assert!(nothing.is_empty());
}

#[test]
fn a_later_life_takes_the_place_of_an_earlier_one_but_not_in_a_merge() {
    let mut ticket = after(LANE, at(7, 5));
    ticket.passed(LANE, Some(at(8, 1)));
    assert!(allows(&ticket, Some(at(8, 1))));
    let mut ticket = after(LANE, at(7, 5));
    ticket.merge(&after(LANE, at(8, 1)));
    // Which of the two is the later one is not known.
    assert!(!allows(&ticket, Some(at(8, 1))) && !allows(&ticket, Some(at(7, 5))));
}

#[test]
fn merging_takes_the_greater_of_both() {
    let mut ticket = after(LANE, at(7, 5));
    ticket.merge(&after(LANE, at(7, 3)));
    assert!(allows(&ticket, Some(at(7, 5))) && !allows(&ticket, Some(at(7, 4))));
    ticket.merge(&after(LANE, at(7, 9)));
    assert!(allows(&ticket, Some(at(7, 9))) && !allows(&ticket, Some(at(7, 8))));
}

#[test]
fn a_ticket_that_cannot_remember_a_place_asks_for_the_remote_tier() {
    let mut ticket = Ticket::new();
    for lane in 0..MAX_MARKS as u64 {
        ticket.passed(lane + 10, Some(at(lane + 1, 1)));
    }
    assert!(!ticket.is_strict() && allows(&ticket, None));
    ticket.passed(LANE, Some(at(7, 1)));
    assert!(ticket.is_strict() && !allows(&ticket, Some(at(7, 1))));
    let mut other = Ticket::new();
    other.merge(&ticket);
    assert!(!allows(&other, Some(at(7, 1))));
}

#[test]
fn of_the_keys_that_were_read_the_oldest_are_forgotten() {
    let mut ticket = Ticket::new();
    for key in 0..=MAX_FLOORS as u64 {
        ticket.saw(key, Version(5));
        ticket.saw(1, Version(5));
    }
    let is_known = |key| ticket.floor_of(key) == Version(5);
    assert!(!is_known(0) && is_known(1) && is_known(2));
}

/// The first version of the text, for ever.
#[test]
fn the_golden_text_is_written_and_read() {
    let mut ticket = after(lane_of("app:users"), at(7, 42));
    ticket.saw(key_of(b"app:users:1"), Version(1_700_000_000_000_000));
    let text = "AQABAeU_zpvmJ_7XAAAAAAAAAAcAAAAAAAAAKj7Zha9AP0-pAAYKJBgeQAA";
    assert_eq!(ticket.to_string(), text);
    assert_eq!(text.parse::<Ticket>().unwrap(), ticket);
    assert_eq!(Ticket::new().to_string(), "AQAAAA");
}

#[test]
fn the_largest_ticket_fits_and_what_is_longer_is_not_looked_at() {
    let mut ticket = Ticket::new();
    for n in 0..100 {
        ticket.passed(u64::MAX - n, Some(at(u64::MAX, n)));
        ticket.saw(u64::MAX - n, Version(u64::MAX));
    }
    let text = ticket.to_string();
    assert!(text.len() <= MAX_TEXT_BYTES, "{}", text.len());
    assert_eq!(text.parse::<Ticket>().unwrap(), ticket);
    assert!("A".repeat(MAX_TEXT_BYTES + 1).parse::<Ticket>().is_err());
}

#[test]
fn what_is_no_ticket_is_refused() {
    let good = after(LANE, at(7, 5)).to_string();
    for end in 0..good.len() {
        assert!(good[..end].parse::<Ticket>().is_err(), "{end}");
    }
    for text in [
        "", "A", "AQAAAA==", "AQAAAB", "AgAAAA", "AQIAAA", "AQAAAA ", "AQAN", "AQAB/w", "ü",
    ] {
        assert!(text.parse::<Ticket>().is_err(), "{text:?}");
    }
    assert!(format!("{good}A").parse::<Ticket>().is_err());
}

proptest! {
    #[test]
    fn any_text_is_read_without_harm_and_what_is_read_reads_back(text in "[A-Za-z0-9_-]{0,80}") {
        if let Ok(ticket) = text.parse::<Ticket>() {
            prop_assert_eq!(ticket.to_string().parse::<Ticket>().unwrap(), ticket);
        }
    }

    #[test]
    fn tickets_read_back(
        marks in prop::collection::vec(any::<(u64, u64, u64)>(), 0..20),
        floors in prop::collection::vec(any::<(u64, u64)>(), 0..40),
    ) {
        let mut ticket = Ticket::new();
        for (lane, incarnation, seq) in marks {
            ticket.passed(lane, Some(at(incarnation, seq)));
        }
        for (key, version) in floors {
            ticket.saw(key, Version(version));
        }
        prop_assert_eq!(ticket.to_string().parse::<Ticket>().unwrap(), ticket);
    }

    #[test]
    fn a_merged_ticket_allows_only_what_both_allow(
        ones in prop::collection::vec((0..3_u64, 0..3_u64, 0..4_u64), 0..5),
        others in prop::collection::vec((0..3_u64, 0..3_u64, 0..4_u64), 0..5),
        applied in (0..3_u64, 0..4_u64),
        copy in 0..4_u64,
    ) {
        let ticket = |steps: Vec<(u64, u64, u64)>| {
            let mut ticket = Ticket::new();
            for (lane, incarnation, seq) in steps {
                ticket.passed(lane, Some(at(incarnation, seq)));
                ticket.saw(lane, Version(seq));
            }
            ticket
        };
        let (one, other) = (ticket(ones), ticket(others));
        let mut both = one.clone();
        both.merge(&other);
        let applied = Some(at(applied.0, applied.1));
        for lane in 0..3 {
            let allows = |ticket: &Ticket| {
                ticket.is_reached(lane, applied) && ticket.floor_of(lane) <= Version(copy)
            };
            prop_assert_eq!(allows(&both), allows(&one) && allows(&other));
        }
    }
}
