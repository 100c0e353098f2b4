//! `HELLO [protocol [AUTH user password] [SETNAME name]]`: the handshake of every current client.
//!
//! ```text
//! *2 $5 HELLO $1 3  →  %7 server version proto id mode role modules
//! ```
//!
//! Without a protocol it only reports. A handshake that fails changes nothing. O(1); no round
//! trip.

use larder_resp::{Protocol, number};

use super::failure::printable;
use super::{Call, Failure, Outcome, client};

const NUMBER: Failure = Failure::fixed("ERR Protocol version is not an integer or out of range");
const NOPROTO: Failure = Failure::fixed("NOPROTO unsupported protocol version");
const NOAUTH: Failure = Failure::fixed(
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO \
     <proto> AUTH <user> <pass> option can be used to authenticate the client and select the \
     RESP protocol version at the same time",
);

/// What a handshake asks for.
struct Asked<'a> {
    protocol: Option<Protocol>,
    credentials: Option<(&'a [u8], &'a [u8])>,
    name: Option<&'a [u8]>,
}

pub(super) async fn hello(call: &mut Call<'_>) -> Outcome {
    let asked = Asked::read(call)?;
    if let Some((user, password)) = asked.credentials
        && !call.session.authenticate(user, password)
    {
        return Err(Failure::WRONGPASS);
    }
    if !call.session.is_authenticated() {
        return Err(NOAUTH);
    }
    if let Some(name) = asked.name {
        call.session.client.set_name(name);
    }
    if let Some(protocol) = asked.protocol {
        call.session.set_protocol(protocol);
    }
    report(call);
    Ok(())
}

impl<'a> Asked<'a> {
    fn read(call: &Call<'a>) -> Result<Asked<'a>, Failure> {
        let mut asked = Asked {
            protocol: None,
            credentials: None,
            name: None,
        };
        if call.argc() > 1 {
            let number = number::parse_i64(call.argument(1)).ok_or(NUMBER)?;
            asked.protocol = Some(Protocol::from_number(number).ok_or(NOPROTO)?);
        }
        let mut at = 2;
        while at < call.argc() {
            let left = call.argc() - 1 - at;
            if call.is(at, "AUTH") && left >= 2 {
                asked.credentials = Some((call.argument(at + 1), call.argument(at + 2)));
                at += 3;
            } else if call.is(at, "SETNAME") && left >= 1 {
                client::check_name(call.argument(at + 1))?;
                asked.name = Some(call.argument(at + 1));
                at += 2;
            } else {
                return Err(unknown_option(call.argument(at)));
            }
        }
        Ok(asked)
    }
}

fn unknown_option(option: &[u8]) -> Failure {
    let mut text = b"ERR Syntax error in HELLO option '".to_vec();
    text.extend_from_slice(printable(option, usize::MAX));
    text.push(b'\'');
    Failure::new(text)
}

fn report(call: &mut Call<'_>) {
    let shared = call.session.shared.clone();
    let identity = &shared.node.settings.resp.identity;
    let (protocol, id) = (call.session.protocol.number(), call.session.client.id);
    let mut reply = call.reply();
    reply.map_len(7);
    reply.bulk("server");
    reply.bulk(&identity.server);
    reply.bulk("version");
    reply.bulk(&identity.version);
    reply.bulk("proto");
    reply.integer(protocol);
    reply.bulk("id");
    reply.integer(id.cast_signed());
    reply.bulk("mode");
    reply.bulk("standalone");
    reply.bulk("role");
    reply.bulk("master");
    reply.bulk("modules");
    reply.array_len(0);
}
