//! The network between one node and the server behind it: delays, lost requests, lost replies.
//!
//! Messages under way belong to no node: a request that was sent arrives even if its sender is
//! frozen, has given up or no longer cares.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use larder_core::runtime::{BoxFuture, Runtime};
use tokio::sync::{mpsc, oneshot};

use super::{Fault, Journal, Random, SimRuntime};

/// What goes wrong on a link, in cases of a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The request never arrives; its sender learns of it only by its time limit.
    pub lost_request: u64,
    /// The request arrives, up to some seconds after its sender has given up.
    pub late_request: u64,
    /// The store has done it, but the reply is lost.
    pub lost_reply: u64,
    /// The request, the reply or the pushed record takes up to a hundred times as long as usual;
    /// pushed records overtake each other.
    pub slow: u64,
    /// A pushed record is lost.
    pub lost_push: u64,
    /// A pushed record arrives twice.
    pub doubled_push: u64,
    /// The subscription breaks.
    pub broken_push: u64,
    /// A connection of a mesh breaks when something is written to it.
    pub broken: u64,
}

/// How long a sender waits for a reply.
pub(super) const LIMIT: Duration = Duration::from_millis(500);
/// How late a late request may be beyond that, in nanoseconds.
const LATE: u64 = 3_000_000_000;
/// How long the server waits before it sends again what nobody has confirmed.
const AGAIN: Duration = Duration::from_millis(50);
/// The longest usual way in one direction.
const WAY: u64 = 1_000_000;

/// One node's way to the server. Each request is served at one moment between its sending and its
/// reply.
#[derive(Clone)]
pub struct Way(Arc<Inner>);

struct Inner {
    runtime: SimRuntime,
    random: Mutex<Random>,
    faults: Faults,
    journal: Journal,
    node: usize,
    cut: AtomicU8,
    is_calm: AtomicBool,
}

/// Which ways of a link are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// None.
    Nothing = 0,
    /// Requests do not arrive.
    Requests = 1,
    /// Replies and pushed records do not arrive.
    Replies = 2,
    /// Nothing arrives.
    Both = 3,
    /// Only pushed records do not arrive.
    Pushes = 4,
}

impl Cut {
    fn as_str(self) -> &'static str {
        match self {
            Cut::Nothing => "is whole",
            Cut::Requests => "requests no longer arrive",
            Cut::Replies => "replies and pushes no longer arrive",
            Cut::Both => "nothing arrives any longer",
            Cut::Pushes => "pushes no longer arrive",
        }
    }
}

impl Way {
    /// The way of a node, with these faults, which are counted in `journal`.
    pub fn new(runtime: &SimRuntime, faults: Faults, (node, journal): (usize, Journal)) -> Way {
        Way(Arc::new(Inner {
            runtime: runtime.outside(),
            random: Mutex::new(runtime.fork_random()),
            faults,
            journal,
            node,
            cut: AtomicU8::default(),
            is_calm: AtomicBool::default(),
        }))
    }

    /// Cuts some ways, or heals all.
    pub fn cut(&self, cut: Cut) {
        match cut {
            Cut::Nothing => {}
            Cut::Requests => self.0.journal.fault(Fault::CutRequests),
            Cut::Replies => self.0.journal.fault(Fault::CutReplies),
            Cut::Both => self.0.journal.fault(Fault::CutBoth),
            Cut::Pushes => self.0.journal.fault(Fault::CutPushes),
        }
        self.note(cut.as_str(), &|| "link".to_owned());
        self.0.cut.store(cut as u8, Ordering::Relaxed);
    }

    /// Ends all that goes wrong: nothing is cut, and from now on nothing is lost or slow.
    pub fn calm(&self) {
        self.cut(Cut::Nothing);
        self.0.is_calm.store(true, Ordering::Relaxed);
    }

    fn faults(&self) -> Faults {
        if self.0.is_calm.load(Ordering::Relaxed) {
            Faults::default()
        } else {
            self.0.faults
        }
    }

    fn is_cut(&self, ways: &[Cut]) -> bool {
        let cut = self.0.cut.load(Ordering::Relaxed);
        ways.iter().any(|way| *way as u8 == cut)
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        draw(&mut self.0.random.lock().expect("drawing does not panic"))
    }

    /// Whether a fault of this chance happens now; if so, it is counted.
    fn happens(&self, fault: Fault, chance: u64) -> bool {
        let happens = chance > 0 && self.draw(|random| random.per_mille(chance));
        if happens {
            self.0.journal.fault(fault);
        }
        happens
    }

