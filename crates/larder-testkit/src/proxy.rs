//! A TCP proxy that stands between a client and a real server and does to their bytes what bad
//! networks do: late, thin, torn, swallowed in one direction or both, reset, refused.
//!
//! Faults are set, changed and healed while connections are open; they hold for all of them and for
//! those to come, in one direction or in both. Connections on which a certain text was sent can be
//! told apart, such as those that subscribe to a channel. The proxy runs on a thread of its own, so
//! that it goes on while a test blocks; each call returns once it is in force: no byte passes
//! against it afterwards. It does not know what protocol it carries.
//!
//! What the kernel alone can do is not imitated: a connection to a black hole is opened, though
//! nothing ever comes back; latency delays bytes, not the opening.
//!
//! Invariant: a connection that has lost bytes never carries any again in that direction, since no
//! TCP delivers a stream with a hole. Healing resets it, as a peer does that has forgotten it.

mod connection;
mod counts;
mod door;
mod faults;
mod way;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::mpsc;

pub use counts::{Counts, Flow};
pub use faults::Traffic;

use door::{Door, Order};
use faults::{DoorIs, Rules};

/// A fault of a network, for [`Proxy::set`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Bytes arrive so much later; each piece later still by a random part of `jitter`, but never
    /// before an earlier one.
    Latency {
        /// For all bytes.
        least: Duration,
        /// At most so much more.
        jitter: Duration,
    },
    /// So many bytes a second for each connection. At least 1.
    Bandwidth(u64),
    /// Pieces of at most so many bytes are written one by one, with a pause between them.
    Slices {
        /// At least 1.
        bytes: usize,
        /// How far they are apart.
        pause: Duration,
    },
    /// Bytes wait and are delivered after the healing, as TCP does that goes on repeating them.
    Stall,
    /// Bytes are taken and never delivered, nor is it told that either side has closed: a link that
    /// is open for one side or for both and leads nowhere.
    BlackHole,
    /// After so many more bytes on a connection, it is closed.
    Limit(u64),
}

/// A running proxy. Dropping it closes everything.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    // At most one order per caller waits here, since each waits until its own is carried out.
    orders: mpsc::UnboundedSender<Order>,
    counts: Arc<counts::Counters>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and carries everything to `target` and back, without
    /// faults.
    ///
    /// # Panics
    ///
    /// If there is no port or no thread to be had.
    pub fn start(target: SocketAddr) -> Proxy {
        match Proxy::try_start(target) {
            Ok(proxy) => proxy,
            Err(error) => panic!("the proxy could not be started: {error}"),
        }
    }

    /// The same to a port of this machine.
    ///
    /// # Panics
    ///
    /// Like [`Proxy::start`].
    pub fn to_port(port: u16) -> Proxy {
        Proxy::start(([127, 0, 0, 1], port).into())
    }

    fn try_start(target: SocketAddr) -> io::Result<Proxy> {
        let counts = Arc::new(counts::Counters::default());
        let (orders, waiting) = mpsc::unbounded_channel();
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let counters = counts.clone();
        // The runtime begins and ends on its thread: the caller may be on one of its own.
        let run = move || {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let door = Door::open(target, counters).await?;
                // An error: the caller is gone, and so are its orders.
                let _ = tell.send(door.address());
                door.run(waiting).await;
                Ok(())
            })
        };
        let thread = std::thread::Builder::new().name("fault-proxy".to_owned());
        let thread = thread.spawn(run)?;
        let Ok(address) = told.recv() else {
            let ended = thread.join();
            let error = ended.map(|result: io::Result<()>| result.err());
            return Err(error.ok().flatten().unwrap_or(io::ErrorKind::Other.into()));
        };
        Ok(Proxy {
            address,
            orders,
            counts,
            thread: Some(thread),
        })
    }

    /// Tells connections apart from now on: those on which a client has sent `text` are *marked*,
    /// for [`Traffic::marked`].
    ///
    /// # Panics
    ///
    /// If there is no text.
    #[must_use]
    pub fn marking(self, text: &[u8]) -> Proxy {
        assert!(!text.is_empty(), "a mark is some text");
        let mark: Arc<[u8]> = text.into();
        self.change(move |rules| rules.mark = Some(mark));
        self
    }

    /// Returns where to connect to instead of the target.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the port of [`Proxy::address`].
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns what has passed so far and what has not.
    pub fn counts(&self) -> Counts {
        self.counts.read()
    }

    /// Does this to some of the bytes, on connections that are open and those to come. Different
    /// faults add up; another one of the same kind takes the place of the first.
    pub fn set(&self, traffic: Traffic, fault: Fault) {
        self.change(move |rules| rules.set(traffic, fault));
    }

    /// Takes all faults away and accepts connections again. What waits is delivered; connections
    /// that have lost bytes are reset.
    pub fn heal(&self) {
        self.change(|rules| {
            rules.mend();
            rules.heals += 1;
        });
    }

    /// The same, but connections that have lost bytes stay as dead as they are: neither side is
    /// ever told. Later connections are sound.
    pub fn heal_new(&self) {
        self.change(Rules::mend);
    }

    /// Resets (RST) all connections that are open, once. New ones are accepted.
    pub fn reset(&self) {
        self.end(faults::Ending::Reset, None);
    }

    /// Resets all connections that are open, and new ones as soon as they are, until healed.
    pub fn reset_all(&self) {
        self.end(faults::Ending::Reset, Some(DoorIs::Resetting));
    }

    /// Leads to another port of this machine from now on, as a name does after a failover. All
    /// connections that are open are reset.
    pub fn lead_to_port(&self, port: u16) {
        self.change(move |rules| rules.target = Some(([127, 0, 0, 1], port).into()));
        self.reset();
    }

    /// Closes all connections and refuses new ones, as the port of a dead server does, until
    /// healed.
    pub fn cut(&self) {
        self.end(faults::Ending::Close, Some(DoorIs::Shut));
    }

    fn end(&self, how: faults::Ending, door: Option<DoorIs>) {
        self.change(move |rules| {
            rules.ends.0 += 1;
            rules.ends.1 = how;
            rules.door = door.unwrap_or(rules.door);
        });
    }

    /// Has the rules changed by the proxy's own thread, and waits until it has been done.
    fn change(&self, change: impl FnOnce(&mut Rules) + Send + 'static) {
        let (done, wait) = std::sync::mpsc::sync_channel(1);
        let order = Order {
            change: Box::new(change),
            done,
        };
        // Both fail only if the thread has panicked.
        let sent = self.orders.send(order).is_ok();
        assert!(sent && wait.recv().is_ok(), "the proxy's thread is alive");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Without its other end the door closes.
        let (nobody, _) = mpsc::unbounded_channel();
        drop(std::mem::replace(&mut self.orders, nobody));
        if let Some(thread) = self.thread.take() {
            // It has panicked: the test that needed it has seen that.
            let _ = thread.join();
        }
    }
}
