//! A mesh: members that keep copies of each other's logs, so that a change which one of them has
//! acknowledged is known to enough others.
//!
//! [`Mesh`] is one member, as a state machine: calls, messages and ticks go in, messages and
//! decisions come out ([`Output`]). It reads no clock, opens no socket and draws no random number.
//! Whoever drives it
//!
//! * tells it of connections ([`Mesh::up`], [`Mesh::down`]). A connection carries messages in order,
//!   knows the boots of both its ends, and loses messages only by breaking;
//! * handles everything in [`Mesh::next_output`] in order, after each call;
//! * calls [`Mesh::tick`] every 10 ms or so.
//!
//! The design and its proof are on the decision page 0010. In short:
//!
//! * Each life of a node has a *lane*: its changes, counted from 1. Every member logs all lanes.
//! * A change is acknowledged when a majority has logged it. Votes are counted in *rounds*: whenever
//!   a member hears of a life that it did not know, votes from before that do not count any more, so
//!   that a vote of a member which has been restarted since cannot make up a majority.
//! * A poll is done when a majority has answered it, and everything that their answers name is
//!   applied here. Two majorities share a member, so every change that was acknowledged before the
//!   poll was sent is named, unless that member has forgotten it.
//! * A member that may have forgotten (its boot is counted for the first time) costs all near copies
//!   here, unless it has asked so many others before that at least one of each majority was among
//!   them.

mod copies;
mod counted;
mod message;
mod polls;
mod repair;
mod votes;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::bus::LOG_LENGTH;
use crate::lane::LEASE;
use crate::mutant::Mutant;
use crate::runtime::Mono;

use copies::{Arrival, Copies};
use counted::{Counted, Sync};
use polls::Polls;
use repair::Repairs;
use votes::Votes;

pub use message::{
    Answer, BadMessage, Hello, MAX_MESSAGE_BYTES, MAX_RECORD_BYTES, MESSAGE_VERSION, Message, Told,
};

/// Most members of a mesh. Each is connected to each.
pub const MAX_MEMBERS: usize = 256;

/// Most changes that wait to be acknowledged, and most polls that wait for answers.
pub const MAX_WAITING: usize = 65_536;
/// Most polls that wait for answers.
pub const MAX_POLLS: usize = 64;

/// A member, whichever life it is in. No two members have the same number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub u64);

/// One life of a member, and the lane of its changes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LaneId {
    /// The member.
    pub node: NodeId,
    /// The random number that it drew at its start. No two lives of a member have the same, and they
    /// are in no order.
    pub boot: u64,
}

/// Up to where lanes are logged.
pub type Positions = Vec<(LaneId, u64)>;

/// Who the members are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Membership {
    /// These, this member among them, whether they are there or not. A majority of them
    /// acknowledges changes and answers polls; a minority can do neither.
    Configured(Vec<NodeId>),
    /// Whoever is connected. All of them acknowledge changes and answer polls; who is alone does both
    /// by itself. Promises only G1.
    Learned,
}

/// What can be set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Who the members are.
    pub membership: Membership,
    /// After this, a change is reported as not acknowledged. It goes on being delivered.
    pub acknowledge_within: Duration,
    /// After this, a poll has failed.
    pub poll_within: Duration,
    /// How long an answered poll vouches for copies, from the moment it was sent.
    pub lease: Duration,
    /// How often each member says what it has logged.
    pub heartbeat: Duration,
    /// What is missing may be on its way for so long before it is asked for.
    pub grace: Duration,
    /// Who has not answered a request for records for so long is passed over.
    pub retry: Duration,
    /// How long a poll waits for members that need not be counted for the first time, before all
    /// near copies are given up for one that must.
    pub patience: Duration,
    /// After so long, a gap that nobody who is connected can fill is given up.
    pub give_up: Duration,
    /// Most records that are kept for others, of all lanes together.
    pub records: usize,
    /// Most bytes of such records.
    pub record_bytes: usize,
}

