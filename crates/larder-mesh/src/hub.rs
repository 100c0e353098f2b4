//! What the tasks of one mesh share: the pure parts behind one lock, the open links, and the way
//! out for events.
//!
//! No lock is held while anything is awaited or written. Locks are taken in this order: `core`,
//! `links`, the queue of a link.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use larder_core::{Mono, Runtime};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, Semaphore, mpsc, watch};

use crate::address::Address;
use crate::config::{Limits, Timing};
use crate::counts::Book;
use crate::dials::{Dials, Ended};
use crate::event::{DownReason, Peer, Stop, Waiting};
use crate::handshake::{Identity, Nonce, Other};
use crate::members::{Admits, Change, Members, State};
use crate::message::{Reach, Refusal};
use crate::name::{Incarnation, NodeId, NodeName};
use crate::net::tls::Sessions;
use crate::outgoing::Outgoing;
use crate::pairs::{Number, Opened, Pairs};

/// One open link.
pub(crate) struct Link {
    pub(crate) peer: Peer,
    pub(crate) name: Arc<NodeName>,
    pub(crate) incarnation: Incarnation,
    pub(crate) version: u16,
    pub(crate) out: Outgoing,
    /// When something was last read.
    pub(crate) heard: AtomicU64,
    /// Whether nothing is read because nobody takes what has arrived.
    pub(crate) is_held: AtomicBool,
    /// Whether it was told to be up, and has not ended.
    pub(crate) is_up: AtomicBool,
    /// Whether it has ended, told of or not: it says nothing of its node any more.
    pub(crate) is_closed: AtomicBool,
    /// Whether all was told of it that ever will be.
    pub(crate) is_over: watch::Sender<bool>,
    stage: Mutex<Stage>,
}

/// How far a link has come on its way to be told of.
enum Stage {
    /// It waits until all was told of the link before it to the same node.
    Waiting(Option<Arc<Link>>),
    /// It is told of.
    Telling,
    /// A newer one has taken its place while it waited; nothing is ever told of it.
    Skipped,
}

impl Link {
    /// The link that has to be over before this one is told of.
    pub(crate) fn before(&self) -> Option<Arc<Link>> {
        match &*self.stage.lock() {
            Stage::Waiting(before) => before.clone(),
            Stage::Telling | Stage::Skipped => None,
        }
    }

    /// The link before it is over: false if a newer one is told of instead of this one.
    pub(crate) fn begin(&self) -> bool {
        let mut stage = self.stage.lock();
        let is_next = matches!(*stage, Stage::Waiting(_));
        if is_next {
            *stage = Stage::Telling;
        }
        is_next
    }

    /// The link that a newer one has to wait for: this one, or the one before it if this one is
    /// still waiting itself; then it is never told of.
    fn give_way(self: Arc<Self>) -> Option<Arc<Link>> {
        let mut stage = self.stage.lock();
        if let Stage::Waiting(before) = &mut *stage {
            let before = before.take();
            *stage = Stage::Skipped;
            return before;
        }
        drop(stage);
        Some(self)
    }

    /// How long nothing was read that could have been.
    pub(crate) fn silence(&self, now: Mono) -> Duration {
        if self.is_held.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        now.since(Mono(self.heard.load(Ordering::Relaxed)))
    }
}

/// The pure parts.
pub(crate) struct Core {
    pub(crate) members: Members,
    pub(crate) dials: Dials,
    pub(crate) pairs: Pairs,
}

/// Everything shared.
pub(crate) struct Hub {
    pub(crate) me: Identity,
    pub(crate) timing: Timing,
    pub(crate) limits: Limits,
    pub(crate) sessions: Option<Sessions>,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) core: Mutex<Core>,
    pub(crate) links: RwLock<BTreeMap<NodeId, Arc<Link>>>,
    pub(crate) events: mpsc::Sender<Waiting>,
    pub(crate) inbox: Arc<Semaphore>,
    pub(crate) greetings: Arc<Semaphore>,
    /// Raised whenever a member or a link has changed.
    pub(crate) changed: watch::Sender<u64>,
    /// There may be somebody to dial.
    pub(crate) wake: Notify,
    pub(crate) stop: watch::Sender<Stop>,
    pub(crate) tasks: watch::Sender<usize>,
    pub(crate) book: Book,
    #[cfg(feature = "wire")]
    pub(crate) network: Option<Arc<dyn crate::wire::Network>>,
}

