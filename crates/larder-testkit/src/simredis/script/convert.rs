//! Between replies and the values of Lua.

use bytes::Bytes;
use larder_resp::Reply;
use mlua::{Lua, Result, Table, Value};

use super::numbers;

/// A reply as a script gets it. An error is a table with the field `err`, a status one with `ok`.
pub(super) fn to_lua(lua: &Lua, reply: &Reply) -> Result<Value> {
    let field = |name: &str, text: &[u8]| -> Result<Value> {
        let table = lua.create_table_with_capacity(0, 1)?;
        table.raw_set(name, lua.create_string(text)?)?;
        Ok(Value::Table(table))
    };
    Ok(match reply {
        // Beyond 2^53 a script gets the nearest double.
        Reply::Integer(number) => Value::Number(*number as f64),
        Reply::Bulk(bytes) => Value::String(lua.create_string(bytes)?),
        Reply::Simple(text) => field("ok", text)?,
        Reply::Error(text) => field("err", text)?,
        Reply::Array(items) => {
            let table = lua.create_table_with_capacity(items.len(), 0)?;
            for item in items {
                table.raw_push(to_lua(lua, item)?)?;
            }
            Value::Table(table)
        }
        _ => Value::Boolean(false),
    })
}

/// What a script has returned, as a reply. An array ends before its first nil.
pub(super) fn to_reply(value: &Value) -> Result<Reply> {
    Ok(match value {
        Value::String(text) => Reply::Bulk(copy(text)),
        Value::Integer(number) => Reply::Integer(*number),
        Value::Number(number) => Reply::Integer(numbers::integer(*number)),
        Value::Boolean(true) => Reply::Integer(1),
        Value::Table(table) => table_to_reply(table)?,
        _ => Reply::Null,
    })
}

fn table_to_reply(table: &Table) -> Result<Reply> {
    if let Value::String(text) = table.raw_get("err")? {
        return Ok(Reply::Error(copy(&text)));
    }
    if let Value::String(text) = table.raw_get("ok")? {
        return Ok(Reply::Simple(copy(&text)));
    }
    let mut items = Vec::with_capacity(table.raw_len());
    for at in 1.. {
        let item: Value = table.raw_get(at)?;
        if item.is_nil() {
            break;
        }
        items.push(to_reply(&item)?);
    }
    Ok(Reply::Array(items))
}

pub(super) fn copy(text: &mlua::LuaString) -> Bytes {
    Bytes::copy_from_slice(&text.as_bytes())
}
