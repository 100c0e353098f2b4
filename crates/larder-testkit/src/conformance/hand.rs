//! A hand on the server under a store: what makes it forget, refuse and start anew, so that claims can
//! say what a store owes then. One for the simulated server, one for real ones.

use std::sync::Mutex;

use larder_resp::Reply;

use crate::servers::RedisServer;
use crate::simredis::{Dump, SimRedis, Writes};

/// What can be done to a server.
pub trait Hand: Send + Sync {
    /// Runs a script of Lua on it, for what the script does.
    fn run(&self, script: &str);

    /// Keeps what the server holds for [`Hand::restart`].
    fn save(&self);

    /// Ends the process, and starts another one with what was kept, or with nothing. Connections
    /// break.
    fn restart(&self);

    /// Whether the server takes changes from now on.
    fn set_writes(&self, writes: Writes);

    /// Whether the server is full from now on.
    fn set_full(&self, is_full: bool);
}

/// What a script that did all it was to do answers.
const DONE: &str = "done";

fn ending(script: &str) -> String {
    format!("{script} return '{DONE}'")
}

/// A hand on the simulated server.
pub struct OnSimulated {
    server: SimRedis,
    kept: Mutex<Dump>,
}

impl OnSimulated {
    /// On this one.
    pub fn new(server: SimRedis) -> OnSimulated {
        OnSimulated {
            server,
            kept: Mutex::default(),
        }
    }
}

impl Hand for OnSimulated {
    fn run(&self, script: &str) {
        let done = self.server.run(&[b"EVAL", ending(script).as_bytes(), b"0"]);
        assert_eq!(done, Reply::bulk(DONE.as_bytes()), "{script}");
    }

    fn save(&self) {
        *self.kept.lock().expect("nothing panics under it") = self.server.dump();
    }

    fn restart(&self) {
        let kept = self.kept.lock().expect("nothing panics under it");
        self.server.restart(&kept);
    }

    fn set_writes(&self, writes: Writes) {
        self.server.set_writes(writes);
    }

    fn set_full(&self, is_full: bool) {
        self.server.set_full(is_full);
    }
}

/// A hand on a real server, which goes with it.
pub struct OnReal(Mutex<RedisServer>);

impl OnReal {
    /// On this one.
    pub fn new(server: RedisServer) -> OnReal {
        OnReal(Mutex::new(server))
    }

    fn cli(&self, args: &[&str]) -> String {
        let server = self.0.lock().expect("nothing panics under it");
        server.cli(args)
    }

    fn ordered(&self, args: &[&str]) {
        assert_eq!(self.cli(args), "OK", "{args:?}");
    }
}

impl Hand for OnReal {
    fn run(&self, script: &str) {
        let done = self.cli(&["EVAL", &ending(script), "0"]);
        assert_eq!(done, DONE, "{script}");
    }

    fn save(&self) {
        self.ordered(&["SAVE"]);
    }

    fn restart(&self) {
        self.0.lock().expect("nothing panics under it").restart();
    }

    fn set_writes(&self, writes: Writes) {
        let (primary, needed) = match writes {
            Writes::Allowed => (["NO", "ONE"], "0"),
            // Nobody listens there.
            Writes::Replica => (["127.0.0.1", "1"], "0"),
            Writes::NoReplicas => (["NO", "ONE"], "1"),
        };
        self.cli(&["REPLICAOF", primary[0], primary[1]]);
        self.ordered(&["CONFIG", "SET", "min-replicas-to-write", needed]);
    }

    fn set_full(&self, is_full: bool) {
        let most = if is_full { "1" } else { "0" };
        self.ordered(&["CONFIG", "SET", "maxmemory", most]);
    }
}

/// A key of the store's own, behind the store's prefix, as an expression of Lua.
pub(super) fn lua_key(prefix: &[u8], key: &[u8]) -> String {
    let escaped = |byte: &u8| format!("\\{byte:03}");
    let bytes: String = prefix.iter().chain(key).map(escaped).collect();
    format!("'{bytes}'")
}
