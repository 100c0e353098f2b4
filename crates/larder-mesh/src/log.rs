//! The log that the members of a mesh keep together: [`larder_core::mesh`], driven over links.
//!
//! [`MeshLog`] is one member. What it appends is acknowledged once a majority of the configured
//! members has it; what others append is given to its [`Follower`]; and a poll says that everything
//! which was acknowledged before it was asked has been given. The decisions are those of the state
//! machine; here are the links, the clock, and those who wait.
//!
//! Everything happens under one lock, in the order in which the state machine says it. Nothing
//! waits under it: links queue what is sent, and the follower does its work at once.

mod aside;
mod driver;
mod waiters;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use larder_core::Runtime;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::lane::POLL;
use larder_core::mesh::{
    self as core, FlushReason, LaneId, MAX_MESSAGE_BYTES, MAX_WAITING, Refused,
};
use larder_core::mutant::Mutant;
use larder_core::runtime::Mono;
use parking_lot::Mutex;

use crate::config::{Config, Membership};
use crate::event::Events;
use crate::members::{Member, State};
use crate::mesh::Mesh;
use crate::name::NodeId;

pub use aside::{Heard, HeardReader};

use driver::Driver;

/// How often the state machine is told that time has passed.
const TICK: Duration = Duration::from_millis(10);

/// After how many of these it is looked who is gone.
const LOOK: u32 = 100;

/// How long the others may take to say who reads there.
const HEARING: Duration = Duration::from_millis(250);

/// A record that another member has appended.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Whose: one life of a member.
    pub lane: LaneId,
    /// Its number in the lane, from 1.
    pub seq: u64,
    /// What was appended.
    pub record: &'a Bytes,
    /// Everything before it in its lane was given before it, and nothing behind it.
    pub is_next: bool,
}

/// Who is given what the members append. It is called under the lock of the log: it must not wait,
/// and must not call the log.
pub trait Follower: Send + Sync + 'static {
    /// Another member has appended this. Each record is given once, unless memory for those beyond a
    /// gap is short; applying one twice must do no harm.
    fn apply(&self, entry: Entry<'_>);

    /// Drop all copies, and all loads under way: something may have been missed.
    fn flush(&self, reason: FlushReason);

    /// Who reads here, and how far each has applied this lane, which is given up to `logged` without
    /// a gap.
    fn heard(&self, lane: LaneId, logged: u64) -> Heard;

    /// Somebody waits for all readers: let them poll.
    fn nudge(&self);

    /// There is a link to this life of a member, or copies were to be dropped while there was one:
    /// messages to its follower.
    fn met(&self, life: LaneId) -> Vec<Bytes> {
        let _ = life;
        Vec::new()
    }

    /// The link is lost, and what was sent over it may be.
    fn lost(&self, life: LaneId) {
        let _ = life;
    }

    /// A message of the follower of another member; gives what to answer.
    ///
    /// # Errors
    ///
    /// If it cannot be read: then the link is cut.
    fn take(
        &self,
        from: LaneId,
        message: Bytes,
    ) -> std::result::Result<Vec<Bytes>, core::BadMessage> {
        let _ = (from, message);
        Err(core::BadMessage::Kind(0))
    }
}

/// Who acknowledges changes, and answers polls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acknowledge {
    /// A majority of a configured list of members; all that are connected if members are learned.
    Majority,
    /// All members that are connected, however they are found. Who is alone does both by itself.
    Everybody,
}

/// A member of a mesh with the log of all of them. A cheap clone; when the last one is dropped the
/// member ends without a goodbye.
#[derive(Clone)]
pub struct MeshLog {
    inner: Arc<Inner>,
}

struct Inner {
    mesh: Mesh,
    follower: Arc<dyn Follower>,
    runtime: Arc<dyn Runtime>,
    driver: Mutex<Driver>,
    /// [`MeshLog::lease_until`], published when everything that it covers was done.
    lease_until: AtomicU64,
    is_fixed: bool,
}

/// A member, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What is known of it.
    pub member: Member,
    /// Up to where the changes of its present life are logged here.
    pub applied: u64,
    /// How many more are known to exist.
    pub lag: u64,
}

/// Who reads elsewhere.
#[derive(Clone, Debug, Default)]
pub struct Others {
    /// What members have said.
    pub heard: Vec<Heard>,
    /// Whether all have that may have readers.
    pub is_complete: bool,
}

