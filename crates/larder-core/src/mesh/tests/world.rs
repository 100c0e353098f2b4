//! A small world around the production state machine: members, connections that carry messages in
//! order and lose them by breaking, a source with one key, and readers that keep a copy of it.
//!
//! Nothing of the protocol is here, only what surrounds it, and what is promised.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use bytes::Bytes;
use xxhash_rust::xxh3::Xxh3;

use super::super::*;

/// What can happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    /// The oldest message from the first to the second arrives.
    Deliver(usize, usize),
    /// The first finds its connection to the second broken.
    Break(usize, usize),
    /// Two that have no connection get one.
    Connect(usize, usize),
    /// The source is changed, and then this member is told.
    Change(usize),
    Poll(usize),
    /// A load begins: it reads the source now.
    Load(usize),
    /// The load ends: what it has read becomes the copy.
    Store(usize),
    /// The process dies and is started again.
    Restart(usize),
    Tick(usize),
    /// Time passes for all.
    Pass(u64),
}

/// One process.
#[derive(Clone)]
pub(super) struct Process {
    pub(super) mesh: Mesh,
    /// The near copy, and what a load under way has read: numbers of changes of the source.
    pub(super) copy: Option<u64>,
    pub(super) load: Option<u64>,
    /// Changes of this life, by their numbers in its lane.
    changes: BTreeMap<u64, u64>,
    pub(super) flushes: u64,
    pub(super) polled: u64,
    pub(super) failed: u64,
}

/// Messages from one to another, the oldest first, and a number for each.
type Queue = Rc<VecDeque<(Rc<Message>, u64)>>;

#[derive(Clone)]
pub(super) struct World {
    pub(super) now: u64,
    pub(super) processes: Vec<(Rc<Process>, u64)>,
    /// Whether the first believes to be connected to the second.
    up: u64,
    queues: Vec<Queue>,
    pub(super) source: u64,
    /// Acknowledged changes: the newest at each moment.
    acknowledged: BTreeMap<u64, u64>,
    /// Who has ever logged a change, as bits.
    logged: BTreeMap<u64, u64>,
    /// Each change, in which lane it is.
    places: Rc<BTreeMap<(LaneId, u64), u64>>,
    settings: Rc<Settings>,
    boots: u64,
}

impl Hash for Process {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        // What is counted for tests alone is of no matter for the future.
        (&self.mesh, &self.copy, &self.load, &self.changes).hash(hasher);
    }
}

pub(super) type Checked = Result<(), String>;

pub(super) fn node(index: usize) -> NodeId {
    NodeId(index as u64 + 1)
}

