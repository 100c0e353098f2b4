//! The handle of a mesh: start it, send, look at the members, leave.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use larder_core::Runtime;
use larder_core::error::{Error, ErrorKind, Result};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, Semaphore, mpsc, watch};

use crate::address::Address;
use crate::config::{Config, Limits, Membership, Seat, Tls};
use crate::counts::{Book, Counts};
use crate::dials::{Dials, Origin};
use crate::event::{DownReason, Events, Peer, Stop};
use crate::frame::HEAD_BYTES;
use crate::handshake::Identity;
use crate::hub::{Core, Hub, Link};
use crate::members::{Member, Members, Patience};
use crate::message::Reach;
use crate::name::{Incarnation, NodeId, NodeName};
use crate::net::socket::Listener;
use crate::net::tls::Sessions;
use crate::net::{accept, discover, pacer};
use crate::pairs::Pairs;

/// How long a node that leaves tries to say so.
const FAREWELL: Duration = Duration::from_secs(2);

/// One node of a mesh. A cheap clone; when the last one is dropped the node ends without a goodbye,
/// as if it had been killed.
#[derive(Clone)]
pub struct Mesh {
    inner: Arc<Inner>,
}

struct Inner {
    hub: Arc<Hub>,
    address: SocketAddr,
}

/// Why a message was not queued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NotSent {
    /// The link has ended, or does so now because too much was waiting.
    Down,
    /// It is longer than the limit.
    TooLong,
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotSent::Down => "the link has ended",
            NotSent::TooLong => "the message is longer than the limit",
        })
    }
}

impl std::error::Error for NotSent {}

impl Mesh {
    /// Starts a node: it listens when this returns, and looks for others from then on. Whoever has
    /// the events must take them: while nobody does, nothing more is read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if settings do not fit together or a file cannot be read,
    /// [`ErrorKind::Unavailable`] if the address cannot be listened on.
    pub async fn start(config: Config, runtime: Arc<dyn Runtime>) -> Result<(Mesh, Events)> {
        check(&config)?;
        let sessions = Sessions::new(&config.tls)?;
        let taken = |error: std::io::Error| {
            let message = format!("the mesh cannot listen on {}: {error}", config.listen);
            Error::new(ErrorKind::Unavailable, message)
        };
        let (listener, address) = Listener::bind(&config).await.map_err(taken)?;
        let (events, waiting) = mpsc::channel(config.limits.inbox_events);
        let hub = Arc::new(hub(&config, address, sessions, runtime, events));
        hub.spawn_until_leaving(accept::listen(Arc::clone(&hub), listener));
        hub.spawn_until_leaving(pacer::run(Arc::clone(&hub)));
        if let Membership::Learned(discovery) = &config.membership {
            for name in &discovery.dns {
                let task = discover::run(Arc::clone(&hub), discovery.clone(), name.clone());
                hub.spawn_until_leaving(task);
            }
        }
        let (node, cluster) = (&config.name, &config.cluster);
        tracing::info!(%node, %cluster, %address, "the mesh listens");
        if config.tls == Tls::Off && !address.ip().is_loopback() {
            tracing::warn!(%address, "TLS is off beyond loopback: the network sees and can change what nodes say");
        }
        let events = Events {
            waiting,
            stop: hub.stop.subscribe(),
        };
        let inner = Arc::new(Inner { hub, address });
        Ok((Mesh { inner }, events))
    }

    /// This node's name.
    pub fn name(&self) -> &NodeName {
        &self.inner.hub.me.name
    }

    /// This node's number.
    pub fn id(&self) -> NodeId {
        self.name().id()
    }

    /// This life of the node.
    pub fn incarnation(&self) -> Incarnation {
        self.inner.hub.me.incarnation
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.inner.address
    }

    /// The other members, by name.
    pub fn members(&self) -> Vec<Member> {
        self.inner.hub.core.lock().members.iter().cloned().collect()
    }

    /// How many of a configured list of members, this node included, are more than half of it; none
    /// if members are learned.
    pub fn majority(&self) -> Option<usize> {
        self.inner.hub.core.lock().members.majority()
    }

