//! The network between the nodes of a mesh, in the place of sockets: connections that carry bytes in
//! order or break, ways that are cut in one direction or in both, processes that die and machines
//! that do.
//!
//! What is known of TCP is kept. What is written arrives in order, behind what was written before it.
//! While a way is cut, it waits there, and is sent again. A connection that breaks loses what is under
//! way in both directions, and its ends learn of that each in its own time, or only by the silence. A
//! process that dies says goodbye through its kernel, a machine that dies does not; what arrives for
//! it afterwards is refused once it is there again. A process that stands still takes nothing out of
//! its connections, and whoever writes to it waits once these are full.

mod pipe;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use larder_core::runtime::{BoxFuture, Mono, Runtime};
use larder_mesh::wire::{Door, Network, Stream};
use tokio::sync::mpsc;

use super::{Fault, Faults, Journal, Random, SimRuntime};
use pipe::{End, Pipe};

/// The longest usual way in one direction, in nanoseconds.
const WAY: u64 = 1_000_000;
/// How long a kernel waits before it sends again what nobody has confirmed.
const AGAIN: Duration = Duration::from_millis(50);
/// The smallest and the greatest room of a connection for what is under way and not read, in bytes.
const ROOM: (u64, u64) = (512, 65_536);

/// The network of one run.
#[derive(Clone)]
pub struct Net(Arc<Inner>);

struct Inner {
    runtime: SimRuntime,
    random: Mutex<Random>,
    faults: Faults,
    journal: Journal,
    state: Mutex<State>,
    is_calm: AtomicBool,
}

struct State {
    doors: BTreeMap<SocketAddr, Knocking>,
    /// How many cuts lie on the way from one node to another.
    cuts: Vec<Vec<u32>>,
    /// Machines that are there.
    is_up: Vec<bool>,
    connections: Vec<Connection>,
}

/// Somebody knocks, and where he comes from.
type Knock = (Box<dyn Stream>, SocketAddr);

struct Knocking {
    process: usize,
    knock: mpsc::UnboundedSender<Knock>,
}

/// Both ways of a connection, the first from the node that dialled.
#[derive(Clone)]
struct Connection {
    nodes: [usize; 2],
    pipes: [Arc<Pipe>; 2],
}

/// How a process comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// Its kernel lives: what it has sent arrives, and then the end.
    Process,
    /// Nothing arrives any more, not even word of it.
    Machine,
}

/// How a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    /// Both ends hear of it.
    Told,
    /// One of them does.
    HalfTold(usize),
    /// Nobody does.
    Silent,
}

impl Net {
    /// The network of so many nodes, with these faults, which are counted in `journal`.
    pub fn new(runtime: &SimRuntime, nodes: usize, faults: Faults, journal: Journal) -> Net {
        Net(Arc::new(Inner {
            runtime: runtime.outside(),
            random: Mutex::new(runtime.fork_random()),
            faults,
            journal,
            state: Mutex::new(State {
                doors: BTreeMap::new(),
                cuts: vec![vec![0; nodes]; nodes],
                is_up: vec![true; nodes],
                connections: Vec::new(),
            }),
            is_calm: AtomicBool::default(),
        }))
    }

    /// Where a node listens.
    pub fn address(node: usize) -> SocketAddr {
        let last = u8::try_from(node + 1).expect("there are few nodes");
        ([10, 0, 0, last], 7400).into()
    }

