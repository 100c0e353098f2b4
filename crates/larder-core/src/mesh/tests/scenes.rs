//! Single stories, told step by step: those that take more members than can be searched.

use super::impatient;
use super::world::{Action, Checked, World};
use crate::mutant::{Mutant, activate};

use Action::{Break, Change, Connect, Deliver, Load, Pass, Poll, Restart, Store};

/// Delivers all that is under way among these members, until nothing is.
fn deliver_among(world: &mut World, members: &[usize]) -> Checked {
    loop {
        let head = world.heads().find_map(|(from, to, _)| {
            let is_among = members.contains(&from) && members.contains(&to);
            is_among.then_some((from, to))
        });
        let Some((from, to)) = head else {
            return Ok(());
        };
        world.act(Deliver(from, to))?;
    }
}

/// Five members. The first changes something; only the second logs it, votes, dies, and asks the
/// others what it may have known. Only then does the third log the change: with the dead vote it
/// would be a majority, which those do not know whom the reader asks.
fn dead_vote() -> Result<World, String> {
    let mut world = World::settled(5, impatient(5));
    for action in [
        Pass(1),
        Load(3),
        Store(3),
        Change(0),
        Deliver(0, 1),
        Deliver(1, 0),
    ] {
        world.act(action)?;
    }
    for action in [
        Break(0, 3),
        Break(3, 0),
        Break(0, 4),
        Break(4, 0),
        Restart(1),
    ] {
        world.act(action)?;
    }
    for other in [2, 3, 4] {
        world.act(Break(other, 1))?;
        world.act(Connect(1, other))?;
    }
    deliver_among(&mut world, &[1, 2, 3, 4])?;
    deliver_among(&mut world, &[0, 2])?;
    world.act(Pass(1))?;
    world.act(Poll(3))?;
    deliver_among(&mut world, &[1, 3, 4])?;
    Ok(world)
}

#[test]
fn the_vote_of_a_dead_life_does_not_complete_a_majority() {
    let mut world = dead_vote().unwrap();
    let reader = world.process(3);
    assert_eq!(
        (reader.polled, reader.flushes),
        (2, 1),
        "the restart is counted for nothing"
    );
    assert_eq!(reader.copy, Some(0));
    // The change is acknowledged in the end, by those who live.
    world.connect_all();
    world.deliver_all();
    assert_eq!(world.acknowledged(), Some(1));
    assert_eq!(world.process(3).copy, None);

    for rule in [Mutant::IgnoreRounds, Mutant::MetUntold] {
        let _active = activate(Some(rule));
        let broken = dead_vote().err().expect("the dead vote counts");
        assert!(broken.contains("member 3 uses 0"), "{rule:?}: {broken}");
    }
}

#[test]
fn a_rolling_restart_with_all_others_there_flushes_nobody() {
    let mut world = World::settled(3, impatient(3));
    let flushes: Vec<u64> = (0..3).map(|index| world.process(index).flushes).collect();
    for restarted in [0, 1, 2] {
        world.run(Change(restarted));
        world.deliver_all();
        world.run(Restart(restarted));
        world.connect_all();
        world.deliver_all();
        for reader in (0..3).filter(|reader| *reader != restarted) {
            world.run(Poll(reader));
            world.deliver_all();
            // A process that was restarted begins with nothing, and drops that once.
            let flushes = if reader < restarted {
                1
            } else {
                flushes[reader]
            };
            let process = world.process(reader);
            assert!(
                process.flushes <= flushes,
                "{reader} after the restart of {restarted}"
            );
            assert!(process.polled > 0);
        }
    }
}

#[test]
fn all_members_may_begin_at_once() {
    for members in 1..=5 {
        let world = World::settled(members, impatient(members));
        for index in 0..members {
            assert_eq!(world.process(index).polled, 1, "{index} of {members}");
        }
    }
}

#[test]
fn one_member_alone_is_a_majority_of_one_and_none_of_two() {
    let mut one = World::settled(1, impatient(1));
    one.all([Change(0), Poll(0)]);
    assert_eq!((one.acknowledged(), one.process(0).polled), (Some(1), 2));

    let mut two = World::settled(2, impatient(2));
    two.all([Break(0, 1), Break(1, 0), Change(0), Poll(0)]);
    assert_eq!((two.acknowledged(), two.process(0).polled), (None, 1));
    two.connect_all();
    two.deliver_all();
    assert_eq!((two.acknowledged(), two.process(0).polled), (Some(1), 2));
}

#[test]
fn of_two_members_the_one_that_was_restarted_learns_from_the_other() {
    let mut two = World::settled(2, impatient(2));
    let flushes = two.process(0).flushes;
    two.all([Change(0), Deliver(0, 1), Deliver(1, 0), Restart(1)]);
    two.connect_all();
    two.deliver_all();
    two.run(Poll(0));
    two.deliver_all();
    assert_eq!(
        (two.process(0).polled, two.process(0).flushes),
        (2, flushes)
    );
}
