//! The library `struct` of scripts: numbers and strings to bytes and back.

use mlua::{Error, Lua, MultiValue, Result, Value, Variadic};

use super::{errors, numbers};

/// The largest integer.
const LARGEST: usize = 32;
/// What `!` aligns to unless told.
const ALIGNMENT: usize = 8;

/// A format, read from left to right.
struct Format<'a> {
    lua: &'a Lua,
    rest: &'a [u8],
    is_big: bool,
    alignment: usize,
}

/// One item of a format.
#[derive(Clone, Copy)]
struct Item {
    letter: u8,
    size: usize,
}

fn wrong_argument(lua: &Lua, number: usize, function: &str, why: &str) -> Error {
    errors::text(
        lua,
        &format!("bad argument #{number} to '{function}' ({why})"),
    )
}

impl<'a> Format<'a> {
    fn new(lua: &'a Lua, text: &'a [u8]) -> Format<'a> {
        Format {
            lua,
            rest: text,
            is_big: cfg!(target_endian = "big"),
            alignment: 1,
        }
    }

    fn number(&mut self, otherwise: usize) -> Result<usize> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit());
        let (digits, rest) = self.rest.split_at(digits.count());
        self.rest = rest;
        if digits.is_empty() {
            return Ok(otherwise);
        }
        let text = std::str::from_utf8(digits).unwrap_or_default();
        let number = text
            .parse()
            .ok()
            .filter(|number| *number <= i32::MAX as usize);
        number.ok_or_else(|| errors::text(self.lua, "integral size overflow"))
    }

    fn next(&mut self) -> Result<Option<Item>> {
        let Some((&letter, rest)) = self.rest.split_first() else {
            return Ok(None);
        };
        self.rest = rest;
        let size = match letter {
            b'b' | b'B' | b'x' => 1,
            b'h' | b'H' => 2,
            b'f' => 4,
            b'l' | b'L' | b'T' | b'd' => 8,
            b'c' => self.number(1)?,
            b'i' | b'I' => match self.number(4)? {
                size if size > LARGEST => {
                    let why = format!("integral size {size} is larger than limit of {LARGEST}");
                    return Err(errors::text(self.lua, &why));
                }
                size => size,
            },
            _ => 0,
        };
        Ok(Some(Item { letter, size }))
    }

    /// Bytes to leave free before an item.
    fn gap(&self, at: usize, item: Item) -> usize {
        if item.size == 0 || item.letter == b'c' {
            return 0;
        }
        let size = item.size.min(self.alignment);
        (size.wrapping_sub(at & size.wrapping_sub(1))) & size.wrapping_sub(1)
    }

    /// An item that stands for no value.
    fn control(&mut self, letter: u8, function: &str) -> Result<()> {
        match letter {
            b' ' => {}
            b'>' => self.is_big = true,
            b'<' => self.is_big = false,
            b'!' => {
                let alignment = self.number(ALIGNMENT)?;
                if !alignment.is_power_of_two() {
                    let why = format!("alignment {alignment} is not a power of 2");
                    return Err(errors::text(self.lua, &why));
                }
                self.alignment = alignment;
            }
            letter => {
                let why = format!("invalid format option '{}'", char::from(letter));
                return Err(wrong_argument(self.lua, 1, function, &why));
            }
        }
        Ok(())
    }
}

fn text_of(lua: &Lua, args: &[Value], at: usize, function: &str) -> Result<mlua::LuaString> {
    let value = args.get(at).cloned().unwrap_or(Value::Nil);
    let kind = if at < args.len() {
        value.type_name()
    } else {
        "nil"
    };
    let text = match value {
        Value::Nil | Value::Boolean(_) => None,
        value => lua.coerce_string(value)?,
    };
    let wrong = || {
        wrong_argument(
            lua,
            at + 1,
            function,
            &format!("string expected, got {kind}"),
        )
    };
    text.ok_or_else(wrong)
}

fn number_of(lua: &Lua, args: &[Value], at: usize, function: &str) -> Result<f64> {
    let number = match args.get(at) {
        Some(Value::Number(number)) => Some(*number),
        Some(Value::Integer(number)) => Some(*number as f64),
        Some(value) => lua.coerce_number(value.clone())?,
        None => None,
    };
    let kind = args.get(at).map_or("nil", |value| match value {
        Value::Integer(_) => "number",
        value => value.type_name(),
    });
    let wrong = || {
        wrong_argument(
            lua,
            at + 1,
            function,
            &format!("number expected, got {kind}"),
        )
    };
    number.ok_or_else(wrong)
}

fn ordered(mut bytes: Vec<u8>, is_big: bool) -> Vec<u8> {
    if is_big {
        bytes.reverse();
    }
    bytes
}

/// The lowest bytes of a number. Those beyond the eighth are zero.
fn integer_bytes(number: f64, size: usize, is_big: bool) -> Vec<u8> {
    let bits = numbers::unsigned(number);
    let mut bytes = bits.to_le_bytes().to_vec();
    bytes.resize(size, 0);
    ordered(bytes, is_big)
}

