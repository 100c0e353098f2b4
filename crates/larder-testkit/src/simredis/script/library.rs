//! What a script can reach: what Redis lets it reach, without what would make two runs differ.

use std::cell::RefCell;
use std::rc::Rc;

use larder_resp::Reply;
use mlua::{Function, Lua, LuaString, Result, Table, Value, Variadic};
use smallvec::SmallVec;

use super::{convert, errors, numbers, packing};
use crate::simredis::command::{Rights, run_in_script};
use crate::simredis::server::Server;

/// Of Lua's own functions those that Redis has too and that give the same in every run.
const FUNCTIONS: &str = "assert error getmetatable ipairs next pairs rawequal rawget rawset select \
                         setmetatable tonumber tostring type unpack";
const LIBRARIES: [&str; 3] = ["string", "table", "math"];

/// A server while a script of it runs.
pub(super) struct Running {
    pub(super) server: Server,
    pub(super) rights: Rights,
}

/// Where the running script finds its server.
pub(super) type Place = Rc<RefCell<Option<Running>>>;

/// The globals of all scripts, but for those of the prelude and the arguments of a call.
pub(super) fn globals(lua: &Lua, running: &Place) -> Result<Table> {
    let (globals, own) = (lua.create_table()?, lua.globals());
    for name in FUNCTIONS.split_whitespace() {
        globals.raw_set(name, own.raw_get::<Function>(name)?)?;
    }
    for name in LIBRARIES {
        globals.raw_set(name, own.raw_get::<Table>(name)?)?;
    }
    let math: Table = own.raw_get("math")?;
    for random in ["random", "randomseed"] {
        math.raw_set(random, Value::Nil)?;
    }
    let redis = lua.create_table()?;
    let place = running.clone();
    let call = lua.create_function(move |lua, args| match command(lua, &place, &args)? {
        Reply::Error(text) => Err(errors::reply(String::from_utf8_lossy(&text))),
        reply => convert::to_lua(lua, &reply),
    })?;
    redis.raw_set("call", call)?;
    let place = running.clone();
    let pcall = lua.create_function(move |lua, args| {
        let reply = command(lua, &place, &args)?;
        convert::to_lua(lua, &reply)
    })?;
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

/// Runs a command of a script.
fn command(lua: &Lua, place: &Place, args: &Variadic<Value>) -> Result<Reply> {
    if args.is_empty() {
        let why = "ERR Please specify at least one argument for this redis lib call";
        return Ok(Reply::error(why));
    }
    let mut texts: SmallVec<[LuaString; 8]> = SmallVec::with_capacity(args.len());
    for arg in args.iter() {
        texts.push(match arg {
            Value::String(text) => text.clone(),
            Value::Integer(number) => lua.create_string(number.to_string())?,
            Value::Number(number) => lua.create_string(numbers::argument(*number))?,
            _ => {
                let why = "ERR Lua redis lib command arguments must be strings or integers";
                return Ok(Reply::error(why));
            }
        });
    }
    let bytes: SmallVec<[_; 8]> = texts.iter().map(LuaString::as_bytes).collect();
    let args: SmallVec<[&[u8]; 8]> = bytes.iter().map(|bytes| &bytes[..]).collect();
    let mut running = place.borrow_mut();
    let Running { server, rights } = running.as_mut().expect("only scripts call commands");
    let outcome = run_in_script(server, rights, &args);
    Ok(outcome.unwrap_or_else(Reply::error))
}

fn sha1hex(_lua: &Lua, text: LuaString) -> Result<String> {
    let bytes = text.as_bytes();
    Ok(sha1_smol::Sha1::from(&bytes[..]).digest().to_string())
}

/// A text without a code gets the code `ERR`; a minus before it is none of it.
fn error_reply(lua: &Lua, text: LuaString) -> Result<Value> {
    let text = text.to_string_lossy();
    let text = text.strip_prefix('-').unwrap_or(&text);
    let text = if text.contains(' ') {
        text.to_owned()
    } else {
        format!("ERR {text}")
    };
    convert::to_lua(lua, &Reply::error(text))
}

fn status_reply(lua: &Lua, text: LuaString) -> Result<Value> {
    convert::to_lua(lua, &Reply::Simple(convert::copy(&text)))
}