impl Settings {
    /// What production uses.
    pub fn new(membership: Membership) -> Settings {
        Settings {
            membership,
            acknowledge_within: Duration::from_secs(2),
            poll_within: Duration::from_secs(2),
            lease: LEASE,
            heartbeat: Duration::from_millis(250),
            grace: Duration::from_millis(20),
            retry: Duration::from_millis(250),
            patience: Duration::from_millis(150),
            give_up: Duration::from_secs(2),
            records: LOG_LENGTH,
            record_bytes: 64 << 20,
        }
    }
}

/// Names a poll; they grow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PollId(pub u64);

/// Why all near copies of this process must be dropped.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FlushReason {
    /// This life of a member is counted for the first time, and it may have forgotten something.
    NewLife(LaneId),
    /// Nobody who can be reached has what is missing of this lane.
    Trimmed(LaneId),
    /// This member will not come back, and may have known what nobody else has heard of.
    Gone(NodeId),
}

/// What people may want to read in a log.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Notice {
    /// This life of a member was met for the first time.
    Met(LaneId),
    /// A majority is connected, this member included.
    Majority,
    /// No majority is connected: changes are not acknowledged, polls are not answered.
    Minority,
    /// Somebody is connected who is not a member, or one too many.
    Stranger(NodeId),
    /// Records of this lane are missing and asked for.
    Gap {
        /// The lane.
        lane: LaneId,
        /// The first that is missing.
        first: u64,
        /// The last that is known to be.
        last: u64,
    },
    /// Enough others have been asked after the restart: nobody has to drop anything for this member.
    Synced,
    /// More lanes than can be remembered.
    Forgot,
}

/// What to do, in this order.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Output {
    /// Send this over the connection to a member. If that has broken, drop it.
    Send(NodeId, Message),
    /// Apply a record of another member.
    Apply {
        /// Its lane.
        lane: LaneId,
        /// Its number.
        seq: u64,
        /// As it was appended.
        record: Bytes,
        /// It is the next one of its lane, with nothing behind it applied.
        is_next: bool,
    },
    /// Everything that was appended here up to this number is known to enough members.
    Acknowledged {
        /// From [`Mesh::append`].
        seq: u64,
    },
    /// This was not acknowledged in time. It goes on being delivered, and may be acknowledged later,
    /// which is not told.
    TimedOut {
        /// From [`Mesh::append`].
        seq: u64,
    },
    /// Every change that was acknowledged before the poll was sent is applied here, or is older than
    /// all near copies.
    PollDone {
        /// From [`Mesh::poll`].
        poll: PollId,
        /// When it was sent.
        sent: Mono,
    },
    /// Not enough members have answered in time.
    PollFailed {
        /// From [`Mesh::poll`].
        poll: PollId,
    },
    /// Drop all near copies of this process, and all loads under way: begin another life of the
    /// local log.
    Flush(FlushReason),
    /// For people.
    Notice(Notice),
}

/// Too much waits already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// [`MAX_WAITING`] changes, or [`MAX_POLLS`] polls, are waiting.
    Full,
    /// The record is longer than [`MAX_RECORD_BYTES`].
    TooLarge,
}

/// Another member, in the life that was met last.
#[derive(Clone, Debug, Hash)]
struct Peer {
    boot: u64,
    is_up: bool,
    /// How often it has forgotten lanes, as it said last.
    forgot: u32,
    /// Up to where it has logged the lane of this member, and in which round it said so.
    logged: u64,
    round: u64,
    /// What it has said that it has logged.
    have: BTreeMap<LaneId, u64>,
    /// The last poll that it asked while this member had no claim.
    asked: Option<u64>,
    /// Lanes of which it was told over this connection, although they are not named here any more, and
    /// how far they were logged.
    reminded: BTreeMap<LaneId, u64>,
}

