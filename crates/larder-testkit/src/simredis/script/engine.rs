//! The interpreter: Lua 5.1, as in Redis, one for each thread. What a script can reach is what
//! Redis lets it reach, without what would make two runs differ.
//!
//! Compiled scripts stay with the interpreter, whichever server they are run for: a script has no
//! state of its own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use larder_resp::Reply;
use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, LuaOptions, StdLib, Table, Value, Variadic};
use smallvec::SmallVec;

use super::{convert, numbers, packing};
use crate::simredis::command::{Args, Outcome, Rights, run_in_script};
use crate::simredis::server::{Failure, Server};

/// Compiled scripts that are kept at most.
const MOST: usize = 4_096;

/// Of Lua's own functions those that Redis has too and that give the same in every run.
const GLOBALS: [&str; 17] = [
    "assert",
    "error",
    "getmetatable",
    "ipairs",
    "next",
    "pairs",
    "pcall",
    "rawequal",
    "rawget",
    "rawset",
    "select",
    "setmetatable",
    "tonumber",
    "tostring",
    "type",
    "unpack",
    "xpcall",
];
const LIBRARIES: [&str; 3] = ["string", "table", "math"];

thread_local! {
    static ENGINE: RefCell<Engine> = RefCell::new(
        Engine::new().expect("the interpreter starts with what is built into it")
    );
}

/// A server while a script of it runs.
struct Running {
    server: Server,
    rights: Rights,
}

type Place = Rc<RefCell<Option<Running>>>;

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
        let place = running.clone();
        let command = lua.create_function(move |lua, args| command(lua, &place, &args))?;
        let handler = lua.create_function(|lua, error| describe(lua, &error))?;
        let prelude = lua.load(include_str!("prelude.lua")).set_name(PRELUDE);
        let (run, call, rules): (Function, Function, Table) =
            prelude.call((command.clone(), handler))?;
        let globals = globals(&lua, call, command)?;
        globals.set_metatable(Some(rules))?;
        Ok(Engine {
            lua,
            globals,
            run,
            running,
            compiled: HashMap::new(),
        })
    }
}

const PRELUDE: &str = "=prelude";

fn globals(lua: &Lua, call: Function, pcall: Function) -> mlua::Result<Table> {
    let (globals, own) = (lua.create_table()?, lua.globals());
    for name in GLOBALS {
        globals.raw_set(name, own.raw_get::<Value>(name)?)?;
    }
    for name in LIBRARIES {
        globals.raw_set(name, own.raw_get::<Table>(name)?)?;
    }
    let math: Table = own.raw_get("math")?;
    for random in ["random", "randomseed"] {
        math.raw_set(random, Value::Nil)?;
    }
    let redis = lua.create_table()?;
    redis.raw_set("call", call)?;
    redis.raw_set("pcall", pcall)?;
    redis.raw_set("sha1hex", lua.create_function(sha1hex)?)?;
    redis.raw_set("error_reply", lua.create_function(error_reply)?)?;
    redis.raw_set("status_reply", lua.create_function(status_reply)?)?;
    globals.raw_set("redis", redis)?;
    let packing = lua.create_table()?;
    packing.raw_set("pack", lua.create_function(packing::pack)?)?;
    packing.raw_set("unpack", lua.create_function(packing::unpack)?)?;
    packing.raw_set("size", lua.create_function(packing::size)?)?;
    globals.raw_set("struct", packing)?;
    Ok(globals)
}

