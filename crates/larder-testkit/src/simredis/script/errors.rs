//! What ends a script, as Redis tells it: a table with the field `err`, and the place.

use std::fmt;

use larder_resp::Reply;
use mlua::{Error, Lua, Result, Value};

use super::convert;

/// The name of the prelude, which is no place to tell people of.
pub(super) const PRELUDE: &str = "=prelude";

/// An error of a function of ours. Bindings give scripts an opaque object instead of what Redis
/// gives; [`plain`] puts that right before a script can see it.
#[derive(Debug)]
enum Raised {
    /// The error reply of a command.
    Reply(String),
    /// A text, with the place in front.
    Text(String),
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Raised::Reply(text) | Raised::Text(text)) = self;
        f.write_str(text)
    }
}

impl std::error::Error for Raised {}

/// Ends a script by the error reply of a command.
pub(super) fn reply(text: impl Into<String>) -> Error {
    Error::external(Raised::Reply(text.into()))
}

/// Ends a script by a text. The place in front of it is that of whoever called the function.
pub(super) fn text(lua: &Lua, why: &str) -> Error {
    let caller = lua.inspect_stack(1, |frame| {
        let source = frame.source().short_src.map(|source| source.into_owned());
        Some(format!("{}:{}: ", source?, frame.current_line()?))
    });
    let place = caller.flatten().unwrap_or_default();
    Error::external(Raised::Text(place + why))
}

/// An error as a script may see it: what is not ours stays as it is.
pub(super) fn plain(lua: &Lua, error: Value) -> Result<Value> {
    let Value::Error(error) = &error else {
        return Ok(error);
    };
    match error.downcast_ref::<Raised>() {
        Some(Raised::Reply(text)) => convert::to_lua(lua, &Reply::error(text.as_str())),
        Some(Raised::Text(text)) => lua.create_string(text).map(Value::String),
        None => lua.create_string(message(error)).map(Value::String),
    }
}

/// Makes of whatever ended a script a table of what, and where: in the innermost function that is
/// the script's own.
pub(super) fn describe(lua: &Lua, error: Value) -> Result<Value> {
    let place = (1..).map_while(|level| {
        lua.inspect_stack(level, |frame| {
            let source = frame.source();
            let is_own = source.what != "C" && source.source.as_deref() != Some(PRELUDE);
            let name = source.source.map(|source| source.into_owned());
            is_own.then(|| (name, frame.current_line()))
        })
    });
    let (source, line) = place.flatten().next().unwrap_or_default();
    let table = match plain(lua, error)? {
        Value::Table(table) => table,
        other => {
            let table = lua.create_table()?;
            table.raw_set("err", format!("ERR {}", other.to_string()?))?;
            table
        }
    };
    table.raw_set("source", source)?;
    table.raw_set("line", line)?;
    Ok(Value::Table(table))
}

/// What Lua would say, without what the binding adds.
pub(super) fn message(error: &Error) -> String {
    match error {
        Error::RuntimeError(text) => text.clone(),
        Error::SyntaxError { message, .. } => message.clone(),
        Error::CallbackError { cause, .. } => message(cause),
        other => other.to_string(),
    }
}
