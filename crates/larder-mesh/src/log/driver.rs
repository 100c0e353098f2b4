//! What is done with the state machine of a member: everything that goes in, and everything that
//! comes out, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::mesh::{self as core, Message, Notice, Output, PollId};
use larder_core::mutant::Mutant;
use larder_core::runtime::Mono;
use tokio::sync::oneshot;

use super::aside::{self, Carried, Heard};
use super::waiters::Waiters;
use super::{Entry, Inner, POLL, boot, number};
use crate::event::{Event, Peer};
use crate::members::State;
use crate::name::NodeName;

/// Most polls under way. Those who ask while so many are share the next one.
const POLLS: usize = 8;

/// Most questions under way about who reads elsewhere; the oldest makes room.
const QUESTIONS: usize = 64;

type Asker = oneshot::Sender<Result<()>>;

pub(super) struct Driver {
    pub(super) member: core::Mesh,
    pub(super) acknowledged: Waiters,
    links: BTreeMap<core::NodeId, Link>,
    /// Who waits for each poll.
    polls: BTreeMap<PollId, Vec<Asker>>,
    /// Who waits for the next one.
    next: Vec<Asker>,
    /// When a poll is due that nobody asked for: it keeps the lease.
    poll_at: Mono,
    questions: BTreeMap<u64, Question>,
    asked: u64,
    is_closed: bool,
}

struct Link {
    peer: Peer,
    name: Arc<NodeName>,
    /// It sent what cannot be read: nothing of it counts any more.
    is_deaf: bool,
}

/// Who reads elsewhere?
struct Question {
    /// Who was asked: all that were connected.
    asked: BTreeSet<core::NodeId>,
    /// Who has not answered.
    open: BTreeSet<core::NodeId>,
    /// Whether somebody was lost before the answer.
    has_lost: bool,
    heard: Vec<Heard>,
    done: Option<oneshot::Sender<()>>,
}

impl Question {
    fn is_answered(&self) -> bool {
        let has_lost = self.has_lost && !Mutant::LostReaders.is_active();
        self.open.is_empty() && !has_lost
    }

    fn settle(&mut self) {
        if self.open.is_empty()
            && let Some(done) = self.done.take()
        {
            // An error only says that nobody waits any more.
            let _ = done.send(());
        }
    }
}

impl Driver {
    pub(super) fn new(member: core::Mesh) -> Driver {
        Driver {
            member,
            acknowledged: Waiters::default(),
            links: BTreeMap::new(),
            polls: BTreeMap::new(),
            next: Vec::new(),
            poll_at: Mono(0),
            questions: BTreeMap::new(),
            asked: 0,
            is_closed: false,
        }
    }

    /// Asks for a poll that is sent from now on.
    pub(super) fn poll(&mut self, now: Mono) -> oneshot::Receiver<Result<()>> {
        let (tell, told) = oneshot::channel();
        if self.is_closed {
            return told;
        }
        if let (Some(mut poll), true) = (self.polls.last_entry(), Mutant::SharedPoll.is_active()) {
            poll.get_mut().push(tell);
            return told;
        }
        self.next.push(tell);
        self.begin_poll(now);
        told
    }

    /// Begins a poll for all who wait for one, unless there are too many under way.
    fn begin_poll(&mut self, now: Mono) {
        if self.polls.len() >= POLLS {
            return;
        }
        if let Ok(poll) = self.member.poll(now) {
            self.poll_at = now.after(POLL);
            self.polls.insert(poll, std::mem::take(&mut self.next));
        }
    }

    fn polled(&mut self, poll: PollId, result: impl Fn() -> Result<()>) {
        for tell in self.polls.remove(&poll).unwrap_or_default() {
            // An error only says that nobody waits any more.
            let _ = tell.send(result());
        }
    }

    /// Asks all who are connected who reads there; see [`Driver::heard`].
    pub(super) fn ask_readers(&mut self, _: Mono) -> (u64, oneshot::Receiver<()>) {
        self.asked += 1;
        let (done, answers) = oneshot::channel();
        let asked: BTreeSet<core::NodeId> = self.links.keys().copied().collect();
        let mut question = Question {
            open: asked.clone(),
            asked,
            has_lost: false,
            heard: Vec::new(),
            done: Some(done),
        };
        question.settle();
        if self.questions.len() >= QUESTIONS {
            self.questions.pop_first();
        }
        self.questions.insert(self.asked, question);
        (self.asked, answers)
    }