    /// The peers that are up, as the events have told or are about to.
    pub fn peers(&self) -> Vec<Peer> {
        let links = self.inner.hub.links.read();
        let up = links
            .values()
            .filter(|link| link.is_up.load(Ordering::Acquire));
        up.map(|link| link.peer).collect()
    }

    /// The newest version of messages that this node and all peers that are up read.
    pub fn common_version(&self) -> u16 {
        let links = self.inner.hub.links.read();
        let up = links
            .values()
            .filter(|link| link.is_up.load(Ordering::Acquire));
        let versions = up.map(|link| link.version);
        versions.min().unwrap_or(self.inner.hub.me.versions.newest)
    }

    /// What was refused and what ended, since the start.
    pub fn counts(&self) -> Counts {
        self.inner.hub.book.read()
    }

    /// A number that changes whenever members or peers do, to wait on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.hub.changed.subscribe()
    }

    /// Dials this address, now and again until there is a link. If the members are fixed, only one
    /// of them is accepted there.
    pub fn connect(&self, address: &Address) {
        let hub = &self.inner.hub;
        hub.core
            .lock()
            .dials
            .name(address, Origin::Given, hub.now());
        hub.wake.notify_one();
    }

    /// Queues a message to a peer; never waits. It arrives, once and in order, unless the link ends.
    ///
    /// # Errors
    ///
    /// If the link has ended, or now ends because the other does not read, or the message is too
    /// long. Nothing was sent then.
    pub fn send(&self, peer: Peer, message: Bytes) -> Result<(), NotSent> {
        if message.len() > self.inner.hub.limits.message_bytes {
            return Err(NotSent::TooLong);
        }
        let links = self.inner.hub.links.read();
        let is_up = |link: &&Arc<Link>| link.peer == peer && link.is_up.load(Ordering::Acquire);
        let link = links.get(&peer.node).filter(is_up);
        match link {
            Some(link) if link.out.push(message) => Ok(()),
            _ => Err(NotSent::Down),
        }
    }

    /// Queues a message to every peer that is up, and returns to how many.
    ///
    /// # Errors
    ///
    /// If the message is too long.
    pub fn broadcast(&self, message: &Bytes) -> Result<usize, NotSent> {
        if message.len() > self.inner.hub.limits.message_bytes {
            return Err(NotSent::TooLong);
        }
        let links = self.inner.hub.links.read();
        let up = links
            .values()
            .filter(|link| link.is_up.load(Ordering::Acquire));
        Ok(up.filter(|link| link.out.push(message.clone())).count())
    }

    /// Ends the link to a peer that sent what cannot be read. It is dialled again. Messages of the peer
    /// that have arrived already are still told, and then that it is down.
    pub fn cut(&self, peer: Peer) {
        let links = self.inner.hub.links.read();
        if let Some(link) = links.get(&peer.node).filter(|link| link.peer == peer) {
            link.out.cut(DownReason::Unreadable);
        }
    }

    /// Leaves: what was queued is sent, the others are told, and see this node as gone at once.
    /// Takes at most about two seconds, whatever they do. Events end. If the future is dropped, the
    /// node has begun to leave, and ends when the last handle is dropped.
    pub async fn shutdown(&self) {
        let hub = &self.inner.hub;
        {
            // Under this lock no link is opened that would miss the goodbye.
            let _core = hub.core.lock();
            hub.stop.send_if_modified(|stop| {
                let is_first = *stop == Stop::No;
                if is_first {
                    *stop = Stop::Leaving;
                }
                is_first
            });
        }
        hub.links.read().values().for_each(|link| link.out.leave());
        let mut tasks = hub.tasks.subscribe();
        tokio::select! {
            biased;
            _ = tasks.wait_for(|count| *count == 0) => {}
            () = hub.runtime.sleep(FAREWELL) => {}
        }
        hub.stop.send_replace(Stop::Done);
        // What is left has nothing to wait for.
        let _ = tasks.wait_for(|count| *count == 0).await;
    }
}

