//! The interpreter: Lua 5.1, as in Redis, one for each thread.
//!
//! Compiled scripts stay with the interpreter, whichever server they are run for: a script has no
//! state of its own.

use std::cell::RefCell;
use std::collections::HashMap;

use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, LuaOptions, StdLib, Table, Value};

use super::library::{Place, Running};
use super::{convert, errors, library};
use crate::simredis::command::{Args, Outcome, Rights};
use crate::simredis::server::{Failure, Server};

/// Compiled scripts that are kept at most.
const MOST: usize = 4_096;

thread_local! {
    static ENGINE: RefCell<Engine> = RefCell::new(
        Engine::new().expect("the interpreter starts with what is built into it")
    );
}

struct Engine {
    lua: Lua,
    /// The globals of scripts.
    globals: Table,
    /// Runs a script; gives whether it came to its end, and what it returned or was ended by.
    run: Function,
    running: Place,
    compiled: HashMap<String, Function>,
}

impl Engine {
    fn new() -> mlua::Result<Engine> {
        let libraries = StdLib::STRING | StdLib::TABLE | StdLib::MATH;
        let options = LuaOptions::new().catch_rust_panics(false);
        let lua = Lua::new_with(libraries, options)?;
        let running = Place::default();
        let handler = lua.create_function(errors::describe)?;
        let plain = lua.create_function(errors::plain)?;
        let prelude = lua.load(include_str!("prelude.lua"));
        let prelude = prelude.set_name(errors::PRELUDE);
        let (run, pcall, xpcall, rules): (Function, Function, Function, Table) =
            prelude.call((handler, plain))?;
        let globals = library::globals(&lua, &running)?;
        globals.raw_set("pcall", pcall)?;
        globals.raw_set("xpcall", xpcall)?;
        globals.set_metatable(Some(rules))?;
        Ok(Engine {
            lua,
            globals,
            run,
            running,
            compiled: HashMap::new(),
        })
    }

    fn run(&self, hash: &str, keys: &Args<'_>, values: &Args<'_>) -> mlua::Result<Outcome> {
        let script = self.compiled.get(hash);
        let script = script.expect("scripts are compiled before they run");
        for (name, items) in [("KEYS", keys), ("ARGV", values)] {
            let table = self.lua.create_table_with_capacity(items.len(), 0)?;
            for item in items {
                table.raw_push(self.lua.create_string(item)?)?;
            }
            self.globals.raw_set(name, table)?;
        }
        let (is_done, value): (bool, Value) = self.run.call(script)?;
        if is_done {
            return Ok(Ok(convert::to_reply(&value)?));
        }
        let Value::Table(error) = value else {
            return Ok(Err("ERR execution failure".into()));
        };
        let text: mlua::LuaString = error.raw_get("err")?;
        let mut text = text.to_string_lossy();
        let source: Option<String> = error.raw_get("source")?;
        let line: Option<i64> = error.raw_get("line")?;
        if let (Some(source), Some(line)) = (source, line) {
            text.push_str(&format!(" script: {hash}, on {source}:{line}."));
        }
        Ok(Err(text.into()))
    }
}

/// Makes a script ready to run, if it is not.
pub(in crate::simredis) fn compile(hash: &str, text: &[u8]) -> Result<(), Failure> {
    ENGINE.with_borrow_mut(|engine| {
        if engine.compiled.contains_key(hash) {
            return Ok(());
        }
        let chunk = engine.lua.load(text).set_name("@user_script");
        let chunk = chunk.set_mode(ChunkMode::Text);
        let chunk = chunk.set_environment(engine.globals.clone());
        let script = chunk.into_function().map_err(|error| {
            let why = errors::message(&error);
            format!("ERR Error compiling script (new function): {why}")
        })?;
        if engine.compiled.len() >= MOST {
            engine.compiled.clear();
        }
        engine.compiled.insert(hash.to_owned(), script);
        Ok(())
    })
}

/// Runs a script that was compiled. Nothing else happens to the server meanwhile.
pub(super) fn run(server: &mut Server, hash: &str, keys: &Args<'_>, values: &Args<'_>) -> Outcome {
    ENGINE.with_borrow(|engine| {
        let running = Running {
            rights: Rights::of(server),
            server: std::mem::take(server),
        };
        engine.running.replace(Some(running));
        let ended = engine.run(hash, keys, values);
        let running = engine.running.take();
        *server = running
            .expect("whoever takes the server puts it back")
            .server;
        ended.unwrap_or_else(|error| Err(format!("ERR {}", errors::message(&error)).into()))
    })
}

/// What a text gives on an empty server.
#[cfg(test)]
pub(super) fn eval(text: &str, values: &[&[u8]]) -> larder_resp::Reply {
    let mut server = Server::default();
    let hash = sha1_smol::Sha1::from(text).digest().to_string();
    let outcome = compile(&hash, text.as_bytes());
    let outcome = outcome.and_then(|()| run(&mut server, &hash, &[], values));
    outcome.unwrap_or_else(larder_resp::Reply::error)
}

#[cfg(test)]
mod tests {
    use larder_resp::Reply;

    use super::*;

    #[test]
    fn a_script_calls_commands() {
        let text = "redis.call('SET', 'k', ARGV[1]) return redis.call('GET', 'k')";
        assert_eq!(eval(text, &[b"v"]), Reply::bulk("v"));
    }

    #[test]
    fn what_two_runs_would_not_share_is_not_there() {
        for text in [
            "return math.random()",
            "return os.time()",
            "return print('x')",
        ] {
            assert!(matches!(eval(text, &[]), Reply::Error(_)), "{text}");
        }
    }
}
