//! Long runs of five members under production settings, with faults drawn from a seed: the promises
//! hold at every step, and when the faults stop, everything converges and nothing has piled up.

use super::world::{Action, World, node};
use crate::mesh::{Membership, Settings};
use crate::mutant::{Mutant, activate};

const MS: u64 = 1_000_000;
const MEMBERS: usize = 5;
const KEPT: usize = 40;

/// A small generator (xorshift), so that a seed always is the same run.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn member(&mut self) -> usize {
        usize::try_from(self.below(MEMBERS as u64)).unwrap()
    }

    fn one_in(&mut self, parts: u64) -> bool {
        self.below(parts) == 0
    }
}

struct Run {
    world: World,
    draw: Draw,
    /// Stopped until then.
    paused: [u64; MEMBERS],
    polled: [u64; MEMBERS],
}

impl Run {
    fn new(seed: u64, membership: Membership) -> Run {
        let settings = Settings {
            records: KEPT,
            ..Settings::new(membership)
        };
        Run {
            world: World::settled(MEMBERS, settings),
            draw: Draw(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            paused: [0; MEMBERS],
            polled: [0; MEMBERS],
        }
    }

    fn is_paused(&self, index: usize) -> bool {
        self.world.now < self.paused[index]
    }

    /// Ten milliseconds: everybody who is not stopped reads what has arrived, and does its work.
    fn step(&mut self, is_faulty: bool) -> Result<(), String> {
        for _ in 0..40 {
            let heads = self.world.heads().map(|(from, to, _)| (from, to));
            let heads: Vec<_> = heads.filter(|(_, to)| !self.is_paused(*to)).collect();
            if heads.is_empty() {
                break;
            }
            let at = self.draw.below(heads.len() as u64);
            let (from, to) = heads[usize::try_from(at).unwrap()];
            self.world.act(Action::Deliver(from, to))?;
        }
        for index in (0..MEMBERS)
            .filter(|index| self.world.now >= self.paused[*index])
            .collect::<Vec<_>>()
        {
            self.world.act(Action::Tick(index))?;
            if self.world.now >= self.polled[index] + 250 * MS {
                self.polled[index] = self.world.now;
                self.world.act(Action::Poll(index))?;
            }
            if self.draw.one_in(4) {
                let is_loading = self.world.process(index).load.is_some();
                let action = if is_loading {
                    Action::Store
                } else {
                    Action::Load
                };
                self.world.act(action(index))?;
            }
            if is_faulty && self.draw.one_in(10) {
                self.world.act(Action::Change(index))?;
            }
        }
        if is_faulty {
            self.fault()?;
        }
        self.mend(if is_faulty { 30 } else { 1 })?;
        self.world.act(Action::Pass(10 * MS))
    }

    fn fault(&mut self) -> Result<(), String> {
        let (one, other) = (self.draw.member(), self.draw.member());
        if one != other && self.draw.one_in(8) && self.world.is_up(one, other) {
            self.world.act(Action::Break(one, other))?;
        }
        if self.draw.one_in(150) {
            self.world.act(Action::Restart(one))?;
        }
        if self.draw.one_in(60) {
            self.paused[one] = self.world.now + self.draw.below(2_000) * MS;
        }
        Ok(())
    }

    /// Some of what is broken is noticed, some is connected again.
    fn mend(&mut self, parts: u64) -> Result<(), String> {
        for one in 0..MEMBERS {
            for other in (0..MEMBERS).filter(|other| *other != one) {
                if self.is_paused(one) || !self.draw.one_in(parts) {
                    continue;
                }
                match (self.world.is_up(one, other), self.world.is_up(other, one)) {
                    (true, false) => self.world.act(Action::Break(one, other))?,
                    (false, false) if !self.is_paused(other) => {
                        self.world.act(Action::Connect(one, other))?;
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn faults(&mut self, steps: usize) -> Result<(), String> {
        for _ in 0..steps {
            self.step(true)?;
            self.is_bounded()?;
        }
        self.paused = [0; MEMBERS];
        Ok(())
    }

    fn is_bounded(&self) -> Result<(), String> {
        for index in 0..MEMBERS {
            let (lanes, kept, bytes) = self.world.process(index).mesh.sizes();
            // A record of this world has 8 bytes.
            if kept > KEPT || bytes > 8 * KEPT || lanes > 1024 {
                return Err(format!("{lanes} lanes, {kept} records, {bytes} bytes"));
            }
        }
        Ok(())
    }

    /// Seconds without a fault; then everybody knows the same, and can read.
    fn converges(&mut self) -> Result<(), String> {
        for _ in 0..600 {
            self.step(false)?;
        }
        let first = self.world.process(0).mesh.positions();
        for index in 0..MEMBERS {
            let process = self.world.process(index);
            if process.mesh.positions() != first {
                let other = process.mesh.positions();
                return Err(format!("{first:?} and, at {index}, {other:?}"));
            }
            if process.mesh.lease_until().0 <= self.world.now {
                return Err(format!("member {index} has no lease"));
            }
            if first.iter().any(|(lane, _)| !self.is_alive(*lane)) {
                return Err(format!("lanes of former lives are left: {first:?}"));
            }
        }
        Ok(())
    }

    /// What everybody changes then is acknowledged to him.
    fn acknowledges(&mut self) -> Result<(), String> {
        for index in 0..MEMBERS {
            self.world.act(Action::Change(index))?;
            for _ in 0..20 {
                self.step(false)?;
            }
            if self.world.acknowledged() != Some(self.world.source) {
                return Err(format!("{index} is not told that its change is known"));
            }
        }
        Ok(())
    }

    fn is_alive(&self, lane: crate::mesh::LaneId) -> bool {
        (0..MEMBERS).any(|index| self.world.process(index).mesh.me() == lane)
    }
}

fn configured() -> Membership {
    Membership::Configured((0..MEMBERS).map(node).collect())
}

const SEEDS: u64 = if cfg!(debug_assertions) { 12 } else { 1_000 };

fn run(seed: u64, membership: Membership) -> Result<Run, String> {
    let mut run = Run::new(seed, membership);
    run.faults(1_500)?;
    run.converges()?;
    Ok(run)
}

#[test]
fn five_members_keep_their_promises_and_converge() {
    let (mut acknowledged, mut flushes) = (0, 0);
    for seed in 1..=SEEDS {
        let run = run(seed, configured()).and_then(|mut run| {
            run.acknowledges()?;
            Ok(run)
        });
        let run = run.unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
        acknowledged += run.world.acknowledged().unwrap_or(0);
        flushes += (0..MEMBERS)
            .map(|index| run.world.process(index).flushes)
            .sum::<u64>();
    }
    println!("{SEEDS} seeds: newest acknowledged {acknowledged} in all, {flushes} flushes");
    assert!(acknowledged > SEEDS * 100);
}

#[test]
fn with_learned_membership_no_copy_is_stale_for_ever() {
    for seed in 1..=SEEDS {
        let run = run(seed, Membership::Learned);
        let run = run.unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
        for index in 0..MEMBERS {
            let process = run.world.process(index);
            let is_current = process.copy.is_none_or(|copy| copy == run.world.source);
            assert!(is_current, "seed {seed}: {index} has {:?}", process.copy);
        }
    }
}

#[test]
fn a_gap_that_is_not_filled_keeps_members_apart() {
    let _active = activate(Some(Mutant::IgnoreLaneGaps));
    let apart = (1..=3).filter(|seed| run(*seed, configured()).is_err());
    assert!(apart.count() > 0);
}
