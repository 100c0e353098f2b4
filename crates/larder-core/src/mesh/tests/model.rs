//! Every order of events in small worlds, searched to the end.

use std::collections::HashSet;
use std::rc::Rc;
use std::time::Duration;

use super::impatient;
use super::world::{Action, World};
use crate::mesh::{Message, Settings};
use crate::mutant::{Mutant, activate};

/// How often each thing may happen, and to whom.
#[derive(Clone, Copy, Hash, Debug)]
struct Budget {
    changes: u8,
    polls: u8,
    loads: u8,
    restarts: u8,
    breaks: u8,
    passes: u8,
    ticks: u8,
}

/// A world in which to search: who changes, who reads, who is restarted.
#[derive(Clone, Copy)]
struct Scope {
    writer: usize,
    reader: usize,
    victim: usize,
    budget: Budget,
}

/// How a world came to be.
struct Step {
    action: Action,
    before: Option<Rc<Step>>,
}

#[derive(Debug)]
struct Found {
    states: usize,
    /// The first broken promise, with what led to it.
    broken: Option<String>,
}

/// Looks at every state that can be reached, once; stops at the first broken promise.
fn search(start: World, scope: Scope) -> Found {
    search_most(start, scope, usize::MAX)
}

/// The same, for so many states at most.
fn search_most(start: World, scope: Scope, most: usize) -> Found {
    let mut seen = HashSet::new();
    let mut stack = vec![(start, scope.budget, None::<Rc<Step>>)];
    while let Some((world, budget, steps)) = stack.pop() {
        if seen.len() > most {
            break;
        }
        for (action, left) in choices(&world, scope, budget) {
            let mut next = world.clone();
            let step = Rc::new(Step {
                action,
                before: steps.clone(),
            });
            if let Err(broken) = next.act(action) {
                let broken = Some(format!("{broken}\n{}", tell(&step)));
                return Found {
                    states: seen.len(),
                    broken,
                };
            }
            skip_idle(&mut next);
            let key = next.fingerprint() ^ (u128::from(left.digest()) << 64);
            if seen.insert(key) {
                stack.push((next, left, Some(step)));
            }
        }
    }
    Found {
        states: seen.len(),
        broken: None,
    }
}

