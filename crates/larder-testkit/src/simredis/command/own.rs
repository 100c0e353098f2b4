//! The server and its connections.

use bytes::Bytes;
use larder_resp::Reply;
use larder_resp::number::Integer;

use super::{Args, Outcome, count, is, ok};
use crate::simredis::server::{Server, Writes};

pub(super) fn ping(_server: &mut Server, args: &Args<'_>) -> Outcome {
    match &args[1..] {
        [] => Ok(Reply::Simple(Bytes::from_static(b"PONG"))),
        [text] => Ok(Reply::bulk(text)),
        _ => Err("ERR wrong number of arguments for 'ping' command".into()),
    }
}

pub(super) fn echo(_server: &mut Server, args: &Args<'_>) -> Outcome {
    Ok(Reply::bulk(args[1]))
}

pub(super) fn time(server: &mut Server, _args: &Args<'_>) -> Outcome {
    let now = server.now_us;
    let part = |number| Reply::bulk(Integer::new(number).as_bytes());
    let parts = [now.div_euclid(1_000_000), now.rem_euclid(1_000_000)];
    Ok(Reply::Array(parts.map(part).into()))
}

/// Names are for lists of connections, which nobody asks for here.
pub(super) fn client(_server: &mut Server, args: &Args<'_>) -> Outcome {
    match &args[1..] {
        [word, _] if is(word, "setname") => Ok(ok()),
        [word, _, _] if is(word, "setinfo") => Ok(ok()),
        _ => Err("ERR unknown subcommand or wrong number of arguments for 'client'".into()),
    }
}

pub(super) fn publish(server: &mut Server, args: &Args<'_>) -> Outcome {
    Ok(count(server.channels.publish(args[1], args[2])))
}

/// The sections `server` and `replication`, with what tells one life of a server from another.
pub(super) fn info(server: &mut Server, args: &Args<'_>) -> Outcome {
    let wants = |section: &str| {
        let all = ["all", "default", "everything", section];
        let named = |arg: &&[u8]| all.iter().any(|word| is(arg, word));
        args.len() == 1 || args[1..].iter().any(named)
    };
    let mut sections = Vec::new();
    if wants("server") {
        let run_id = &server.run_id;
        sections.push(format!(
            "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nrun_id:{run_id}\r\n"
        ));
    }
    if wants("replication") {
        let role = match server.writes {
            Writes::Replica => "slave",
            Writes::Allowed | Writes::NoReplicas => "master",
        };
        sections.push(format!(
            "# Replication\r\nrole:{role}\r\nconnected_slaves:0\r\n"
        ));
    }
    Ok(Reply::Bulk(sections.join("\r\n").into()))
}
