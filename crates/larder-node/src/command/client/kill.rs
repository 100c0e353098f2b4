//! `CLIENT KILL addr` and `CLIENT KILL filter value …`: ends connections.

use larder_resp::number;

use super::list::is_normal;
use super::{Call, Failure, Outcome};
use crate::session::{Client, DEFAULT_USER};

const NO_CLIENT: Failure = Failure::fixed("ERR No such client");
const BAD_ID: Failure = Failure::fixed("ERR client-id should be greater than 0");

/// All that is given must hold.
#[derive(Default)]
struct Filter {
    id: Option<u64>,
    addr: Option<Vec<u8>>,
    laddr: Option<Vec<u8>>,
    nobody: bool,
    keeps_me: bool,
}

pub(super) fn kill(call: &mut Call<'_>) -> Outcome {
    if call.argc() == 3 {
        let filter = Filter {
            addr: Some(call.argument(2).to_vec()),
            ..Filter::default()
        };
        if apply(call, &filter) == 0 {
            return Err(NO_CLIENT);
        }
        call.reply().ok();
        return Ok(());
    }
    let filter = Filter::read(call)?;
    let killed = apply(call, &filter);
    call.reply().integer(killed);
    Ok(())
}

/// Ends the connections that the filter selects; the one that asks gets its reply first.
fn apply(call: &mut Call<'_>, filter: &Filter) -> i64 {
    let me = call.session.client.id;
    let mut killed = 0;
    for client in call.session.shared.clients.list() {
        if !filter.selects(&client) || (filter.keeps_me && client.id == me) {
            continue;
        }
        killed += 1;
        if client.id == me {
            call.session.close();
        } else {
            client.kill();
        }
    }
    killed
}

impl Filter {
    fn read(call: &Call<'_>) -> Result<Filter, Failure> {
        let mut filter = Filter {
            keeps_me: true,
            ..Filter::default()
        };
        for at in (2..call.argc()).step_by(2) {
            if at + 1 == call.argc() {
                return Err(Failure::SYNTAX);
            }
            let value = call.argument(at + 1);
            match call.argument(at).to_ascii_uppercase().as_slice() {
                b"ID" => {
                    let id = number::parse_i64(value).and_then(|id| u64::try_from(id).ok());
                    filter.id = Some(id.filter(|&id| id > 0).ok_or(BAD_ID)?);
                }
                b"TYPE" => filter.nobody |= !is_normal(value)?,
                b"ADDR" => filter.addr = Some(value.to_vec()),
                b"LADDR" => filter.laddr = Some(value.to_vec()),
                b"USER" => filter.nobody |= value != DEFAULT_USER,
                b"SKIPME" if call.is(at + 1, "yes") => filter.keeps_me = true,
                b"SKIPME" if call.is(at + 1, "no") => filter.keeps_me = false,
                _ => return Err(Failure::SYNTAX),
            }
        }
        Ok(filter)
    }

    fn selects(&self, client: &Client) -> bool {
        let is = |wanted: &Option<Vec<u8>>, addr: std::net::SocketAddr| {
            wanted
                .as_ref()
                .is_none_or(|wanted| *wanted == addr.to_string().as_bytes())
        };
        !self.nobody
            && self.id.is_none_or(|id| id == client.id)
            && is(&self.addr, client.peer)
            && is(&self.laddr, client.local)
    }
}
