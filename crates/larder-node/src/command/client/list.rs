//! `CLIENT LIST` and `CLIENT INFO`: one line for each connection.

use std::io::Write;

use super::super::failure::printable;
use super::super::table::SPECS;
use super::{Call, Failure, Outcome};
use crate::session::Client;

pub(super) fn info(call: &mut Call<'_>) -> Outcome {
    let mut text = Vec::new();
    describe(call, &call.session.client, &mut text);
    call.reply().verbatim(*b"txt", text);
    Ok(())
}

pub(super) fn list(call: &mut Call<'_>) -> Outcome {
    let selected: Box<dyn Fn(&Client) -> bool> = match call.argc() {
        2 => Box::new(|_| true),
        4 if call.is(2, "TYPE") => {
            let is_normal = is_normal(call.argument(3))?;
            Box::new(move |_| is_normal)
        }
        4.. if call.is(2, "ID") => {
            let ids = (3..call.argc()).map(|at| client_id(call, at));
            let ids: Vec<u64> = ids.collect::<Result<_, _>>()?;
            Box::new(move |client| ids.contains(&client.id))
        }
        _ => return Err(Failure::SYNTAX),
    };
    let mut text = Vec::new();
    for client in call.session.shared.clients.list() {
        if selected(&client) {
            describe(call, &client, &mut text);
        }
    }
    call.reply().verbatim(*b"txt", text);
    Ok(())
}

/// Whether a type of connection is the only one that there is here.
pub(super) fn is_normal(name: &[u8]) -> Result<bool, Failure> {
    match name.to_ascii_lowercase().as_slice() {
        b"normal" => Ok(true),
        b"master" | b"slave" | b"replica" | b"pubsub" => Ok(false),
        _ => {
            let mut text = b"ERR Unknown client type '".to_vec();
            text.extend_from_slice(printable(name, usize::MAX));
            text.push(b'\'');
            Err(Failure::new(text))
        }
    }
}

fn client_id(call: &Call<'_>, at: usize) -> Result<u64, Failure> {
    let id = call.integer(at).ok().and_then(|id| u64::try_from(id).ok());
    id.filter(|&id| id > 0)
        .ok_or(Failure::fixed("ERR Invalid client ID"))
}

/// Appends the line of one connection, with the fields that tools know.
fn describe(call: &Call<'_>, client: &Client, out: &mut Vec<u8>) {
    let now = call.session.shared.node.cache.runtime().now();
    let labels = client.labels();
    let command = SPECS.get(client.command()).map_or("NULL", |spec| spec.name);
    let head = write!(
        out,
        "id={} addr={} laddr={} fd=0 name=",
        client.id, client.peer, client.local
    );
    out.extend_from_slice(&labels.name);
    let middle = write!(
        out,
        " age={} idle={} flags=N db={} sub=0 psub=0 ssub=0 multi=-1 qbuf=0 qbuf-free=0 \
         argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 events=r cmd={command} \
         user=default redir=-1 resp={} lib-name=",
        now.since(client.connected).as_secs(),
        now.since(client.last_active()).as_secs(),
        client.database(),
        client.protocol(),
    );
    out.extend_from_slice(&labels.library);
    out.extend_from_slice(b" lib-ver=");
    out.extend_from_slice(&labels.library_version);
    out.push(b'\n');
    debug_assert!(head.is_ok() && middle.is_ok(), "writing to memory succeeds");
}