impl fmt::Debug for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mesh")
            .field("name", self.name())
            .field("address", &self.inner.address)
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.hub.stop.send_replace(Stop::Done);
        for link in self.hub.links.read().values() {
            link.out.cut(DownReason::Leaving);
        }
    }
}

fn check(config: &Config) -> Result<()> {
    let wrong = |message: &str| Err(Error::new(ErrorKind::Config, message));
    let timing = &config.timing;
    if timing.heartbeat * 3 > timing.suspect_after {
        return wrong(
            "a member must miss three heartbeats before it is suspect: raise suspect_after",
        );
    }
    if timing.suspect_after > timing.cut_after || timing.cut_after > timing.gone_after {
        return wrong("suspect_after, cut_after and gone_after must follow each other");
    }
    let Limits {
        message_bytes,
        queue_bytes,
        inbox_events,
        inbox_bytes,
        greetings,
        ..
    } = config.limits;
    let longest = message_bytes + HEAD_BYTES;
    if longest > queue_bytes || message_bytes > inbox_bytes || u32::try_from(longest).is_err() {
        return wrong("a message must fit into the queue and into the inbox of the mesh");
    }
    if inbox_events == 0 || greetings == 0 || inbox_bytes > Semaphore::MAX_PERMITS {
        return wrong("a limit of the mesh is out of range");
    }
    if let Membership::Fixed(seats) = &config.membership {
        let mut names: Vec<&NodeName> = seats.iter().map(|seat| &seat.name).collect();
        names.sort();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return wrong("a name stands twice in the list of members");
        }
        if !names.contains(&&config.name) {
            return wrong("this node is not in the list of members");
        }
    }
    Ok(())
}

fn hub(
    config: &Config,
    address: SocketAddr,
    sessions: Option<Sessions>,
    runtime: Arc<dyn Runtime>,
    events: mpsc::Sender<crate::event::Waiting>,
) -> Hub {
    let now = runtime.now();
    let reach = match &config.advertise {
        Some(address) => Reach::At(address.clone()),
        None if address.ip().is_unspecified() => Reach::Port(address.port()),
        None => Reach::At(Address::from(address)),
    };
    let me = Identity {
        cluster: config.cluster.clone(),
        name: config.name.clone(),
        incarnation: Incarnation(runtime.random()),
        versions: config.versions,
        reach,
        secret: config.secret.clone(),
    };
    let core = core(config, now);
    Hub {
        timing: config.timing,
        limits: config.limits,
        sessions,
        core: Mutex::new(core),
        links: RwLock::default(),
        events,
        inbox: Arc::new(Semaphore::new(config.limits.inbox_bytes)),
        greetings: Arc::new(Semaphore::new(config.limits.greetings)),
        changed: watch::Sender::new(0),
        wake: Notify::new(),
        stop: watch::Sender::new(Stop::No),
        tasks: watch::Sender::new(0),
        book: Book::default(),
        #[cfg(feature = "wire")]
        network: config.network.clone(),
        me,
        runtime,
    }
}

/// The pure parts, with everything that the configuration names.
fn core(config: &Config, now: larder_core::Mono) -> Core {
    let patience = Patience {
        suspect: config.timing.suspect_after,
        gone: config.timing.gone_after,
        forget: config.timing.forget_after,
    };
    let mut dials = Dials::new(config.name.clone());
    let members = match &config.membership {
        Membership::Learned(discovery) => {
            for address in &discovery.join {
                dials.name(address, Origin::Given, now);
            }
            Members::learned(patience)
        }
        Membership::Fixed(seats) => {
            let others = seats.iter().filter(|seat| seat.name != config.name);
            let seat = |seat: &Seat| (seat.name.clone(), seat.address.clone());
            dials = Dials::fixed(config.name.clone(), others.clone().map(seat), now);
            Members::fixed(patience, others.map(seat), now)
        }
    };
    Core {
        members,
        dials,
        pairs: Pairs::new(config.name.clone()),
    }
}
