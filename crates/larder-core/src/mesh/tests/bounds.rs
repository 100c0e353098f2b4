//! What a peer can make grow has a bound, and going beyond it costs copies, never a promise.

use super::super::*;
use super::world::node;

fn lane(index: usize, boot: u64) -> LaneId {
    LaneId {
        node: node(index),
        boot,
    }
}

/// The first of three members, connected to the second.
fn member(records: usize) -> Mesh {
    let members = (0..3).map(node).collect();
    let settings = Settings {
        records,
        patience: Duration::ZERO,
        ..Settings::new(Membership::Configured(members))
    };
    let mut mesh = Mesh::new(lane(0, 1), settings);
    mesh.up(Mono(0), node(1), 1);
    mesh
}

fn outputs(mesh: &mut Mesh) -> Vec<Output> {
    std::iter::from_fn(|| mesh.next_output()).collect()
}

fn record(lane: LaneId, seq: u64) -> Message {
    Message::Records {
        lane,
        first: seq,
        round: 0,
        records: vec![Bytes::from_static(b"record")],
    }
}

#[test]
fn lanes_beyond_the_bound_are_forgotten_and_that_is_said() {
    let mut mesh = member(LOG_LENGTH);
    let lanes = copies::MAX_LANES as u64;
    for boot in 0..lanes + 100 {
        mesh.received(Mono(0), node(1), record(lane(2, boot), 1));
        let told = outputs(&mut mesh);
        let forgets = told.contains(&Output::Notice(Notice::Forgot));
        assert_eq!(forgets, boot >= lanes, "{boot}");
    }
    assert_eq!(mesh.sizes().0, copies::MAX_LANES);
    assert_eq!(mesh.positions().len(), copies::MAX_LANES);
    mesh.received(Mono(0), node(1), Message::Ask { nonce: 1 });
    let told = outputs(&mut mesh);
    let says = |output: &Output| matches!(output, Output::Send(_, Message::Answer(answer)) if answer.forgot == 100);
    assert!(told.iter().any(says), "{told:?}");
}

#[test]
fn a_member_that_has_forgotten_is_counted_for_the_first_time_again() {
    let mut mesh = member(LOG_LENGTH);
    let mut flushes = Vec::new();
    for forgot in [0, 0, 1, 1] {
        let poll = mesh.poll(Mono(0)).unwrap();
        let answer = Answer {
            nonce: poll.0,
            forgot,
            claim: Vec::new(),
            have: Vec::new(),
        };
        mesh.received(Mono(0), node(1), Message::Answer(answer));
        let told = outputs(&mut mesh);
        assert!(told.contains(&Output::PollDone {
            poll,
            sent: Mono(0)
        }));
        flushes.push(told.contains(&Output::Flush(FlushReason::NewLife(lane(1, 1)))));
    }
    assert_eq!(flushes, [true, false, true, false]);
}

#[test]
fn records_beyond_a_gap_are_applied_once_and_kept_within_bounds() {
    let mut mesh = member(100);
    let mut applied = 0;
    for seq in 2..10_000 {
        mesh.received(Mono(0), node(1), record(lane(1, 1), seq));
        let is_applied = |output: &&Output| matches!(output, Output::Apply { .. });
        applied += outputs(&mut mesh).iter().filter(is_applied).count();
    }
    assert_eq!(applied, 9_998);
    let (_, records, bytes) = mesh.sizes();
    assert!(records <= 100 && bytes <= 600, "{records} {bytes}");
    assert_eq!(mesh.positions(), []);
    mesh.received(Mono(0), node(1), record(lane(1, 1), 1));
    assert!(mesh.positions()[0].1 > 4_000);
}

#[test]
fn too_much_at_once_is_refused() {
    let mut mesh = member(100);
    for _ in 0..MAX_POLLS {
        assert!(mesh.poll(Mono(0)).is_ok());
    }
    assert_eq!(mesh.poll(Mono(0)), Err(Refused::Full));
    for seq in 1..=MAX_WAITING as u64 {
        assert_eq!(mesh.append(Mono(0), Bytes::new()), Ok(seq));
    }
    assert_eq!(mesh.append(Mono(0), Bytes::new()), Err(Refused::Full));
    outputs(&mut mesh);
    // Their time ends, and there is room again.
    mesh.tick(Mono(0).after(Duration::from_secs(2)));
    let told = outputs(&mut mesh);
    let is_over = |output: &&Output| matches!(output, Output::TimedOut { .. });
    assert_eq!(told.iter().filter(is_over).count(), MAX_WAITING);
    let is_failed = |output: &&Output| matches!(output, Output::PollFailed { .. });
    assert_eq!(told.iter().filter(is_failed).count(), MAX_POLLS);
    assert!(mesh.append(Mono(0), Bytes::new()).is_ok());
}

#[test]
fn strangers_are_not_listened_to() {
    let mut mesh = member(100);
    outputs(&mut mesh);
    mesh.up(Mono(0), node(7), 1);
    let stranger = Output::Notice(Notice::Stranger(node(7)));
    assert_eq!(outputs(&mut mesh), [stranger]);
    mesh.received(Mono(0), node(7), Message::Ask { nonce: 1 });
    assert_eq!(outputs(&mut mesh), []);
}