fn index(node: NodeId) -> usize {
    usize::try_from(node.0).unwrap() - 1
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = Xxh3::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl World {
    /// So many members, without a connection.
    pub(super) fn new(members: usize, settings: Settings) -> World {
        let mut world = World {
            now: 0,
            processes: Vec::new(),
            up: 0,
            queues: vec![Queue::default(); members * members],
            source: 0,
            acknowledged: BTreeMap::new(),
            logged: BTreeMap::new(),
            places: Rc::default(),
            settings: Rc::new(settings),
            boots: 0,
        };
        for index in 0..members {
            let process = world.start(index);
            let hash = hash(&process);
            world.processes.push((Rc::new(process), hash));
        }
        world
    }

    /// All are connected, have said what they have to say, and count each other.
    pub(super) fn settled(members: usize, settings: Settings) -> World {
        let mut world = World::new(members, settings);
        world.connect_all();
        world.deliver_all();
        for index in 0..members {
            world.run(Action::Poll(index));
        }
        world.deliver_all();
        world
    }

    pub(super) fn connect_all(&mut self) {
        for one in 0..self.processes.len() {
            for other in 0..one {
                for (from, to) in [(one, other), (other, one)] {
                    if self.is_up(from, to) && !self.is_up(to, from) {
                        self.run(Action::Break(from, to));
                    }
                }
                if !self.is_up(one, other) {
                    self.run(Action::Connect(one, other));
                }
            }
        }
    }

    pub(super) fn deliver_all(&mut self) {
        loop {
            let head = self.heads().next().map(|(from, to, _)| (from, to));
            let Some((from, to)) = head else {
                return;
            };
            self.run(Action::Deliver(from, to));
        }
    }

    /// Whether the first believes to be connected to the second.
    pub(super) fn is_up(&self, one: usize, other: usize) -> bool {
        self.up & self.bit(one, other) != 0
    }

    fn bit(&self, one: usize, other: usize) -> u64 {
        1 << (one * self.processes.len() + other)
    }

    fn queue(&mut self, from: usize, to: usize) -> &mut Queue {
        let members = self.processes.len();
        &mut self.queues[from * members + to]
    }

    /// The messages that can arrive: from whom, to whom.
    pub(super) fn heads(&self) -> impl Iterator<Item = (usize, usize, &Rc<Message>)> {
        let members = self.processes.len();
        let queues = self.queues.iter().enumerate();
        queues.filter_map(move |(at, queue)| {
            let (message, _) = queue.front()?;
            Some((at / members, at % members, message))
        })
    }

    /// Whether the next message from one to the other changes nothing, and causes nothing.
    pub(super) fn is_idle(&self, from: usize, to: usize, message: &Message) -> bool {
        let (process, before) = &self.processes[to];
        let mut process = Process::clone(process);
        process
            .mesh
            .received(Mono(self.now), node(from), message.clone());
        process.mesh.next_output().is_none() && hash(&process) == *before
    }

    pub(super) fn drop_head(&mut self, from: usize, to: usize) {
        Rc::make_mut(self.queue(from, to)).pop_front();
    }

    /// Does what must not break a promise.
    pub(super) fn run(&mut self, action: Action) {
        self.act(action).unwrap();
    }

    pub(super) fn all(&mut self, actions: impl IntoIterator<Item = Action>) {
        actions.into_iter().for_each(|action| self.run(action));
    }

    pub(super) fn process(&self, index: usize) -> &Process {
        &self.processes[index].0
    }

    /// The newest acknowledged change.
    pub(super) fn acknowledged(&self) -> Option<u64> {
        self.acknowledged.values().copied().max()
    }

    /// A number for all that matters for the future.
    pub(super) fn fingerprint(&self) -> u128 {
        let mut hasher = Xxh3::new();
        for (_, hash) in &self.processes {
            hash.hash(&mut hasher);
        }
        (self.now, self.up, self.source).hash(&mut hasher);
        for (at, queue) in self.queues.iter().enumerate() {
            for (_, message) in &**queue {
                (at, message).hash(&mut hasher);
            }
        }
        (&self.acknowledged, &self.logged).hash(&mut hasher);
        hasher.digest128()
    }

    fn start(&mut self, index: usize) -> Process {
        self.boots += 1;
        let me = LaneId {
            node: node(index),
            // In no order, as random numbers are.
            boot: self.boots * 7919 % 1009,
        };
        Process {
            mesh: Mesh::new(me, Settings::clone(&self.settings)),
            copy: None,
            load: None,
            changes: BTreeMap::new(),
            flushes: 0,
            polled: 0,
            failed: 0,
        }
    }

    fn edit(&mut self, index: usize, edit: impl FnOnce(&mut Process, Mono)) -> Checked {
        let now = self.now;
        let mut process = self.processes[index].0.clone();
        let inner = Rc::make_mut(&mut process);
        edit(inner, Mono(now));
        let outputs: Vec<Output> = std::iter::from_fn(|| inner.mesh.next_output()).collect();
        let mut checked = Ok(());
        for output in outputs {
            checked = checked.and(self.output(index, inner, output));
        }
        let hash = hash(&*process);
        self.processes[index] = (process, hash);
        checked.and(self.check())
    }

    fn output(&mut self, index: usize, process: &mut Process, output: Output) -> Checked {
        match output {
            Output::Send(to, message) => {
                let to = self::index(to);
                // Where the other end is down, it gets lost.
                if self.is_up(to, index) {
                    let number = hash(&message);
                    let queue = Rc::make_mut(self.queue(index, to));
                    queue.push_back((Rc::new(message), number));
                }
            }
            Output::Apply { lane, seq, .. } => {
                process.copy = None;
                process.load = None;
                let change = self.places[&(lane, seq)];
                *self.logged.entry(change).or_default() |= 1 << index;
            }
            Output::Flush(reason) => {
                if let FlushReason::Trimmed(lane) = reason {
                    // All copies are younger now: that is as good as having the records.
                    let logged = process.mesh.copies.logged(lane);
                    let places = self.places.range((lane, 1)..=(lane, logged));
                    for (_, change) in places {
                        *self.logged.entry(*change).or_default() |= 1 << index;
                    }
                }
                process.copy = None;
                process.load = None;
                process.flushes += 1;
            }
            Output::Acknowledged { seq } => {
                let majority = self.processes.len() / 2 + 1;
                let Some(change) = process.changes.get(&seq).copied() else {
                    return Err(format!("an unknown change {seq} is acknowledged"));
                };
                for logged in process
                    .changes
                    .range(..=seq)
                    .map(|(_, change)| self.logged[change].count_ones() as usize)
                {
                    if logged < majority && self.settings.membership != Membership::Learned {
                        return Err(format!("change {change} is acknowledged by {logged}"));
                    }
                }
                let newest = self.acknowledged.entry(self.now).or_default();
                *newest = change.max(*newest);
            }
            Output::PollDone { .. } => process.polled += 1,
            Output::PollFailed { .. } => process.failed += 1,
            Output::TimedOut { .. } | Output::Notice(_) => {}
        }
        Ok(())
    }

    /// G2: a copy that is used reflects every change acknowledged Δ ago or earlier.
    fn check(&self) -> Checked {
        if self.settings.membership == Membership::Learned {
            return Ok(());
        }
        let lease = u64::try_from(self.settings.lease.as_nanos()).unwrap();
        let Some(old) = self.now.checked_sub(lease) else {
            return Ok(());
        };
        let must = self
            .acknowledged
            .range(..=old)
            .map(|(_, change)| *change)
            .max();
        for (index, (process, _)) in self.processes.iter().enumerate() {
            let is_leased = Mono(self.now) < process.mesh.lease_until();
            if let Some(copy) = process.copy.filter(|_| is_leased)
                && copy < must.unwrap_or(0)
            {
                return Err(format!(
                    "member {index} uses {copy}, and {must:?} was acknowledged"
                ));
            }
        }
        Ok(())
    }

    pub(super) fn act(&mut self, action: Action) -> Checked {
        match action {
            Action::Deliver(from, to) => {
                let queue = Rc::make_mut(self.queue(from, to));
                let (message, _) = queue.pop_front().unwrap();
                let message = Message::clone(&message);
                self.edit(to, |process, now| {
                    process.mesh.received(now, node(from), message)
                })
            }
            Action::Break(one, other) => {
                self.up &= !self.bit(one, other);
                *self.queue(other, one) = Queue::default();
                if !self.is_up(other, one) {
                    *self.queue(one, other) = Queue::default();
                }
                self.edit(one, |process, now| process.mesh.down(now, node(other)))
            }
            Action::Connect(one, other) => {
                assert!(!self.is_up(one, other) && !self.is_up(other, one));
                self.up |= self.bit(one, other) | self.bit(other, one);
                let boot = |world: &World, index| world.process(index).mesh.me().boot;
                let (first, second) = (boot(self, one), boot(self, other));
                self.edit(one, |process, now| {
                    process.mesh.up(now, node(other), second)
                })?;
                self.edit(other, |process, now| process.mesh.up(now, node(one), first))
            }
            Action::Change(writer) => {
                self.source += 1;
                let change = self.source;
                let me = self.process(writer).mesh.me();
                let seq = self.process(writer).changes.len() as u64 + 1;
                Rc::make_mut(&mut self.places).insert((me, seq), change);
                *self.logged.entry(change).or_default() |= 1 << writer;
                self.edit(writer, |process, now| {
                    process.changes.insert(seq, change);
                    (process.copy, process.load) = (None, None);
                    let record = Bytes::copy_from_slice(&change.to_be_bytes());
                    assert_eq!(process.mesh.append(now, record), Ok(seq));
                })
            }
            Action::Poll(reader) => self.edit(reader, |process, now| {
                // Too many at once are refused.
                let _ = process.mesh.poll(now);
            }),
            Action::Load(reader) => {
                let source = self.source;
                self.edit(reader, |process, _| process.load = Some(source))
            }
            Action::Store(reader) => {
                self.edit(reader, |process, _| process.copy = process.load.take())
            }
            Action::Restart(index) => {
                let process = self.start(index);
                for other in 0..self.processes.len() {
                    self.up &= !self.bit(index, other);
                    *self.queue(other, index) = Queue::default();
                }
                self.edit(index, |old, _| *old = process)
            }
            Action::Tick(index) => self.edit(index, |process, now| process.mesh.tick(now)),
            Action::Pass(time) => {
                self.now += time;
                self.check()
            }
        }
    }
}