impl Peer {
    fn new(boot: u64) -> Peer {
        Peer {
            boot,
            is_up: true,
            forgot: 0,
            logged: 0,
            round: 0,
            have: BTreeMap::new(),
            asked: None,
            reminded: BTreeMap::new(),
        }
    }
}

/// One member of a mesh.
#[derive(Clone, Debug, Hash)]
pub struct Mesh {
    me: LaneId,
    settings: Arc<Settings>,
    peers: BTreeMap<NodeId, Peer>,
    copies: Copies,
    votes: Votes,
    polls: Polls,
    counted: Counted,
    sync: Sync,
    repairs: Repairs,
    /// How often lanes were forgotten.
    forgot: u32,
    lease_until: Mono,
    heartbeat_at: Mono,
    has_majority: bool,
    outputs: VecDeque<Output>,
}

impl Mesh {
    /// A member that begins its life. `me.boot` is random and not 0.
    pub fn new(me: LaneId, settings: Settings) -> Mesh {
        let mut mesh = Mesh {
            me,
            peers: BTreeMap::new(),
            copies: Copies::new(settings.records, settings.record_bytes),
            votes: Votes::default(),
            polls: Polls::default(),
            counted: Counted::default(),
            sync: Sync::default(),
            repairs: Repairs::default(),
            forgot: 0,
            lease_until: Mono(0),
            heartbeat_at: Mono(0),
            has_majority: false,
            outputs: VecDeque::new(),
            settings: Arc::new(settings),
        };
        mesh.has_majority = mesh.is_majority();
        mesh
    }

    /// This life.
    pub fn me(&self) -> LaneId {
        self.me
    }

    /// Near copies, and the values of a store in this process, may be used before this.
    pub fn lease_until(&self) -> Mono {
        self.lease_until
    }

    /// Up to where every lane is logged here.
    pub fn positions(&self) -> Positions {
        self.copies.vector()
    }

    /// How many changes wait to be acknowledged.
    pub fn waiting(&self) -> usize {
        self.votes.waiting()
    }

    /// Up to where a lane is logged here.
    pub fn logged(&self, lane: LaneId) -> u64 {
        self.copies.logged(lane)
    }

    /// Of the lane of a member's present life: up to where it is logged here, and up to where it is
    /// known to reach. `None` for a member that was never met.
    pub fn progress(&self, node: NodeId) -> Option<(u64, u64)> {
        let lane = match node == self.me.node {
            true => self.me,
            false => self.life(node)?,
        };
        let logged = self.copies.logged(lane);
        Some((logged, self.newest(lane).max(logged)))
    }

    /// The life of a member that was met last.
    pub fn life(&self, node: NodeId) -> Option<LaneId> {
        let boot = self.peers.get(&node)?.boot;
        Some(LaneId { node, boot })
    }

    /// What is to be done next; `None` when all is done until the next call.
    pub fn next_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Adds a change of this node, whose effect on the source is complete and which has been applied
    /// here; gives its number. [`Output::Acknowledged`] or [`Output::TimedOut`] follows.
    pub fn append(&mut self, now: Mono, record: Bytes) -> Result<u64, Refused> {
        if record.len() > MAX_RECORD_BYTES {
            return Err(Refused::TooLarge);
        }
        if self.votes.waiting() >= MAX_WAITING {
            return Err(Refused::Full);
        }
        let seq = self.copies.logged(self.me) + 1;
        self.copies.add(self.me, seq, record.clone());
        let records = Message::Records {
            lane: self.me,
            first: seq,
            round: self.votes.round(),
            records: vec![record],
        };
        self.send_to_all(&records);
        self.votes
            .wait(seq, now.after(self.settings.acknowledge_within));
        self.count_votes();
        Ok(seq)
    }

