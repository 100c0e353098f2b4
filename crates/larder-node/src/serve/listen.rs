//! Takes both ports before anything else happens: a node that cannot listen has nothing to say.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::settings::Settings;

/// The ports, taken.
pub(super) struct Ports {
    pub(super) resp: TcpListener,
    pub(super) http: TcpListener,
    /// What was really bound: port 0 lets the system choose.
    pub(super) resp_addr: SocketAddr,
    pub(super) http_addr: SocketAddr,
}

impl Ports {
    /// Takes both, or says on one line why not.
    pub(super) async fn bind(settings: &Settings) -> Result<Ports, String> {
        let (resp, http) = (settings.resp.addr, settings.http_addr);
        match (bind(resp).await, bind(http).await) {
            (Ok((resp, resp_addr)), Ok((http, http_addr))) => Ok(Ports {
                resp,
                http,
                resp_addr,
                http_addr,
            }),
            (Err(one), Err(other)) if is_in_use(&one) && is_in_use(&other) => Err(format!(
                "cannot listen on {resp} (RESP) and {http} (HTTP) – other programs listen there, \
                 perhaps another larder – stop them, or choose other ports, for example --resp {} \
                 --http {}",
                near(resp),
                near(http)
            )),
            (Err(error), _) => Err(explain(resp, "RESP", "resp", &error)),
            (_, Err(error)) => Err(explain(http, "HTTP", "http", &error)),
        }
    }
}

async fn bind(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let listener = TcpListener::bind(addr).await?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

fn is_in_use(error: &Error) -> bool {
    error.kind() == ErrorKind::AddrInUse
}

fn explain(addr: SocketAddr, what: &str, flag: &str, error: &Error) -> String {
    let at = |port| SocketAddr::new(addr.ip(), port);
    let (why, todo) = match error.kind() {
        ErrorKind::AddrInUse => (
            "another program listens there".to_owned(),
            format!(
                "stop it, or choose another port, for example --{flag} {}",
                near(addr)
            ),
        ),
        ErrorKind::AddrNotAvailable => (
            "this machine does not have that address".to_owned(),
            format!(
                "choose one that it has, for example --{flag} 127.0.0.1:{}",
                addr.port()
            ),
        ),
        ErrorKind::PermissionDenied => (
            "this user may not".to_owned(),
            format!(
                "choose a port above 1023, for example --{flag} {}",
                at(6380)
            ),
        ),
        _ => (
            error.to_string(),
            format!("choose another with --{flag} ADDR"),
        ),
    };
    format!("cannot listen on {addr} ({what}) – {why} – {todo}")
}

/// The same address with another port that may be free.
fn near(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip(), addr.port().checked_add(10).unwrap_or(0))
}
