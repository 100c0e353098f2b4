//! A Redis server inside the process, for simulation: the scripts that run on a real one run on it
//! as they are, in virtual time, and everything that can happen to a server can happen to it at a
//! chosen moment.
//!
//! It knows the commands that Larder's scripts and code need, as Redis 7.0 has them, down to the
//! texts of errors; [`crate::differential`] compares it with a real server. Nothing in it knows
//! what the scripts are for.
//!
//! One command, or one script, takes place at one moment. The server's clock begins with its
//! runtime's wall clock and goes on with its monotonic one, plus whatever it was stepped by.

mod channels;
mod command;
mod connection;
mod keyspace;
pub mod mutants;
mod script;
mod server;
mod stream;

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use larder_core::runtime::{Mono, Runtime};
use larder_resp::Reply;
use tokio::sync::{mpsc, watch};

use keyspace::Keyspace;
use server::Server;

pub use connection::{Direct, SimConnection};
pub use server::Writes;

/// The server. Clones are the same one.
#[derive(Clone)]
pub struct SimRedis(Arc<Inner>);

struct Inner {
    runtime: Arc<dyn Runtime>,
    /// When the server was made: by the monotonic clock, and in microseconds by the wall clock.
    began: (Mono, i64),
    state: Mutex<State>,
    /// The number of the present process: raised by every restart, which ends all connections.
    process: watch::Sender<u64>,
}

struct State {
    server: Server,
    /// By how much the clock was stepped, in microseconds.
    stepped_us: i64,
    /// The latest time that the clock has shown.
    latest_us: i64,
}

/// What a server holds at one moment, as a dump has it, or a replica that lags behind.
#[derive(Clone, Default)]
pub struct Dump(Keyspace);

impl SimRedis {
    /// An empty server.
    pub fn new(runtime: Arc<dyn Runtime>) -> SimRedis {
        let wall_ms = i64::try_from(runtime.wall().0).unwrap_or(0);
        let server = Server {
            run_id: run_id(&*runtime),
            ..Server::default()
        };
        SimRedis(Arc::new(Inner {
            began: (runtime.now(), wall_ms * 1_000),
            state: Mutex::new(State {
                server,
                stepped_us: 0,
                latest_us: 0,
            }),
            process: watch::Sender::new(0),
            runtime,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.0.state.lock().expect("no command panics");
        let (began, wall_us) = self.0.began;
        let passed = self.0.runtime.now().since(began).as_micros();
        let passed = i64::try_from(passed).unwrap_or(i64::MAX);
        state.server.now_us = wall_us + passed + state.stepped_us;
        state.latest_us = state.latest_us.max(state.server.now_us);
        state
    }

    /// Runs one command: its name, then its arguments.
    pub fn run(&self, args: &[&[u8]]) -> Reply {
        command::run(&mut self.state().server, args)
    }

    /// The server's clock in microseconds since the Unix epoch.
    pub fn now_us(&self) -> i64 {
        self.state().server.now_us
    }

    /// Whether the clock was set back to a time that it has shown before, and is not beyond yet.
    pub fn is_in_the_past(&self) -> bool {
        let state = self.state();
        state.server.now_us < state.latest_us
    }

    /// All messages of a channel from now on, until the server restarts or too many wait.
    pub fn subscribe(&self, channel: &[u8]) -> mpsc::Receiver<Bytes> {
        self.state().server.channels.subscribe(channel)
    }

    /// The ends of all lives that have one, in milliseconds by the server's clock.
    pub fn ends(&self) -> Vec<i64> {
        self.state().server.keys.ends().collect()
    }

    /// All keys whose life is not over, in order.
    pub fn keys(&self) -> Vec<Bytes> {
        let state = self.state();
        let now = state.server.now_ms();
        let keys = state.server.keys.live(now);
        keys.map(|(key, _)| key.clone()).collect()
    }
}

/// What can happen to a server.
impl SimRedis {
    /// Silently loses every key of which `goes` holds, asked in the order of the keys.
    pub fn evict(&self, mut goes: impl FnMut(&[u8]) -> bool) -> usize {
        self.state().server.keys.evict(|key| goes(key))
    }

    /// Moves the clock, forward or back.
    pub fn step_clock(&self, by_ms: i64) {
        self.state().stepped_us += by_ms * 1_000;
    }

    /// Sets the clock, in microseconds since the Unix epoch.
    pub fn set_clock(&self, now_us: i64) {
        let mut state = self.state();
        state.stepped_us += now_us - state.server.now_us;
    }

    /// Whether changes are taken from now on.
    pub fn set_writes(&self, writes: Writes) {
        let mut state = self.state();
        state.server.writes = writes;
        state.server.keys.keeps_ended = writes == Writes::Replica;
    }

    /// Whether the server is full from now on: what needs memory is refused.
    pub fn set_full(&self, is_full: bool) {
        self.state().server.is_full = is_full;
    }

    /// What the server holds now.
    pub fn dump(&self) -> Dump {
        Dump(self.state().server.keys.clone())
    }

    /// Ends the process and starts another one with these contents: those of a dump, or with
    /// [`Dump::default`] none. Connections break, scripts are forgotten, the run id is another
    /// one. The same is seen where a replica is promoted and takes over the name of its primary.
    pub fn restart(&self, dump: &Dump) {
        let run_id = run_id(&*self.0.runtime);
        let mut state = self.state();
        let mut keys = dump.0.clone();
        keys.keeps_ended = false;
        state.server = Server {
            keys,
            run_id,
            now_us: state.server.now_us,
            ..Server::default()
        };
        drop(state);
        self.0.process.send_modify(|process| *process += 1);
    }

    /// Gives the present process this run id.
    pub fn set_run_id(&self, run_id: &str) {
        run_id.clone_into(&mut self.state().server.run_id);
    }
}

/// Forty hexadecimal digits, drawn.
fn run_id(runtime: &dyn Runtime) -> String {
    let digits: String = (0..3)
        .map(|_| format!("{:016x}", runtime.random()))
        .collect();
    digits[..40].to_owned()
}