    /// A member is connected. Its messages from before are lost, or were given before this.
    pub fn up(&mut self, now: Mono, node: NodeId, boot: u64) {
        if !self.admits(node) {
            self.outputs
                .push_back(Output::Notice(Notice::Stranger(node)));
            return;
        }
        let life = LaneId { node, boot };
        let former = self.peers.get(&node).map(|peer| peer.boot);
        if former == Some(boot) {
            self.peers.entry(node).and_modify(|peer| peer.is_up = true);
        } else {
            self.peers.insert(node, Peer::new(boot));
            self.outputs.push_back(Output::Notice(Notice::Met(life)));
            // Everybody hears of the new life before it can learn anything from here.
            if !Mutant::MetUntold.is_active() {
                self.send_to_others(node, &Message::Met(life));
            }
        }
        self.met(life);
        // Its lane was known before it, and may have been taken for one of a former life.
        self.copies.revive(life);
        let others = self.peers.iter().filter(|(other, _)| **other != node);
        let met = others.map(|(node, peer)| LaneId {
            node: *node,
            boot: peer.boot,
        });
        let hello = Message::Hello(Hello {
            met: met.collect(),
            round: self.votes.round(),
            forgot: self.forgot,
            have: self.copies.vector(),
        });
        self.send(node, hello);
        self.ask_again(node);
        let is_learned = self.settings.membership == Membership::Learned;
        let is_back = former.is_some_and(|former| former != boot);
        if is_learned && is_back && !Mutant::IgnoreReturn.is_active() {
            self.flush(FlushReason::NewLife(life));
        }
        self.settle(now);
    }