    /// What was answered, and by whom, if all have answered that were asked.
    pub(super) fn heard(&mut self, nonce: u64) -> (Vec<Heard>, Option<BTreeSet<core::NodeId>>) {
        match self.questions.remove(&nonce) {
            Some(question) if question.is_answered() => (question.heard, Some(question.asked)),
            Some(question) => (question.heard, None),
            None => (Vec::new(), None),
        }
    }

    fn lose(&mut self, node: core::NodeId) {
        for question in self.questions.values_mut() {
            if question.open.remove(&node) {
                question.has_lost = true;
                question.settle();
            }
        }
    }

    fn name(&self, node: core::NodeId) -> &str {
        self.links.get(&node).map_or("?", |link| link.name.as_str())
    }

    /// Nothing will be told any more.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
        self.acknowledged.close();
        self.polls.clear();
        self.next.clear();
        self.questions.clear();
    }
}

impl Inner {
    /// Does something with the state machine, and then all that comes of it.
    pub(super) fn act<R>(&self, act: impl FnOnce(&mut Driver, Mono) -> R) -> R {
        let mut driver = self.driver.lock();
        // Not later than anything that is sent because of it.
        let now = self.runtime.now();
        let before = driver.asked;
        let result = act(&mut driver, now);
        if driver.asked > before {
            let ask = Carried::Ask {
                nonce: driver.asked,
            };
            let ask = ask.encode();
            driver.links.values().for_each(|link| {
                // Who is lost is noticed.
                let _ = self.mesh.send(link.peer, ask.clone());
            });
        }
        self.drain(&mut driver);
        result
    }

    fn drain(&self, driver: &mut Driver) {
        // What goes to all is made into bytes once.
        let mut last: Option<(Message, Bytes)> = None;
        while let Some(output) = driver.member.next_output() {
            match output {
                Output::Send(node, message) => {
                    let Some(peer) = driver.links.get(&node).map(|link| link.peer) else {
                        continue;
                    };
                    let known = last.take().filter(|(known, _)| *known == message);
                    let (message, bytes) = known.unwrap_or_else(|| {
                        let bytes = aside::of_log(&message);
                        (message, bytes)
                    });
                    // A link that has ended is told of.
                    let _ = self.mesh.send(peer, bytes.clone());
                    last = Some((message, bytes));
                }
                Output::Apply {
                    lane,
                    seq,
                    record,
                    is_next,
                } => self.follower.apply(Entry {
                    lane,
                    seq,
                    record: &record,
                    is_next,
                }),
                Output::Acknowledged { seq } => driver.acknowledged.acknowledge(seq),
                Output::TimedOut { seq } => driver.acknowledged.give_up(seq),
                Output::PollDone { poll, .. } => driver.polled(poll, || Ok(())),
                Output::PollFailed { poll } => driver.polled(poll, || Err(alone())),
                Output::Flush(reason) => {
                    tracing::warn!(?reason, "mesh: something may have been missed");
                    self.follower.flush(reason);
                    for (node, link) in &driver.links {
                        let met = driver
                            .member
                            .life(*node)
                            .map(|life| self.follower.met(life));
                        self.send_all(link.peer, met.unwrap_or_default());
                    }
                }
                Output::Notice(notice) => say(driver, notice),
            }
        }
        // Only now: everything that the lease covers was given to the follower.
        let until = driver.member.lease_until();
        self.lease_until.store(until.0, Ordering::Release);
    }

    /// Takes what the links tell.
    pub(super) fn take(&self, event: Event) {
        match event {
            Event::Up {
                peer,
                name,
                incarnation,
                ..
            } => self.act(|driver, now| {
                let node = number(peer.node());
                let is_deaf = false;
                driver.links.insert(
                    node,
                    Link {
                        peer,
                        name,
                        is_deaf,
                    },
                );
                let life = core::LaneId {
                    node,
                    boot: boot(incarnation),
                };
                driver.member.up(now, node, life.boot);
                self.send_all(peer, self.follower.met(life));
            }),
            Event::Down { peer, .. } => self.act(|driver, now| {
                let node = number(peer.node());
                if driver
                    .links
                    .get(&node)
                    .is_some_and(|link| link.peer == peer)
                {
                    driver.links.remove(&node);
                    driver.member.down(now, node);
                    if let Some(life) = driver.member.life(node) {
                        self.follower.lost(life);
                    }
                    driver.lose(node);
                }
            }),
            // Records are kept long, and what has come shares a buffer with others.
            Event::Message { peer, bytes } => {
                self.received(peer, Carried::decode(Bytes::copy_from_slice(&bytes)));
            }
        }
    }

