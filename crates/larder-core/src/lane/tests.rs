//! The lane against tables, and against every order in which a network can deliver a log.

use proptest::prelude::*;

use super::*;

const LIFE: u64 = 77;

fn at(seq: u64) -> Position {
    Position {
        incarnation: LIFE,
        seq,
    }
}

fn ms(ms: u64) -> Mono {
    Mono(ms * 1_000_000)
}

/// A lane that has polled at time 0 and stands at `seq`.
fn joined(seq: u64) -> Lane {
    let mut lane = Lane::default();
    let sent = lane.poll(ms(0));
    assert_eq!(lane.on_poll(sent, at(seq)), Answer::Resync);
    lane
}

#[test]
fn records_apply_in_order_and_once() {
    let mut lane = joined(5);
    assert_eq!(lane.on_record(at(6)), Arrival::Apply);
    assert_eq!(lane.on_record(at(6)), Arrival::Duplicate);
    assert_eq!(lane.on_record(at(3)), Arrival::Duplicate);
    assert_eq!(lane.position(), Some(at(6)));
}

#[test]
fn a_gap_is_named_and_closes_when_it_is_filled() {
    let mut lane = joined(5);
    assert_eq!(
        lane.on_record(at(8)),
        Arrival::ApplyAndReplay(Gap { first: 6, last: 7 })
    );
    assert_eq!(lane.on_record(at(8)), Arrival::Duplicate);
    assert_eq!(
        lane.on_record(at(7)),
        Arrival::ApplyAndReplay(Gap { first: 6, last: 6 })
    );
    assert_eq!(lane.on_record(at(6)), Arrival::Apply);
    assert_eq!(lane.position(), Some(at(8)));
}

#[test]
fn only_the_next_record_is_the_newest_that_is_known() {
    let mut lane = joined(5);
    assert!(lane.is_next(at(6)) && !lane.is_next(at(7)) && !lane.is_next(at(5)));
    let other = Position {
        incarnation: LIFE + 1,
        seq: 6,
    };
    assert!(!lane.is_next(other));
    lane.on_record(at(8));
    // One behind it was applied: what this one says of a key may be old.
    assert!(!lane.is_next(at(6)));
    lane.on_record(at(6));
    lane.on_record(at(7));
    assert!(lane.is_next(at(9)));
}

#[test]
fn far_behind_a_gap_only_so_many_records_are_remembered() {
    let mut lane = joined(0);
    let far = 2 + BEYOND as u64;
    for seq in 2..=far {
        lane.on_record(at(seq));
    }
    assert!(lane.has_seen(at(far - 1)) && !lane.has_seen(at(far)));
    assert!(!lane.has_seen(at(1)) && lane.has_seen(at(0)));
    assert!(matches!(
        lane.on_record(at(far)),
        Arrival::ApplyAndReplay(_)
    ));
}

#[test]
fn a_lease_counts_from_the_sending_of_the_poll_and_waits_for_all_it_mentions() {
    let mut lane = joined(5);
    assert_eq!(lane.lease_until(), ms(0).after(LEASE));
    let sent = lane.poll(ms(250));
    assert_eq!(
        lane.on_poll(sent, at(7)),
        Answer::Replay(Gap { first: 6, last: 7 })
    );
    assert_eq!(lane.lease_until(), ms(0).after(LEASE));
    lane.on_record(at(6));
    assert_eq!(lane.lease_until(), ms(0).after(LEASE));
    lane.on_record(at(7));
    assert_eq!(lane.lease_until(), ms(250).after(LEASE));
}

#[test]
fn the_lost_last_message_is_found_by_the_poll() {
    let mut lane = joined(5);
    let sent = lane.poll(ms(250));
    assert_eq!(
        lane.on_poll(sent, at(6)),
        Answer::Replay(Gap { first: 6, last: 6 })
    );
}

#[test]
fn an_older_answer_never_shortens_a_lease() {
    let mut lane = joined(5);
    let (first, second) = (lane.poll(ms(100)), lane.poll(ms(200)));
    lane.on_poll(second, at(5));
    lane.on_poll(first, at(5));
    assert_eq!(lane.lease_until(), ms(200).after(LEASE));
}