    /// The connection to a member is lost.
    pub fn down(&mut self, now: Mono, node: NodeId) {
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.is_up = false;
            peer.asked = None;
            // What was told last may not have arrived.
            peer.reminded.clear();
        }
        self.repairs.lost(node);
        self.settle(now);
    }

    /// With learned membership: a member will not come back. Whatever only it knew is lost, so all
    /// near copies are dropped. Nothing happens with a configured list.
    pub fn remove(&mut self, now: Mono, node: NodeId) {
        if self.settings.membership == Membership::Learned && self.peers.remove(&node).is_some() {
            self.repairs.lost(node);
            self.flush(FlushReason::Gone(node));
            self.settle(now);
        }
    }

    /// A message arrived over the connection to a member.
    pub fn received(&mut self, now: Mono, node: NodeId, message: Message) {
        let Some(peer) = self.peers.get_mut(&node).filter(|peer| peer.is_up) else {
            return;
        };
        let life = LaneId {
            node,
            boot: peer.boot,
        };
        match message {
            Message::Hello(hello) => {
                peer.forgot = hello.forgot;
                hello.met.iter().for_each(|life| self.met(*life));
                self.votes.called(life, hello.round);
                self.heard(node, &hello.have);
                self.told(life, hello);
                if self.copies.logged(life) > 0 {
                    self.confirm(node);
                }
            }
            Message::Met(life) => self.met(life),
            Message::Records {
                lane,
                first,
                round,
                records,
            } => {
                if lane == life {
                    self.votes.called(life, round);
                }
                self.take(lane, first, records);
                self.repair_lane(now, lane);
                return self.conclude(now);
            }
            Message::Have(have) => self.heard(node, &have),
            Message::Logged { seq, round } => {
                peer.logged = peer.logged.max(seq);
                peer.round = round;
                return self.count_votes();
            }
            Message::Confirm { round } => {
                self.votes.called(life, round);
                self.confirm(node);
            }
            Message::Ask { nonce } => self.answer(node, nonce),
            Message::Answer(answer) => self.answered(life, answer),
            Message::Range { lane, first, last } => self.give(node, lane, first, last),
            Message::Missing { lane, first } => {
                if first == self.copies.logged(lane) + 1 {
                    self.repairs.refused(lane, node);
                }
            }
        }
        self.settle(now);
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Mono) {
        for seq in self.votes.expired(now) {
            self.outputs.push_back(Output::TimedOut { seq });
        }
        if now >= self.heartbeat_at {
            self.heartbeat_at = now.after(self.settings.heartbeat);
            self.retire();
            let have = Message::Have(self.copies.vector());
            self.send_to_all(&have);
        }
        self.settle(now);
        for poll in self.polls.expired(now, self.settings.poll_within) {
            self.outputs.push_back(Output::PollFailed { poll });
        }
    }

    /// Lanes, records and bytes that are kept.
    #[cfg(test)]
    fn sizes(&self) -> (usize, usize, usize) {
        self.copies.size()
    }

    /// Records arrived, of whatever lane.
    fn take(&mut self, lane: LaneId, first: u64, records: Vec<Bytes>) {
        if lane == self.me {
            return;
        }
        let before = self.copies.logged(lane);
        for (seq, record) in (first..).zip(records) {
            let arrival = self.copies.add(lane, seq, record.clone());
            if arrival != Arrival::Duplicate {
                let is_next = arrival == Arrival::Next;
                self.outputs.push_back(Output::Apply {
                    lane,
                    seq,
                    record,
                    is_next,
                });
            }
        }
        if self.copies.logged(lane) > before {
            self.repairs.progressed(lane);
        }
        let owner = self.peers.get(&lane.node);
        if owner.is_some_and(|peer| peer.is_up && peer.boot == lane.boot) {
            self.confirm(lane.node);
        }
    }

    /// Everything that may have become possible, gaps included.
    fn settle(&mut self, now: Mono) {
        self.repair(now);
        self.conclude(now);
        let has_majority = self.is_majority();
        if has_majority != self.has_majority {
            self.has_majority = has_majority;
            let notice = if has_majority {
                Notice::Majority
            } else {
                Notice::Minority
            };
            self.outputs.push_back(Output::Notice(notice));
        }
    }

    /// What may have become possible by what is logged: the claim of this life, polls, votes.
    fn conclude(&mut self, now: Mono) {
        let (me, peers) = (self.me, &self.peers);
        let is_live = |lane: LaneId| {
            lane == me
                || peers
                    .get(&lane.node)
                    .is_some_and(|peer| peer.boot == lane.boot)
        };
        if self.copies.forget(is_live) {
            // What others know of this member's memory does not hold any more.
            self.forgot += 1;
            self.sync.claim.clear();
            self.outputs.push_back(Output::Notice(Notice::Forgot));
        }
        self.claim();
        self.finish_polls(now);
        self.count_votes();
    }

    fn admits(&self, node: NodeId) -> bool {
        let is_member = match &self.settings.membership {
            Membership::Configured(members) => members.contains(&node),
            Membership::Learned => {
                self.peers.contains_key(&node) || self.peers.len() + 1 < MAX_MEMBERS
            }
        };
        is_member && node != self.me.node
    }

    /// How many members there are, and how many of them decide; `None` if all who are connected do.
    fn majority(&self) -> Option<(usize, usize)> {
        match &self.settings.membership {
            Membership::Configured(members) => Some((members.len(), members.len() / 2 + 1)),
            Membership::Learned => None,
        }
    }

    fn is_majority(&self) -> bool {
        let up = 1 + self.peers.values().filter(|peer| peer.is_up).count();
        self.majority().is_none_or(|(_, majority)| up >= majority)
    }

    fn flush(&mut self, reason: FlushReason) {
        self.outputs.push_back(Output::Flush(reason));
        // All copies are younger now than any life that was met.
        for (node, peer) in &self.peers {
            let life = LaneId {
                node: *node,
                boot: peer.boot,
            };
            self.counted.count(life, peer.forgot);
        }
    }

    fn send(&mut self, node: NodeId, message: Message) {
        self.outputs.push_back(Output::Send(node, message));
    }

    fn send_to_all(&mut self, message: &Message) {
        self.send_to_others(self.me.node, message);
    }

    fn send_to_others(&mut self, but: NodeId, message: &Message) {
        let others = self
            .peers
            .iter()
            .filter(|(node, peer)| peer.is_up && **node != but);
        let sends = others.map(|(node, _)| Output::Send(*node, message.clone()));
        self.outputs.extend(sends);
    }
}