impl Hub {
    pub(crate) fn now(&self) -> Mono {
        self.runtime.now()
    }

    /// Runs a task that shutting down waits for.
    pub(crate) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.send_modify(|count| *count += 1);
        let ended = Running(Arc::clone(self));
        self.runtime.spawn(Box::pin(async move {
            let _ended = ended;
            task.await;
        }));
    }

    /// The same for one that has nothing to finish when this node leaves.
    pub(crate) fn spawn_until_leaving(
        self: &Arc<Self>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let mut stop = self.stop.subscribe();
        self.spawn(async move {
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop != Stop::No) => {}
                () = task => {}
            }
        });
    }

    pub(crate) fn is_leaving(&self) -> bool {
        *self.stop.borrow() != Stop::No
    }

    /// Random bytes that nobody can foresee.
    pub(crate) fn nonce(&self) -> Nonce {
        let mut nonce = [0; 32];
        // The generator of aws-lc fails only if the system has no randomness at all.
        aws_lc_rs::rand::fill(&mut nonce).expect("the system has randomness");
        nonce
    }

    /// May our dial prove itself to this node?
    pub(crate) fn prove(&self, other: &Other) -> Result<Number, Refusal> {
        let now = self.now();
        let mut core = self.core.lock();
        self.admits(&core, other)?;
        let is_silent = core.members.is_silent(&other.name, now);
        core.pairs.prove(&other.name, other.incarnation, is_silent)
    }

    /// A node has welcomed our dial.
    pub(crate) fn welcomed(
        &self,
        other: &Other,
        attempt: Number,
        ip: IpAddr,
    ) -> Result<Arc<Link>, Refusal> {
        let mut core = self.core.lock();
        self.admits(&core, other)?;
        let opened = core
            .pairs
            .welcomed(&other.name, other.incarnation, attempt)?;
        let (link, changes) = self.open(&mut core, other, opened, ip);
        drop(core);
        self.say(&changes);
        Ok(link)
    }

    /// A node that has dialled has proven that it knows the secret.
    pub(crate) fn accept(
        &self,
        other: &Other,
        challenged: Number,
        ip: IpAddr,
    ) -> Result<Arc<Link>, Refusal> {
        let now = self.now();
        let mut core = self.core.lock();
        self.admits(&core, other)?;
        let is_silent = core.members.is_silent(&other.name, now);
        let (name, life) = (&other.name, other.incarnation);
        let opened = core.pairs.accept(name, life, is_silent, challenged)?;
        let (link, changes) = self.open(&mut core, other, opened, ip);
        drop(core);
        self.say(&changes);
        Ok(link)
    }

    fn admits(&self, core: &Core, other: &Other) -> Result<(), Refusal> {
        if self.is_leaving() {
            return Err(Refusal::Leaving);
        }
        match core.members.admits(&other.name) {
            Admits::Yes => Ok(()),
            Admits::NotListed => Err(Refusal::NotAMember),
            Admits::Full => Err(Refusal::Full),
        }
    }

    fn open(
        &self,
        core: &mut Core,
        other: &Other,
        opened: Opened,
        ip: IpAddr,
    ) -> (Arc<Link>, Vec<Change>) {
        let now = self.now();
        let address = reached(&other.reach, ip);
        let node = other.name.id();
        let before = self.links.read().get(&node).cloned();
        if let Some(before) = before
            .as_ref()
            .filter(|b| Some(b.peer.link) == opened.replaced)
        {
            before.out.cut(DownReason::Replaced);
        }
        // While nobody takes events, links may come and go: at most one waits for each node.
        let before = before.and_then(Link::give_way);
        let link = Arc::new(Link {
            peer: Peer {
                node,
                link: opened.number,
            },
            name: Arc::new(other.name.clone()),
            incarnation: other.incarnation,
            version: other.version,
            out: Outgoing::new(self.limits),
            heard: AtomicU64::new(now.0),
            // Nothing is read before somebody has heard that the link is up.
            is_held: AtomicBool::new(true),
            is_up: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            is_over: watch::Sender::new(false),
            stage: Mutex::new(Stage::Waiting(before)),
        });
        core.dials.told(&other.name, &address, now);
        let changes = core
            .members
            .up(&other.name, other.incarnation, address, now);
        self.links.write().insert(node, Arc::clone(&link));
        // All others hear of the new one, and it of them.
        self.links.read().values().for_each(|link| link.out.tell());
        (link, changes)
    }

    /// A link has ended: nothing is sent over it any more.
    pub(crate) fn closed(&self, link: &Link, reason: DownReason) {
        let (now, random) = (self.now(), self.runtime.random());
        let mut core = self.core.lock();
        core.pairs.closed(&link.name, link.peer.link);
        link.is_closed.store(true, Ordering::Relaxed);
        let is_current = self.is_current(link);
        let change = match reason {
            _ if !is_current => None,
            DownReason::Left => core.members.left(&link.name, now),
            _ => core.members.lost(&link.name, now),
        };
        if is_current {
            let has_left = reason == DownReason::Left;
            core.dials.lost(&link.name, has_left, now, random);
        }
        drop(core);
        self.book.down(reason.as_str());
        if !self.is_leaving() {
            self.say_down(link, reason);
        }
        self.say(change.as_slice());
        self.change();
        self.wake.notify_one();
    }

    /// Everything was told of a link.
    pub(crate) fn over(&self, link: &Link) {
        let core = self.core.lock();
        if self.is_current(link) {
            self.links.write().remove(&link.peer.node);
        }
        drop(core);
        link.is_over.send_replace(true);
        self.change();
    }

    fn is_current(&self, link: &Link) -> bool {
        let links = self.links.read();
        links
            .get(&link.peer.node)
            .is_some_and(|current| current.peer == link.peer)
    }

    /// A dial has ended.
    pub(crate) fn dialled(&self, address: &Address, ended: Ended, found: Option<&NodeName>) {
        let moment = (self.now(), self.runtime.random());
        let mut core = self.core.lock();
        let member = found.and_then(|name| core.members.get(name));
        let is_gone = member.is_some_and(|member| member.state == State::Gone);
        core.dials.ended(address, ended, found, is_gone, moment);
    }

    /// Another member has told of these.
    pub(crate) fn told(&self, members: &[(NodeName, Address)]) {
        let now = self.now();
        let mut core = self.core.lock();
        for (name, address) in members {
            let is_new = *name != self.me.name && core.members.admits(name) == Admits::Yes;
            if is_new && !core.pairs.is_linked(name) {
                core.members.learn(name, address, now);
                core.dials.told(name, address, now);
            }
        }
        drop(core);
        self.change();
        self.wake.notify_one();
    }

    /// The members to which there are links.
    pub(crate) fn linked(&self) -> Vec<(NodeName, Address)> {
        let core = self.core.lock();
        let linked = core
            .members
            .iter()
            .filter(|m| core.pairs.is_linked(&m.name));
        linked
            .map(|m| (m.name.clone(), m.address.clone()))
            .collect()
    }

    /// Says what has changed, each change once.
    pub(crate) fn say(&self, changes: &[Change]) {
        for change in changes {
            let (node, state) = (&change.name, change.state.as_str());
            match change.state {
                State::Alive => tracing::info!(%node, state, "a member of the mesh"),
                State::Suspect | State::Gone => {
                    tracing::warn!(%node, state, "a member of the mesh");
                }
            }
        }
        if !changes.is_empty() {
            self.change();
        }
    }

    fn say_down(&self, link: &Link, reason: DownReason) {
        let node = &link.name;
        match reason {
            DownReason::Left | DownReason::Leaving | DownReason::Replaced => {
                tracing::info!(%node, %reason, "a link of the mesh ended");
            }
            _ => tracing::warn!(%node, %reason, "a link of the mesh was cut"),
        }
    }

    /// Something that can be looked at has changed.
    pub(crate) fn change(&self) {
        self.changed
            .send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// Where a node can be reached that is seen from this IP address.
fn reached(reach: &Reach, ip: IpAddr) -> Address {
    match reach {
        Reach::At(address) => address.clone(),
        Reach::Port(port) => Address::from(std::net::SocketAddr::new(ip, *port)),
    }
}

/// A task that has not ended.
struct Running(Arc<Hub>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.tasks.send_modify(|count| *count -= 1);
    }
}