/// `struct.pack(format, values...)`.
pub(super) fn pack(lua: &Lua, args: Variadic<Value>) -> Result<mlua::LuaString> {
    const NAME: &str = "pack";
    let text = text_of(lua, &args, 0, NAME)?;
    let text = text.as_bytes();
    let (mut format, mut out, mut arg) = (Format::new(lua, &text), Vec::new(), 1);
    while let Some(item) = format.next()? {
        out.resize(out.len() + format.gap(out.len(), item), 0);
        match item.letter {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let number = number_of(lua, &args, arg, NAME)?;
                out.extend(integer_bytes(number, item.size, format.is_big));
                arg += 1;
            }
            b'x' => out.push(0),
            b'f' | b'd' => {
                let number = number_of(lua, &args, arg, NAME)?;
                let bytes = match item.letter {
                    b'f' => (number as f32).to_le_bytes().to_vec(),
                    _ => number.to_le_bytes().to_vec(),
                };
                out.extend(ordered(bytes, format.is_big));
                arg += 1;
            }
            b'c' | b's' => {
                let value = text_of(lua, &args, arg, NAME)?;
                let value = value.as_bytes();
                arg += 1;
                let size = if item.size == 0 {
                    value.len()
                } else {
                    item.size
                };
                let short = || wrong_argument(lua, arg + 1, NAME, "string too short");
                out.extend(value.get(..size).ok_or_else(short)?);
                if item.letter == b's' {
                    out.push(0);
                }
            }
            letter => format.control(letter, NAME)?,
        }
    }
    lua.create_string(&out)
}

fn integer_of(bytes: &[u8], is_big: bool, is_signed: bool) -> f64 {
    let mut bits = 0_u64;
    let mut take = |byte: &u8| bits = bits << 8 | u64::from(*byte);
    if is_big {
        bytes.iter().for_each(&mut take);
    } else {
        bytes.iter().rev().for_each(&mut take);
    }
    if !is_signed {
        return bits as f64;
    }
    // Everything above the sign is the sign.
    let above = 64 - (bytes.len() * 8).min(64);
    if above == 64 {
        0.0
    } else {
        ((bits << above).cast_signed() >> above) as f64
    }
}

fn float_of(bytes: &[u8], is_big: bool) -> f64 {
    let bytes = ordered(bytes.to_vec(), is_big);
    if let Ok(bytes) = <[u8; 4]>::try_from(&bytes[..]) {
        return f64::from(f32::from_le_bytes(bytes));
    }
    <[u8; 8]>::try_from(&bytes[..]).map_or(0.0, f64::from_le_bytes)
}

/// `struct.unpack(format, bytes [, position])`: the values, then the position behind them.
pub(super) fn unpack(lua: &Lua, args: Variadic<Value>) -> Result<MultiValue> {
    const NAME: &str = "unpack";
    let (text, data) = (text_of(lua, &args, 0, NAME)?, text_of(lua, &args, 1, NAME)?);
    let (text, data) = (text.as_bytes(), data.as_bytes());
    let from = match args.get(2) {
        None | Some(Value::Nil) => 1.0,
        Some(_) => number_of(lua, &args, 2, NAME)?,
    };
    let from = numbers::integer(from);
    if from == 0 {
        let why = "offset must be 1 or greater";
        return Err(wrong_argument(lua, 3, NAME, why));
    }
    // Before the beginning is, as in C, far behind the end.
    let mut at = usize::try_from(from - 1).unwrap_or(usize::MAX / 2);
    let (mut format, mut values) = (Format::new(lua, &text), Vec::with_capacity(16));
    let short = || wrong_argument(lua, 2, NAME, "data string too short");
    while let Some(item) = format.next()? {
        at += format.gap(at, item);
        let mut size = item.size;
        let bytes = data.get(at..).and_then(|rest| rest.get(..size));
        let bytes = bytes.ok_or_else(short)?;
        match item.letter {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let is_signed = item.letter.is_ascii_lowercase();
                let number = integer_of(bytes, format.is_big, is_signed);
                values.push(Value::Number(number));
            }
            b'x' => {}
            b'f' | b'd' => values.push(Value::Number(float_of(bytes, format.is_big))),
            b'c' => {
                if size == 0 {
                    let Some(Value::Number(number)) = values.pop() else {
                        return Err(errors::text(lua, "format 'c0' needs a previous size"));
                    };
                    size = number as usize;
                }
                let bytes = data.get(at..).and_then(|rest| rest.get(..size));
                let bytes = bytes.ok_or_else(short)?;
                values.push(Value::String(lua.create_string(bytes)?));
            }
            b's' => {
                let rest = data.get(at..).ok_or_else(short)?;
                let end = rest.iter().position(|&byte| byte == 0);
                let unfinished = || errors::text(lua, "unfinished string in data");
                let end = end.ok_or_else(unfinished)?;
                values.push(Value::String(lua.create_string(&rest[..end])?));
                size = end + 1;
            }
            letter => format.control(letter, NAME)?,
        }
        at += size;
    }
    values.push(Value::Number((at + 1) as f64));
    Ok(MultiValue::from_vec(values))
}

/// `struct.size(format)`.
pub(super) fn size(lua: &Lua, args: Variadic<Value>) -> Result<usize> {
    const NAME: &str = "size";
    let text = text_of(lua, &args, 0, NAME)?;
    let text = text.as_bytes();
    let (mut format, mut total) = (Format::new(lua, &text), 0);
    while let Some(item) = format.next()? {
        total += format.gap(total, item);
        match item.letter {
            b's' => {
                return Err(wrong_argument(
                    lua,
                    1,
                    NAME,
                    "variable-size format in 'size'",
                ));
            }
            b'c' if item.size == 0 => {
                return Err(wrong_argument(
                    lua,
                    1,
                    NAME,
                    "variable-length format in 'size'",
                ));
            }
            letter if letter.is_ascii_alphabetic() && item.size > 0 => {}
            b'i' | b'I' => {}
            letter => format.control(letter, NAME)?,
        }
        total += item.size;
    }
    Ok(total)
}