    fn delay(&self) -> Duration {
        let scale = if self.happens(Fault::Slow, self.faults().slow) {
            100
        } else {
            1
        };
        Duration::from_nanos(self.draw(|random| random.below(WAY * scale)))
    }

    pub(super) fn note(&self, what: &str, name: &dyn Fn() -> String) {
        let at = self.0.runtime.now();
        let node = self.0.node;
        self.0
            .journal
            .note(at, || format!("node {node}: {}: {what}", name()));
    }

    /// Sends a request on its way. Gives the reply; `None` if none will ever come.
    pub(super) fn carry<T, F>(
        &self,
        name: impl Fn() -> String + Send + Sync + 'static,
        serve: impl FnOnce() -> F + Send + 'static,
    ) -> BoxFuture<'static, Option<T>>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (done, reply) = oneshot::channel();
        let (way, departure) = (self.clone(), self.delay());
        self.0.runtime.spawn_after(
            departure,
            Box::pin(async move {
                if let Some(reply) = way.arrive(name, serve).await {
                    // Nobody to tell if the sender no longer cares.
                    let _ = done.send(reply);
                }
            }),
        );
        Box::pin(async move { reply.await.ok() })
    }

    /// The request has come to the server's end.
    async fn arrive<T, F>(
        &self,
        name: impl Fn() -> String + Send + Sync + 'static,
        serve: impl FnOnce() -> F + Send + 'static,
    ) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let faults = self.faults();
        let lost = self.happens(Fault::LostRequest, faults.lost_request);
        if lost || self.is_cut(&[Cut::Requests, Cut::Both]) {
            self.note("the request is lost", &name);
            return None;
        }
        if self.happens(Fault::LateRequest, faults.late_request) {
            self.note("the request is late", &name);
            let late = LIMIT + Duration::from_nanos(self.draw(|random| random.below(LATE)));
            let way = self.clone();
            let arrival = Box::pin(async move {
                way.note("arrives late", &name);
                // Its sender has given up: there is nobody to tell.
                let _ = serve().await;
            });
            self.0.runtime.spawn_after(late, arrival);
            return None;
        }
        let reply = serve().await;
        self.note("is served", &name);
        self.0.runtime.pause(self.delay()).await;
        let lost = self.happens(Fault::LostReply, faults.lost_reply);
        if lost || self.is_cut(&[Cut::Replies, Cut::Both]) {
            self.note("the reply is lost", &name);
            return None;
        }
        Some(reply)
    }

    /// Done once something that the server sends unasked has arrived. It is sent again and again
    /// while the way is cut.
    pub(super) async fn arrival(&self) {
        self.0.runtime.pause(self.delay()).await;
        while self.is_cut(&[Cut::Replies, Cut::Both]) {
            self.0.runtime.sleep(AGAIN).await;
        }
    }

    /// Carries what is pushed, each message on a way of its own, until the subscription breaks.
    pub(super) async fn push<S: Source>(
        self,
        mut there: S,
        deliver: mpsc::UnboundedSender<S::Message>,
    ) {
        let name = || "subscription".to_owned();
        while let Some(message) = there.next().await {
            let faults = self.faults();
            if deliver.is_closed() || self.happens(Fault::BrokenPush, faults.broken_push) {
                self.note("is broken", &name);
                return;
            }
            let lost = self.happens(Fault::LostPush, faults.lost_push);
            if lost || self.is_cut(&[Cut::Replies, Cut::Both, Cut::Pushes]) {
                self.note("a message is lost", &name);
                continue;
            }
            let twice = self.happens(Fault::DoubledPush, faults.doubled_push);
            for _ in 0..1 + u8::from(twice) {
                let (message, deliver) = (message.clone(), deliver.clone());
                let arrival = Box::pin(async move {
                    let _ = deliver.send(message);
                });
                self.0.runtime.spawn_after(self.delay(), arrival);
            }
        }
    }

    /// Starts a task that belongs to no node.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.runtime.spawn(Box::pin(task));
    }

    /// Waits, whichever node stands still meanwhile.
    pub(super) fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        self.0.runtime.sleep(time)
    }
}

/// What a server pushes.
pub(super) trait Source: Send + 'static {
    type Message: Clone + Send + 'static;

    /// The next message; `None` when there will be none any more.
    fn next(&mut self) -> BoxFuture<'_, Option<Self::Message>>;
}