impl MeshLog {
    /// Starts a member: it listens when this returns, looks for the others from then on, and says
    /// what it promises. Never waits for another member.
    ///
    /// # Errors
    ///
    /// Those of [`Mesh::start`]; and [`ErrorKind::Config`] if two members have the same number.
    pub async fn start(
        mut config: Config,
        who: Acknowledge,
        follower: Arc<dyn Follower>,
        runtime: Arc<dyn Runtime>,
    ) -> Result<MeshLog> {
        let membership = match who {
            Acknowledge::Majority => membership(&config)?,
            Acknowledge::Everybody => core::Membership::Learned,
        };
        let is_fixed = membership != core::Membership::Learned;
        // One byte says that it is of the log.
        let longest = MAX_MESSAGE_BYTES + 1;
        config.limits.message_bytes = config.limits.message_bytes.max(longest);
        let kept = (config.limits.log_records, config.limits.log_bytes);
        let (mesh, events) = Mesh::start(config, runtime.clone()).await?;
        say(&membership, who);
        let me = LaneId {
            node: number(mesh.id()),
            boot: boot(mesh.incarnation()),
        };
        let mut settings = core::Settings::new(membership);
        (settings.records, settings.record_bytes) = kept;
        let member = core::Mesh::new(me, settings);
        let inner = Arc::new(Inner {
            mesh,
            follower,
            driver: Mutex::new(Driver::new(member)),
            lease_until: AtomicU64::new(0),
            is_fixed,
            runtime: runtime.clone(),
        });
        runtime.spawn(Box::pin(run(
            Arc::downgrade(&inner),
            events,
            runtime.clone(),
        )));
        Ok(MeshLog { inner })
    }

    /// The links below.
    pub fn mesh(&self) -> &Mesh {
        &self.inner.mesh
    }

    /// This life of this member.
    pub fn lane(&self) -> LaneId {
        self.inner.driver.lock().member.me()
    }

    /// Whether the members are a configured list, so that a majority of them decides.
    pub fn is_fixed(&self) -> bool {
        self.inner.is_fixed
    }

    /// Appends a change of this node, whose effect on the source is complete and which its follower
    /// shows already. Gives its number: the first is 1, and each next one is greater by one. It is on
    /// its way when this returns.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Overloaded`] if 65 536 changes are waiting to be acknowledged, and
    /// [`ErrorKind::TooLarge`]: then nobody is told of the change.
    pub fn append(&self, record: Bytes) -> Result<u64> {
        self.inner
            .act(|driver, now| driver.member.append(now, record))
            .map_err(refused)
    }

    /// Waits until enough members have everything up to this number: a majority of a configured list;
    /// else all that are connected. One round trip to the slowest of the fastest majority. Dropping
    /// the future has no effect.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Timeout`] after two seconds: the change goes on being delivered, and nobody knows
    /// who has it. [`ErrorKind::Closed`] once the member has shut down.
    pub async fn acknowledged(&self, seq: u64) -> Result<()> {
        let waiting = self.inner.driver.lock().acknowledged.wait(seq);
        waiting.of().await
    }

    /// Waits until everything that was acknowledged before the call is given to the follower, or is
    /// older than all its copies. One round trip, and one more for what is missing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`] if too few members answer for two seconds.
    pub async fn poll(&self) -> Result<()> {
        let answer = self.inner.act(Driver::poll);
        let closed = || Error::new(ErrorKind::Closed, "the mesh has shut down");
        answer.await.map_err(|_| closed())?
    }

    /// What the follower holds may be used before this.
    pub fn lease_until(&self) -> Mono {
        Mono(self.inner.lease_until.load(Ordering::Acquire))
    }

    /// How far the lane of a life is logged here.
    pub fn logged(&self, lane: LaneId) -> u64 {
        self.inner.driver.lock().member.logged(lane)
    }

    /// Whether so many changes wait to be acknowledged that no more should be made.
    pub fn is_full(&self) -> bool {
        self.inner.driver.lock().member.waiting() >= MAX_WAITING / 2
    }

    /// The number of the newest change of this member.
    pub fn newest(&self) -> u64 {
        let driver = self.inner.driver.lock();
        driver.member.logged(driver.member.me())
    }

    /// The other members, by name.
    pub fn standings(&self) -> Vec<Standing> {
        let members = self.inner.mesh.members();
        let driver = self.inner.driver.lock();
        let standing = |member: Member| {
            let node = number(member.name.id());
            let (applied, newest) = driver.member.progress(node).unwrap_or_default();
            Standing {
                member,
                applied,
                lag: newest - applied,
            }
        };
        members.into_iter().map(standing).collect()
    }

    /// Who reads elsewhere. One round trip to all members that are connected; those that do not
    /// answer within a quarter of a second are left out, and then it is not complete.
    pub async fn others(&self) -> Others {
        let (nonce, answers) = self.inner.act(Driver::ask_readers);
        let late = self.inner.runtime.sleep(HEARING);
        tokio::select! {
            biased;
            _ = answers => {}
            () = late => {}
        }
        let (heard, answered) = self.inner.driver.lock().heard(nonce);
        Others {
            heard,
            is_complete: answered.is_some_and(|answered| self.inner.are_all(&answered)),
        }
    }