/// Makes a script ready to run, if it is not.
pub(super) fn compile(hash: &str, text: &[u8]) -> Result<(), Failure> {
    ENGINE.with_borrow_mut(|engine| {
        if engine.compiled.contains_key(hash) {
            return Ok(());
        }
        let chunk = engine.lua.load(text).set_name("@user_script");
        let chunk = chunk.set_mode(ChunkMode::Text);
        let chunk = chunk.set_environment(engine.globals.clone());
        let script = chunk.into_function().map_err(|error| {
            let why = message(&error);
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
        ended.unwrap_or_else(|error| Err(format!("ERR {}", message(&error)).into()))
    })
}

impl Engine {
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

/// Runs a command of a script. An error is a table with the field `err`.
fn command(lua: &Lua, place: &Place, args: &Variadic<Value>) -> mlua::Result<Value> {
    let failure = |text: &str| convert::to_lua(lua, &Reply::error(text));
    if args.is_empty() {
        return failure("ERR Please specify at least one argument for this redis.call() call");
    }
    let mut texts: SmallVec<[mlua::LuaString; 8]> = SmallVec::with_capacity(args.len());
    for arg in args.iter() {
        texts.push(match arg {
            Value::String(text) => text.clone(),
            Value::Integer(number) => lua.create_string(number.to_string())?,
            Value::Number(number) => lua.create_string(numbers::argument(*number))?,
            _ => {
                let why = "Lua redis lib command arguments must be strings or integers";
                return failure(&format!("ERR {why}"));
            }
        });
    }
    let bytes: SmallVec<[_; 8]> = texts.iter().map(mlua::LuaString::as_bytes).collect();
    let args: SmallVec<[&[u8]; 8]> = bytes.iter().map(|bytes| &bytes[..]).collect();
    let mut running = place.borrow_mut();
    let Running { server, rights } = running.as_mut().expect("only scripts call commands");
    let reply = run_in_script(server, rights, &args).unwrap_or_else(Reply::error);
    drop(running);
    convert::to_lua(lua, &reply)
}

/// Makes of whatever ended a script a table of what, and where: in the innermost function that is
/// the script's own.
fn describe(lua: &Lua, error: &Value) -> mlua::Result<Value> {
    let place = (1..).map_while(|level| {
        lua.inspect_stack(level, |frame| {
            let source = frame.source();
            let is_own = source.what != "C" && source.source.as_deref() != Some(PRELUDE);
            let name = source.source.map(|source| source.into_owned());
            is_own.then(|| (name, frame.current_line()))
        })
    });
    let (source, line) = place.flatten().next().unwrap_or_default();
    let table = match error {
        Value::Table(table) => table.clone(),
        other => {
            let text = match other {
                Value::Error(error) => {
                    let line = line.unwrap_or(0);
                    format!("user_script:{line}: {}", message(error))
                }
                other => other.to_string()?,
            };
            let table = lua.create_table()?;
            table.raw_set("err", format!("ERR {text}"))?;
            table
        }
    };
    table.raw_set("source", source)?;
    table.raw_set("line", line)?;
    Ok(Value::Table(table))
}

/// What Lua would say, without what the binding adds.
fn message(error: &mlua::Error) -> String {
    match error {
        mlua::Error::RuntimeError(text) => text.clone(),
        mlua::Error::SyntaxError { message, .. } => message.clone(),
        mlua::Error::CallbackError { cause, .. } => message(cause),
        other => other.to_string(),
    }
}

fn sha1hex(_lua: &Lua, text: mlua::LuaString) -> mlua::Result<String> {
    let bytes = text.as_bytes();
    Ok(sha1_smol::Sha1::from(&bytes[..]).digest().to_string())
}

/// A text without a code gets the code `ERR`; a minus before it is none of it.
fn error_reply(lua: &Lua, text: mlua::LuaString) -> mlua::Result<Value> {
    let text = text.to_string_lossy();
    let text = text.strip_prefix('-').unwrap_or(&text);
    let text = if text.contains(' ') {
        text.to_owned()
    } else {
        format!("ERR {text}")
    };
    convert::to_lua(lua, &Reply::error(text))
}

fn status_reply(lua: &Lua, text: mlua::LuaString) -> mlua::Result<Value> {
    convert::to_lua(lua, &Reply::Simple(convert::copy(&text)))
}

/// For tests of this folder: what a text gives on an empty server.
#[cfg(test)]
pub(super) fn eval(text: &str, values: &[&[u8]]) -> Reply {
    let mut server = Server::default();
    let hash = sha1_smol::Sha1::from(text).digest().to_string();
    let outcome = compile(&hash, text.as_bytes());
    let outcome = outcome.and_then(|()| run(&mut server, &hash, &[], values));
    outcome.unwrap_or_else(Reply::error)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn bulk(text: &str) -> Reply {
        Reply::Bulk(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn a_script_calls_commands() {
        let text = "redis.call('SET', 'k', ARGV[1]) return redis.call('GET', 'k')";
        assert_eq!(eval(text, &[b"v"]), bulk("v"));
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