    /// The network as one process of a node has it.
    pub fn of(&self, node: usize, process: usize) -> Arc<dyn Network> {
        self.state().is_up[node] = true;
        Arc::new(Desk {
            net: self.clone(),
            node,
            process,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.0.state.lock();
        state.expect("no task panics while it holds the network's state")
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        draw(&mut self.0.random.lock().expect("drawing does not panic"))
    }

    fn note(&self, text: impl FnOnce() -> String) {
        self.0.journal.note(self.0.runtime.now(), text);
    }

    fn faults(&self) -> Faults {
        if self.0.is_calm.load(Ordering::Relaxed) {
            Faults::default()
        } else {
            self.0.faults
        }
    }

    fn delay(&self) -> Duration {
        let slow = self.faults().slow;
        let is_slow = slow > 0 && self.draw(|random| random.per_mille(slow));
        if is_slow {
            self.0.journal.fault(Fault::Slow);
        }
        let scale = if is_slow { 100 } else { 1 };
        Duration::from_nanos(self.draw(|random| random.below(WAY * scale)))
    }

    /// Cuts the way from one node to another, once more. Each cut is healed by itself.
    pub fn cut(&self, from: usize, to: usize) {
        self.note(|| format!("nothing arrives any longer from node {from} at node {to}"));
        self.state().cuts[from][to] += 1;
    }

    /// Takes one such cut back.
    pub fn heal(&self, from: usize, to: usize) {
        let cuts = &mut self.state().cuts[from][to];
        *cuts = cuts.saturating_sub(1);
        let is_whole = *cuts == 0;
        if is_whole {
            self.note(|| format!("the way from node {from} to node {to} is whole"));
        }
    }

    fn is_cut(&self, from: usize, to: usize) -> bool {
        self.state().cuts[from][to] > 0
    }

    /// Ends all that goes wrong: from now on nothing is lost or slow. What is cut is to be healed by
    /// whoever has cut it.
    pub fn calm(&self) {
        self.0.is_calm.store(true, Ordering::Relaxed);
    }

    /// Breaks all connections between two nodes.
    pub fn sever(&self, one: usize, other: usize) {
        let open = self.state().connections.clone();
        for connection in open {
            if connection.nodes == [one, other] || connection.nodes == [other, one] {
                self.break_off(&connection);
            }
        }
    }

    /// A process is about to die. Its tasks are to be ended next.
    pub fn dies(&self, node: usize, process: usize, death: Death) {
        let mut state = self.state();
        state.doors.retain(|_, door| door.process != process);
        if death == Death::Process {
            return;
        }
        state.is_up[node] = false;
        let open = state.connections.clone();
        drop(state);
        for connection in open {
            for (from, pipe) in connection.nodes.into_iter().zip(&connection.pipes) {
                if from == node {
                    pipe.lose_all();
                }
            }
        }
    }

    fn break_off(&self, connection: &Connection) {
        let how = match self.draw(|random| random.below(4)) {
            0 | 1 => Break::Told,
            2 => Break::HalfTold(self.draw(|random| random.below(2) as usize)),
            _ => Break::Silent,
        };
        let [one, other] = connection.nodes;
        self.note(|| format!("the connection of nodes {one} and {other} breaks: {how:?}"));
        for pipe in &connection.pipes {
            pipe.lose_all();
        }
        self.forget(connection);
        for at in 0..2 {
            if how == Break::Told || how == Break::HalfTold(at) {
                self.reset(connection, at);
            }
        }
    }

    /// Lets one end of a connection know, after a while, that it has ended.
    fn reset(&self, connection: &Connection, at: usize) {
        let (connection, after) = (connection.clone(), self.delay());
        let word = Box::pin(async move { connection.break_end(at) });
        self.0.runtime.spawn_after(after, word);
    }

    fn forget(&self, connection: &Connection) {
        let is_other = |other: &Connection| !Arc::ptr_eq(&other.pipes[0], &connection.pipes[0]);
        self.state().connections.retain(is_other);
    }

    /// Done once something small has got from one node to another.
    async fn way(&self, from: usize, to: usize) {
        self.0.runtime.pause(self.delay()).await;
        while self.is_cut(from, to) {
            self.0.runtime.sleep(AGAIN).await;
        }
    }

    async fn connect(&self, from: usize, address: SocketAddr) -> io::Result<Box<dyn Stream>> {
        let nodes = self.state().cuts.len();
        let to = (0..nodes).find(|node| Net::address(*node) == address);
        let to = to.ok_or(io::ErrorKind::HostUnreachable)?;
        self.way(from, to).await;
        while !self.state().is_up[to] {
            self.0.runtime.sleep(AGAIN).await;
        }
        let (near, far, connection) = self.ends(from, to);
        let door = self
            .state()
            .doors
            .get(&address)
            .map(|door| door.knock.clone());
        let is_open = door.is_some_and(|door| door.send((far, Net::address(from))).is_ok());
        if is_open {
            self.state().connections.push(connection);
        }
        self.way(to, from).await;
        if is_open {
            Ok(near)
        } else {
            Err(io::ErrorKind::ConnectionRefused.into())
        }
    }

    fn ends(&self, from: usize, to: usize) -> (Box<dyn Stream>, Box<dyn Stream>, Connection) {
        let room = self.draw(|random| ROOM.0 + random.below(ROOM.1 - ROOM.0)) as usize;
        let pipe = |from, to| Arc::new(Pipe::new(self.clone(), (from, to), room));
        let connection = Connection {
            nodes: [from, to],
            pipes: [pipe(from, to), pipe(to, from)],
        };
        let near = End::new(connection.clone(), 0);
        let far = End::new(connection.clone(), 1);
        (Box::new(near), Box::new(far), connection)
    }
}

impl Connection {
    /// The end at this place (0 dialled) knows that there is nobody at the other end.
    fn break_end(&self, at: usize) {
        self.pipes[at].refuse();
        self.pipes[1 - at].break_off();
    }
}

/// One process's part of the network.
struct Desk {
    net: Net,
    node: usize,
    process: usize,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

impl Network for Desk {
    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Door>> {
        let (knock, knocks) = mpsc::unbounded_channel();
        let door = Knocking {
            process: self.process,
            knock,
        };
        match self.net.state().doors.insert(at, door) {
            None => Ok(Box::new(Knocks(knocks))),
            Some(_) => Err(io::ErrorKind::AddrInUse.into()),
        }
    }

    fn connect(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Stream>>> {
        Box::pin(self.net.connect(self.node, to))
    }
}

struct Knocks(mpsc::UnboundedReceiver<Knock>);

impl Door for Knocks {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<Knock>> {
        Box::pin(async {
            let knock = self.0.recv().await;
            knock.ok_or(io::ErrorKind::NotConnected.into())
        })
    }
}

impl Net {
    fn now(&self) -> Mono {
        self.0.runtime.now()
    }
}