    /// Lets all readers poll, everywhere. One message to each member that is connected.
    pub fn nudge(&self) {
        let nudge = aside::Carried::Nudge.encode();
        // Who does not hear it polls soon.
        let _ = self.inner.mesh.broadcast(&nudge);
        self.inner.follower.nudge();
    }

    /// Leaves, and says so. What waits is told that the mesh has shut down.
    pub async fn shutdown(&self) {
        self.inner.mesh.shutdown().await;
    }
}

impl std::fmt::Debug for MeshLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MeshLog")
            .field("mesh", &self.inner.mesh)
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// Whether these are all members that may have readers; one that is connected now may not have
    /// been when they were asked. One that is gone has none: with a configured list it has fenced
    /// itself, and is waited for; learned members that are gone are taken off the list.
    fn are_all(&self, answered: &BTreeSet<core::NodeId>) -> bool {
        let linked = self.mesh.peers();
        let is_linked = |member: &Member| {
            let mut linked = linked.iter();
            Mutant::LinkedLate.is_active() && linked.any(|peer| peer.node() == member.name.id())
        };
        let is_among = |member: &Member| {
            answered.contains(&number(member.name.id()))
                || (!self.is_fixed && member.state == State::Gone)
                || is_linked(member)
        };
        self.mesh.members().iter().all(is_among)
    }
}

fn membership(config: &Config) -> Result<core::Membership> {
    let Membership::Fixed(seats) = &config.membership else {
        return Ok(core::Membership::Learned);
    };
    let mut members: Vec<core::NodeId> = seats.iter().map(|seat| number(seat.name.id())).collect();
    members.sort_unstable();
    if members.windows(2).any(|pair| pair[0] == pair[1]) {
        let message = "two members have the same number: give one of them another name";
        return Err(Error::new(ErrorKind::Config, message));
    }
    Ok(core::Membership::Configured(members))
}

fn say(membership: &core::Membership, who: Acknowledge) {
    if who == Acknowledge::Everybody {
        return tracing::info!(
            "values are those of all nodes: all that are connected acknowledge a write, and a part that \
             is cut off goes on by itself until both are merged"
        );
    }
    match membership {
        core::Membership::Configured(members) => tracing::info!(
            members = members.len(),
            majority = members.len() / 2 + 1,
            "the members are configured: a majority acknowledges changes, and a minority is fenced (G2)"
        ),
        core::Membership::Learned => tracing::warn!(
            "the members are learned: nobody knows how many there should be, so a part that is cut off \
             goes on by itself, and old values are gone only once it is back (G1); configure the list \
             of members for more"
        ),
    }
}

fn refused(refused: Refused) -> Error {
    match refused {
        Refused::Full => {
            let message = "too many changes wait for the other members of the mesh";
            Error::new(ErrorKind::Overloaded, message)
        }
        Refused::TooLarge => Error::new(ErrorKind::TooLarge, "a record of the mesh is too long"),
    }
}

/// The number of a node for the state machine.
fn number(id: NodeId) -> core::NodeId {
    core::NodeId(id.0)
}

/// The boot of a life for the state machine, which is not 0.
fn boot(incarnation: crate::name::Incarnation) -> u64 {
    incarnation.0.max(1)
}

/// A message, for people who read a trace.
#[cfg(feature = "wire")]
pub(crate) fn said(bytes: Bytes) -> String {
    match aside::Carried::decode(bytes) {
        Ok(aside::Carried::Log(message)) => format!("{message:?}"),
        Ok(carried) => format!("{carried:?}"),
        Err(wrong) => wrong.to_string(),
    }
}

/// The task of a member: takes what the links tell, and says that time passes. It ends with the
/// member.
async fn run(inner: Weak<Inner>, mut events: Events, runtime: Arc<dyn Runtime>) {
    let mut tick = runtime.sleep(TICK);
    let mut ticks: u32 = 0;
    loop {
        let event = tokio::select! {
            biased;
            () = &mut tick => None,
            event = events.next() => match event {
                Some(event) => Some(event),
                None => break,
            },
        };
        let Some(inner) = inner.upgrade() else {
            return;
        };
        match event {
            Some(event) => inner.take(event),
            None => {
                inner.tick();
                if !inner.is_fixed && ticks.is_multiple_of(LOOK) {
                    inner.take_off();
                }
                ticks = ticks.wrapping_add(1);
                tick = runtime.sleep(TICK);
            }
        }
    }
    if let Some(inner) = inner.upgrade() {
        inner.driver.lock().close();
    }
}