impl Budget {
    fn digest(self) -> u64 {
        let parts = [
            self.changes,
            self.polls,
            self.loads,
            self.restarts,
            self.breaks,
            self.passes,
            self.ticks,
        ];
        let number = |sum: u64, part: u8| sum * 16 + u64::from(part);
        parts
            .into_iter()
            .fold(1, number)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

fn tell(last: &Rc<Step>) -> String {
    let steps = std::iter::successors(Some(last), |step| step.before.as_ref());
    let mut lines: Vec<String> = steps.map(|step| format!("  {:?}", step.action)).collect();
    lines.reverse();
    lines.join("\n")
}

/// Messages that change nothing, and never will, are taken off their queues: their order among the
/// other events makes no difference.
fn skip_idle(world: &mut World) {
    let is_plain = |message: &Message| {
        use Message::{Answer, Have, Hello, Logged, Met};
        matches!(
            message,
            Met(_) | Have(_) | Hello(_) | Logged { .. } | Answer(_)
        )
    };
    loop {
        let idle = world.heads().find_map(|(from, to, message)| {
            let is_idle = is_plain(message) && world.is_idle(from, to, message);
            is_idle.then_some((from, to))
        });
        let Some((from, to)) = idle else {
            return;
        };
        world.drop_head(from, to);
    }
}

fn choices(world: &World, scope: Scope, budget: Budget) -> Vec<(Action, Budget)> {
    let mut choices: Vec<(Action, Budget)> = Vec::new();
    let mut spend = |action: Action, field: fn(&mut Budget) -> &mut u8| {
        let mut left = budget;
        let count = field(&mut left);
        if let Some(less) = count.checked_sub(1) {
            *count = less;
            choices.push((action, left));
        }
    };
    spend(Action::Change(scope.writer), |budget| &mut budget.changes);
    spend(Action::Poll(scope.reader), |budget| &mut budget.polls);
    spend(Action::Restart(scope.victim), |budget| &mut budget.restarts);
    spend(Action::Pass(1), |budget| &mut budget.passes);
    let reader = world.process(scope.reader);
    if reader.load.is_none() {
        spend(Action::Load(scope.reader), |budget| &mut budget.loads);
    }
    for index in 0..world.processes.len() {
        spend(Action::Tick(index), |budget| &mut budget.ticks);
    }
    for one in 0..world.processes.len() {
        for other in (0..world.processes.len()).filter(|other| *other != one) {
            if world.is_up(one, other) && world.is_up(other, one) {
                spend(Action::Break(one, other), |budget| &mut budget.breaks);
            }
        }
    }
    if reader.load.is_some() {
        choices.push((Action::Store(scope.reader), budget));
    }
    let heads = world.heads();
    choices.extend(heads.map(|(from, to, _)| (Action::Deliver(from, to), budget)));
    for one in 0..world.processes.len() {
        for other in (0..world.processes.len()).filter(|other| *other != one) {
            match (world.is_up(one, other), world.is_up(other, one)) {
                (true, false) => choices.push((Action::Break(one, other), budget)),
                (false, false) if one < other => {
                    choices.push((Action::Connect(one, other), budget));
                }
                _ => {}
            }
        }
    }
    choices
}

const NOTHING: Budget = Budget {
    changes: 0,
    polls: 0,
    loads: 0,
    restarts: 0,
    breaks: 0,
    passes: 0,
    ticks: 0,
};

/// The first of three members changes, the second reads.
fn trio(budget: Budget) -> Scope {
    Scope {
        writer: 0,
        reader: 1,
        victim: 2,
        budget,
    }
}

/// One change, one poll.
const ONE: Budget = Budget {
    changes: 1,
    polls: 1,
    passes: 1,
    ..NOTHING
};

/// Three members that count each other, and the second has a copy; the lease of their first polls is
/// over.
fn three(settings: Settings) -> World {
    let mut world = World::settled(3, settings);
    world.all([Action::Pass(1), Action::Load(1), Action::Store(1)]);
    world
}

/// The same, a lease after a change that only the first and the third have logged was acknowledged.
fn unheard(settings: Settings) -> World {
    let mut world = three(settings);
    let change = [
        Action::Change(0),
        Action::Deliver(0, 2),
        Action::Deliver(2, 0),
    ];
    world.all(change);
    assert_eq!(world.acknowledged(), Some(1));
    world.run(Action::Pass(1));
    world
}

/// Members that keep one record for the others.
fn forgetful() -> Settings {
    Settings {
        records: 1,
        ..impatient(3)
    }
}

/// Searches to the end and finds nothing.
fn holds(name: &str, start: World, scope: Scope) {
    let found = search(start, scope);
    println!("{name}: {} states", found.states);
    assert_eq!(found.broken, None, "{name}");
    assert!(found.states > 100, "{name}: {found:?}");
}

/// Finds a broken promise with the rule taken out, and none with it.
fn needs(mutant: Mutant, start: World, scope: Scope) {
    let found = {
        let _active = activate(Some(mutant));
        search(start.clone(), scope)
    };
    println!("{mutant:?}: {} states, {:?}", found.states, found.broken);
    assert!(
        found.broken.is_some(),
        "{mutant:?} was not found in {} states",
        found.states
    );
    holds(&format!("without {mutant:?}"), start, scope);
}

#[test]
fn whatever_the_order_of_messages_no_promise_is_broken() {
    let budget = Budget { loads: 1, ..ONE };
    holds(
        "a change, a poll, a load",
        three(impatient(3)),
        trio(budget),
    );
}

#[test]
fn whatever_connection_breaks_no_promise_is_broken() {
    let budget = Budget { breaks: 1, ..ONE };
    holds(
        "a change, a poll, a break",
        three(impatient(3)),
        trio(budget),
    );
}

#[test]
fn whenever_a_member_is_restarted_after_a_change_no_promise_is_broken() {
    let budget = Budget {
        restarts: 1,
        loads: 1,
        polls: 1,
        ..NOTHING
    };
    let name = "a restart, a poll, a load after a change";
    holds(name, unheard(impatient(3)), trio(budget));
}

/// Minutes: in release builds only.
#[cfg(not(debug_assertions))]
#[test]
fn at_length_no_promise_is_broken() {
    let restart = Budget { restarts: 1, ..ONE };
    let two = Budget { changes: 2, ..ONE };
    let load = Budget {
        breaks: 1,
        loads: 1,
        ..ONE
    };
    for (name, budget) in [
        ("a change, a poll, a restart", restart),
        ("two changes, a poll", two),
        ("a change, a poll, a load, a break", load),
    ] {
        holds(name, three(impatient(3)), trio(budget));
    }
}

#[test]
fn a_majority_of_logs_stands_behind_every_acknowledgement() {
    needs(Mutant::AcknowledgeEarly, three(impatient(3)), trio(ONE));
}

#[test]
fn a_lease_runs_from_the_question() {
    needs(Mutant::LeaseFromReceipt, three(impatient(3)), trio(ONE));
}

#[test]
fn what_an_answer_names_is_applied_first() {
    needs(Mutant::IgnoreVector, three(impatient(3)), trio(ONE));
}

#[test]
fn a_minority_answers_no_poll() {
    needs(Mutant::PollMinority, three(impatient(3)), trio(ONE));
}

#[test]
fn an_answer_is_for_the_poll_that_it_names() {
    let budget = Budget { polls: 2, ..ONE };
    needs(Mutant::IgnoreNonce, three(impatient(3)), trio(budget));
}

/// A poll, and a restart before, during or after it.
const RESTART: Budget = Budget {
    polls: 1,
    restarts: 1,
    ..NOTHING
};

#[test]
fn a_life_that_may_have_forgotten_costs_all_copies() {
    needs(Mutant::CountNewLife, unheard(impatient(3)), trio(RESTART));
}

#[test]
fn a_restarted_member_asks_so_many_that_each_majority_has_one() {
    needs(Mutant::SyncFromTooFew, unheard(impatient(3)), trio(RESTART));
}

#[test]
fn a_lane_is_named_until_everybody_has_it() {
    let settings = Settings {
        heartbeat: Duration::ZERO,
        ..impatient(3)
    };
    let scope = Scope {
        victim: 0,
        ..trio(Budget {
            ticks: 1,
            ..RESTART
        })
    };
    needs(Mutant::RetireEarly, unheard(settings), scope);
}

/// A change that the second does not hear of, because its connection breaks, and that is on its way
/// to the third.
fn cut_off(settings: Settings) -> World {
    let mut world = three(settings);
    world.all([Action::Change(0), Action::Break(1, 0), Action::Break(0, 1)]);
    world
}

/// The same, and it has reached the third.
fn broken(settings: Settings) -> World {
    let mut world = cut_off(settings);
    world.run(Action::Deliver(0, 2));
    world
}

/// The vote of the second for the next change would be one for this change, too.
#[test]
fn a_record_beyond_a_gap_does_not_count() {
    needs(Mutant::CountEarly, cut_off(impatient(3)), trio(ONE));
}

#[test]
fn what_nobody_has_any_more_costs_all_copies() {
    needs(Mutant::IgnoreLaneTrim, broken(forgetful()), trio(ONE));
}
