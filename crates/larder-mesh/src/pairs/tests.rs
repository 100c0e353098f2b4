//! Rows, and every order in which two nodes that dial each other can come to a link.

use std::collections::BTreeSet;

use super::*;

const LIFE: Incarnation = Incarnation(1);
const NEXT_LIFE: Incarnation = Incarnation(2);

fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

fn of(me: &str) -> Pairs {
    Pairs::new(name(me))
}

/// Accepts a proof that came right after its challenge.
fn accept(
    pairs: &mut Pairs,
    from: &str,
    life: Incarnation,
    is_silent: bool,
) -> Result<Opened, Refusal> {
    let challenged = pairs.challenge();
    pairs.accept(&name(from), life, is_silent, challenged)
}

#[test]
fn a_second_greeting_with_the_same_life_is_a_duplicate() {
    let (mut pairs, b) = (of("a"), name("b"));
    let attempt = pairs.prove(&b, LIFE, false).unwrap();
    assert_eq!(pairs.prove(&b, LIFE, false), Err(Refusal::Duplicate));
    assert_eq!(pairs.welcomed(&b, LIFE, attempt).unwrap().replaced, None);
    assert_eq!(pairs.prove(&b, LIFE, false), Err(Refusal::Duplicate));
    assert_eq!(pairs.prove(&b, LIFE, true), Err(Refusal::Duplicate));
}

#[test]
fn the_smaller_name_keeps_its_own_dial_and_the_greater_gives_it_up() {
    let (mut a, mut b) = (of("a"), of("b"));
    let of_a = a.prove(&name("b"), LIFE, false).unwrap();
    let of_b = b.prove(&name("a"), LIFE, false).unwrap();
    assert_eq!(accept(&mut a, "b", LIFE, false), Err(Refusal::Duplicate));
    assert!(accept(&mut b, "a", LIFE, false).is_ok());
    assert!(a.welcomed(&name("b"), LIFE, of_a).is_ok());
    assert_eq!(b.welcomed(&name("a"), LIFE, of_b), Err(Refusal::Duplicate));
}

#[test]
fn a_proof_of_the_same_life_replaces_a_link_that_it_does_not_know_of() {
    let (mut pairs, b) = (of("a"), name("b"));
    let first = accept(&mut pairs, "b", LIFE, false).unwrap();
    let second = accept(&mut pairs, "b", LIFE, false).unwrap();
    assert_eq!(second.replaced, Some(first.number));
    // The end of the old one does not touch the new one.
    pairs.closed(&b, first.number);
    assert!(pairs.is_linked(&b));
    pairs.closed(&b, second.number);
    assert_eq!(pairs, Pairs { last: 4, ..of("a") });
}

#[test]
fn another_life_gets_the_name_once_the_holder_is_silent() {
    let (mut pairs, b) = (of("a"), name("b"));
    let old = accept(&mut pairs, "b", LIFE, false).unwrap();
    assert_eq!(
        accept(&mut pairs, "b", NEXT_LIFE, false),
        Err(Refusal::NameTaken)
    );
    assert_eq!(pairs.prove(&b, NEXT_LIFE, false), Err(Refusal::NameTaken));
    let new = accept(&mut pairs, "b", NEXT_LIFE, true).unwrap();
    assert_eq!(new.replaced, Some(old.number));
}

#[test]
fn a_failed_attempt_makes_room_and_a_late_failure_changes_nothing() {
    let (mut pairs, b) = (of("a"), name("b"));
    let first = pairs.prove(&b, LIFE, false).unwrap();
    pairs.failed(&b, first);
    let second = pairs.prove(&b, LIFE, false).unwrap();
    pairs.failed(&b, first);
    assert!(pairs.welcomed(&b, LIFE, second).is_ok());
}

/// Where a dial is. A wire is in order, so one step is under way at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Dial {
    /// Our hello is on its way.
    Begun,
    /// The acceptor's challenge is, of that moment of the acceptor.
    Challenged(Number),
    /// Our proof is.
    Proven(Number, Number),
    /// Their welcome is; they have this link.
    Welcomed(Number, Number),
    /// A refusal of our proof is.
    Refused(Number),
    /// Both have the link: ours, theirs.
    Open(Number, Number),
    Over,
}

/// Two nodes, `a` and `b`, each with one dial to the other.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct World {
    nodes: [Pairs; 2],
    dials: [Dial; 2],
}

impl World {
    /// Takes the next step of a dial; none if it has come to its end.
    fn step(&self, dial: usize) -> Option<World> {
        let mut world = self.clone();
        let (me, other) = (dial, 1 - dial);
        let names = [name("a"), name("b")];
        world.dials[dial] = match self.dials[dial] {
            Dial::Begun => Dial::Challenged(world.nodes[other].challenge()),
            Dial::Challenged(at) => match world.nodes[me].prove(&names[other], LIFE, false) {
                Ok(attempt) => Dial::Proven(at, attempt),
                Err(_) => Dial::Over,
            },
            Dial::Proven(at, attempt) => {
                match world.nodes[other].accept(&names[me], LIFE, false, at) {
                    Ok(opened) => {
                        world.replaced(other, opened.replaced);
                        Dial::Welcomed(attempt, opened.number)
                    }
                    Err(_) => Dial::Refused(attempt),
                }
            }
            Dial::Welcomed(attempt, theirs) => {
                match world.nodes[me].welcomed(&names[other], LIFE, attempt) {
                    Ok(opened) => {
                        world.replaced(me, opened.replaced);
                        Dial::Open(opened.number, theirs)
                    }
                    Err(_) => {
                        // We close the connection, and the other sees its end.
                        world.nodes[other].closed(&names[me], theirs);
                        Dial::Over
                    }
                }
            }
            Dial::Refused(attempt) => {
                world.nodes[me].failed(&names[other], attempt);
                Dial::Over
            }
            Dial::Open(..) | Dial::Over => return None,
        };
        Some(world)
    }

    /// With both nodes honest and the network sound nobody ever loses a link to another one.
    fn replaced(&self, node: usize, replaced: Option<Number>) {
        assert_eq!(replaced, None, "node {node} lost a link: {self:?}");
    }
}

#[test]
fn two_nodes_that_dial_each_other_end_with_one_link_in_every_order() {
    let start = World {
        nodes: [of("a"), of("b")],
        dials: [Dial::Begun; 2],
    };
    let mut seen = BTreeSet::new();
    let mut open = vec![start];
    let mut ends = 0;
    while let Some(world) = open.pop() {
        let next: Vec<World> = (0..2).filter_map(|dial| world.step(dial)).collect();
        if next.is_empty() {
            ends += 1;
            let links = world
                .dials
                .iter()
                .filter(|dial| matches!(dial, Dial::Open(..)));
            assert_eq!(links.count(), 1, "{world:?}");
            assert!(world.nodes[0].is_linked(&name("b")));
            assert!(world.nodes[1].is_linked(&name("a")));
        }
        open.extend(next.into_iter().filter(|world| seen.insert(world.clone())));
    }
    assert!(ends >= 2, "either dial can win: {ends}");
}
