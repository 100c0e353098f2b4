//! `EVAL` and its kin: which scripts the server knows. The engine runs them.

mod convert;
mod engine;
mod errors;
mod library;
mod numbers;
mod packing;

use std::borrow::Cow;

use bytes::Bytes;
use larder_resp::Reply;

use super::command::{Args, Outcome};
use super::mutants;
use super::server::{Failure, Server};

/// Scripts that a server keeps at most. A client has a dozen.
const MOST: usize = 4_096;

pub(super) fn eval(server: &mut Server, args: &Args<'_>) -> Outcome {
    let (keys, values) = split(args)?;
    let hash = remember(server, args[1])?;
    let name = prepare(&hash, args[1])?;
    engine::run(server, &name, keys, values)
}

pub(super) fn evalsha(server: &mut Server, args: &Args<'_>) -> Outcome {
    let (keys, values) = split(args)?;
    let hash = String::from_utf8_lossy(args[1]).to_ascii_lowercase();
    let Some(text) = server.scripts.get(&hash) else {
        return Err("NOSCRIPT No matching script. Please use EVAL.".into());
    };
    let name = prepare(&hash, text)?;
    engine::run(server, &name, keys, values)
}

/// Makes a script ready to run, or what tests want in its place; gives the name under which it is.
fn prepare(hash: &str, text: &[u8]) -> Result<String, Failure> {
    let (name, text) = match mutants::instead_of(hash, text) {
        Some((name, text)) => (name, Cow::Owned(text)),
        None => (hash.to_owned(), Cow::Borrowed(text)),
    };
    engine::compile(&name, &text)?;
    Ok(name)
}

#[cfg(test)]
pub(in crate::simredis) use engine::compile;

/// Keys and other arguments.
fn split<'a, 'b>(args: &'a Args<'b>) -> Result<(&'a Args<'b>, &'a Args<'b>), Failure> {
    let keys = super::command::integer(args[2])?;
    let keys = usize::try_from(keys);
    let keys = keys.map_err(|_| "ERR Number of keys can't be negative")?;
    let more = "ERR Number of keys can't be greater than number of args";
    args[3..].split_at_checked(keys).ok_or(more.into())
}

/// Keeps a script that can be compiled; gives its hash.
fn remember(server: &mut Server, text: &[u8]) -> Result<String, Failure> {
    let hash = sha1_smol::Sha1::from(text).digest().to_string();
    engine::compile(&hash, text)?;
    if !server.scripts.contains_key(&hash) {
        if server.scripts.len() >= MOST {
            server.scripts.pop_first();
        }
        let text = Bytes::copy_from_slice(text);
        server.scripts.insert(hash.clone(), text);
    }
    Ok(hash)
}

pub(super) fn script(server: &mut Server, args: &Args<'_>) -> Outcome {
    let subcommand = args[1].to_ascii_lowercase();
    match (&subcommand[..], &args[2..]) {
        (b"load", [text]) => Ok(Reply::Bulk(remember(server, text)?.into())),
        (b"exists", hashes @ [_, ..]) => {
            let known = |hash: &&[u8]| {
                let hash = String::from_utf8_lossy(hash).to_ascii_lowercase();
                Reply::Integer(i64::from(server.scripts.contains_key(&hash)))
            };
            Ok(Reply::Array(hashes.iter().map(known).collect()))
        }
        (b"flush", []) => {
            server.scripts.clear();
            Ok(Reply::Simple(Bytes::from_static(b"OK")))
        }
        _ => Err("ERR unknown subcommand or wrong number of arguments for 'script'".into()),
    }
}
