//! `CACHE.NODES`: who belongs to the mesh of this node; and one more address to look for others.
//!
//! ```text
//! CACHE.NODES                  →  *n, for each a map: name, address, state, seq, lag
//! CACHE.NODES CONNECT address  →  +OK, it is dialled from now on
//! ```
//!
//! O(N) with N nodes; no round trip. Without a mesh there are no nodes.

use larder::mesh::Address;

use super::{Call, Failure, Outcome};
use crate::nodes;

const NO_MESH: Failure =
    Failure::fixed("ERR this node is in no mesh; start it with --mesh, --name and --secret-file");
const UNKNOWN: Failure = Failure::fixed("ERR CACHE.NODES is used alone, or with CONNECT address");

pub(super) async fn nodes(call: &mut Call<'_>) -> Outcome {
    match call.argc() {
        1 => list(call),
        3 if call.argument(1).eq_ignore_ascii_case(b"CONNECT") => connect(call),
        _ => Err(UNKNOWN),
    }
}

fn list(call: &mut Call<'_>) -> Outcome {
    let rows = call.session.shared.node.mesh.as_ref().map(nodes::rows);
    let rows = rows.unwrap_or_default();
    let mut reply = call.reply();
    reply.array_len(rows.len());
    for row in rows {
        reply.map_len(5);
        reply.bulk("name");
        reply.bulk(&row.name);
        reply.bulk("address");
        reply.bulk(&row.address);
        reply.bulk("state");
        reply.bulk(row.state);
        reply.bulk("seq");
        reply.integer(i64::try_from(row.applied).unwrap_or(i64::MAX));
        reply.bulk("lag");
        reply.integer(i64::try_from(row.lag).unwrap_or(i64::MAX));
    }
    Ok(())
}

fn connect(call: &mut Call<'_>) -> Outcome {
    let text = call.text(2, "an address")?;
    let address = Address::parse(&text)?;
    let mesh = call.session.shared.node.mesh.as_ref().ok_or(NO_MESH)?;
    mesh.log().mesh().connect(&address);
    call.reply().ok();
    Ok(())
}