    fn received(&self, peer: Peer, carried: std::result::Result<Carried, core::BadMessage>) {
        let node = number(peer.node());
        let answer = self.act(|driver, now| {
            let link = driver.links.get_mut(&node);
            let link = link.filter(|link| link.peer == peer && !link.is_deaf)?;
            match carried {
                Ok(Carried::Log(message)) => driver.member.received(now, node, message),
                Ok(Carried::Nudge) => self.follower.nudge(),
                Ok(Carried::Follower(message)) => {
                    let life = driver.member.life(node)?;
                    match self.follower.take(life, message) {
                        Ok(answers) => self.send_all(peer, answers),
                        Err(error) => self.refuse(driver.links.get_mut(&node)?, error),
                    }
                }
                Ok(Carried::Ask { nonce }) => return Some(nonce),
                Ok(Carried::Heard { nonce, readers }) => {
                    if let Some(question) = driver.questions.get_mut(&nonce)
                        && question.open.remove(&node)
                    {
                        question.heard.push(readers);
                        question.settle();
                    }
                }
                Err(error) => self.refuse(link, error),
            }
            None
        });
        if let Some(nonce) = answer {
            self.tell_readers(peer, nonce);
        }
    }

    /// Messages count only if none is left out.
    fn refuse(&self, link: &mut Link, error: core::BadMessage) {
        link.is_deaf = true;
        let node = &link.name;
        tracing::warn!(%node, %error, "mesh: a member sends what cannot be read");
        self.mesh.cut(link.peer);
    }

    fn send_all(&self, peer: Peer, messages: Vec<Bytes>) {
        for message in messages {
            // A link that has ended is told of.
            let _ = self.mesh.send(peer, Carried::Follower(message).encode());
        }
    }

    fn tell_readers(&self, peer: Peer, nonce: u64) {
        let driver = self.driver.lock();
        let Some(life) = driver.member.life(number(peer.node())) else {
            return;
        };
        let readers = self.follower.heard(life, driver.member.logged(life));
        drop(driver);
        // A link that has ended is told of.
        let _ = self
            .mesh
            .send(peer, Carried::Heard { nonce, readers }.encode());
    }

    /// Time has passed.
    pub(super) fn tick(&self) {
        self.act(|driver, now| {
            driver.member.tick(now);
            if now >= driver.poll_at || !driver.next.is_empty() {
                driver.begin_poll(now);
            }
        });
    }

    /// Learned members that are gone may have known what nobody else knows.
    pub(super) fn take_off(&self) {
        let members = self.mesh.members();
        let gone = members.iter().filter(|member| member.state == State::Gone);
        for member in gone {
            let node = number(member.name.id());
            self.act(|driver, now| {
                if !driver.links.contains_key(&node) {
                    driver.member.remove(now, node);
                }
            });
        }
    }
}

fn alone() -> Error {
    let message = "too few members of the mesh have answered: nobody vouches for copies here";
    Error::new(ErrorKind::Unavailable, message)
}

/// Tells people.
fn say(driver: &Driver, notice: Notice) {
    match notice {
        Notice::Met(life) => {
            let node = driver.name(life.node);
            tracing::info!(
                node,
                boot = format_args!("{:016x}", life.boot),
                "mesh: a new life of a member"
            );
        }
        Notice::Majority => tracing::info!("mesh: a majority of the members is connected"),
        Notice::Minority => tracing::warn!(
            "mesh: no majority of the members is connected: changes are not acknowledged, and copies \
             are not used once their lease is over"
        ),
        Notice::Stranger(node) => {
            let node = driver.name(node);
            tracing::warn!(node, "mesh: it is connected and no member, or one too many");
        }
        Notice::Gap { lane, first, last } => {
            let node = driver.name(lane.node);
            tracing::info!(node, first, last, "mesh: records are missing and asked for");
        }
        Notice::Synced => tracing::info!("mesh: enough members have told what they know"),
        Notice::Forgot => tracing::warn!("mesh: there are more lanes than can be remembered"),
    }
}