#[test]
fn another_life_of_the_shard_drops_everything() {
    let mut lane = joined(5);
    let before = lane.generation();
    let other = Position {
        incarnation: LIFE + 1,
        seq: 2,
    };
    assert_eq!(lane.on_record(other), Arrival::Resync);
    assert_ne!(lane.generation(), before);
    assert_eq!(lane.lease_until(), Mono(0));
    let sent = lane.poll(ms(300));
    assert_eq!(lane.on_poll(sent, other), Answer::Resync);
    assert_eq!(lane.position(), Some(other));
}

#[test]
fn a_log_that_became_shorter_drops_everything_but_a_late_answer_does_not() {
    let mut lane = joined(5);
    let sent = lane.poll(ms(100));
    lane.on_record(at(6));
    let generation = lane.generation();
    assert_eq!(
        lane.on_poll(sent, at(5)),
        Answer::Current,
        "it was true when it was sent"
    );
    assert_eq!(lane.generation(), generation);
    let sent = lane.poll(ms(300));
    assert_eq!(lane.on_poll(sent, at(3)), Answer::Resync);
    assert_ne!(lane.generation(), generation);
    assert_eq!(lane.position(), Some(at(3)));
}

#[test]
fn a_log_trimmed_beyond_the_gap_drops_everything_and_goes_on() {
    let mut lane = joined(5);
    let sent = lane.poll(ms(100));
    assert_eq!(
        lane.on_poll(sent, at(20)),
        Answer::Replay(Gap { first: 6, last: 20 })
    );
    let generation = lane.generation();
    lane.on_replay(Gap { first: 6, last: 20 }, 15);
    assert_ne!(lane.generation(), generation);
    assert_eq!(lane.position(), Some(at(14)));
    for seq in 15..=20 {
        assert_eq!(lane.on_record(at(seq)), Arrival::Apply);
    }
}

#[test]
fn a_gap_filled_meanwhile_is_no_reason_to_drop_anything() {
    let mut lane = joined(5);
    let gap = Gap { first: 6, last: 7 };
    assert_eq!(lane.on_record(at(8)), Arrival::ApplyAndReplay(gap));
    lane.on_record(at(6));
    lane.on_record(at(7));
    let generation = lane.generation();
    lane.on_replay(gap, 8);
    assert_eq!(lane.generation(), generation);
}

proptest! {
    /// Whatever is lost, doubled or reordered: once the polls and replays are through, every
    /// record was applied or everything was dropped, and no lease was given before.
    #[test]
    fn nothing_acknowledged_before_a_lease_is_ever_missing(
        steps in proptest::collection::vec((0u8..6, 1u64..40), 1..120),
    ) {
        let mut lane = joined(0);
        let mut log = 0u64;
        // The records applied, and up to where dropping everything made up for the others.
        let (mut applied, mut base, mut generation) = (BTreeSet::new(), 0u64, lane.generation());
        let mut now = 0;
        for (kind, number) in steps {
            now += 10;
            match kind {
                0 | 1 => log += number % 4,
                2 => {
                    let seq = 1 + number % log.max(1);
                    if seq <= log && lane.on_record(at(seq)) != Arrival::Duplicate {
                        applied.insert(seq);
                    }
                }
                _ => {
                    let sent = lane.poll(ms(now));
                    let answer = lane.on_poll(sent, at(log));
                    if let Answer::Replay(gap) = answer {
                        let oldest = if kind == 5 { gap.first + number % 8 } else { 1 };
                        lane.on_replay(gap, oldest.min(gap.last + 1));
                        if lane.generation() != generation {
                            generation = lane.generation();
                            base = lane.position().unwrap().seq;
                        }
                        for seq in gap.first.max(oldest)..=gap.last {
                            if lane.on_record(at(seq)) != Arrival::Duplicate {
                                applied.insert(seq);
                            }
                        }
                    }
                    prop_assert_eq!(lane.lease_until(), ms(now).after(LEASE));
                    let missing = (base + 1..=log).find(|seq| !applied.contains(seq));
                    prop_assert_eq!(missing, None);
                }
            }
        }
    }
}
