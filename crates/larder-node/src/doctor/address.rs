//! Does the name resolve, does anybody answer there, and who listens on the way?

use std::net::SocketAddr;
use std::time::Duration;

use larder::redis::{Answer, Inspector, Redis};
use larder_core::error::Result;
use larder_core::{Error, ErrorKind};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::{Instant, timeout};

use super::findings::Findings;

/// LIMIT: for the name, and for each of its addresses.
const PATIENCE: Duration = Duration::from_secs(2);

/// LIMIT: addresses of one name that are tried.
const ADDRESSES: usize = 8;

/// Says whether there is anything to go on with.
pub(super) async fn check(redis: &Redis, findings: &mut Findings) -> bool {
    let parts = redis.address_parts();
    let Some((host, port)) = parts.tcp else {
        return socket(&parts.socket.unwrap_or_default(), findings).await;
    };
    let addresses: Vec<SocketAddr> = match resolve(&host, port).await {
        Ok(addresses) => addresses,
        Err(why) => {
            findings.unreachable(
                "address",
                format!("the name {host} is not known: {why}"),
                "no connection can be opened",
                "correct the host in the URL, or the name service of this machine",
            );
            return false;
        }
    };
    let mut failures = Vec::new();
    let mut answering = Vec::new();
    for address in addresses.into_iter().take(ADDRESSES) {
        let began = Instant::now();
        match timeout(PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(_)) => answering.push(format!("{address} ({:.1?})", began.elapsed())),
            Ok(Err(error)) => failures.push(format!("{address}: {error}")),
            Err(_) => failures.push(format!("{address}: no answer within {PATIENCE:?}")),
        }
    }
    let failed = failures.join("; ");
    if answering.is_empty() {
        findings.unreachable(
            "address",
            format!("nobody accepts connections: {failed}"),
            "the node would start, and answer every command with an error until the server is there",
            "start the server, correct the URL, or open the firewall",
        );
        return false;
    }
    if failures.is_empty() {
        findings.ok("address", format!("connected to {}", answering.join(", ")));
    } else {
        findings.warning(
            "address",
            format!(
                "{} of the addresses of {host} fail: {failed}",
                failures.len()
            ),
            "each new connection may try the dead ones first",
            "take the dead addresses out of the name service",
        );
    }
    true
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    match timeout(PATIENCE, lookup_host((host, port))).await {
        Ok(Ok(found)) => {
            let mut found: Vec<SocketAddr> = found.collect();
            found.sort();
            found.dedup();
            if found.is_empty() {
                return Err("it has no address".into());
            }
            Ok(found)
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {PATIENCE:?}")),
    }
}

async fn socket(path: &std::path::Path, findings: &mut Findings) -> bool {
    let shown = path.display();
    match UnixStream::connect(path).await {
        Ok(_) => {
            findings.ok("address", format!("connected to the socket {shown}"));
            true
        }
        Err(error) => {
            findings.unreachable(
                "address",
                format!("the socket {shown} cannot be opened: {error}"),
                "no connection can be opened",
                "start the server, correct the path, or its permissions",
            );
            false
        }
    }
}

/// The port answers, but the connection could not be opened.
pub(super) fn opening(redis: &Redis, error: &Error, findings: &mut Findings) {
    let said = super::without_server(redis, error);
    let parts = redis.address_parts();
    let is_silent = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout);
    if parts.is_encrypted && (is_silent || said.contains("TLS")) {
        let what = format!("no TLS connection: {said}");
        let why = "without one nothing is sent: neither the password nor a value";
        let advice = "name the authority that signed the certificate with ?ca_file=…, connect by a \
                      name that stands in the certificate, or, if the port speaks no TLS, use \
                      redis://";
        if is_silent {
            findings.unreachable("tls", what, why, advice);
        } else {
            findings.problem("tls", what, why, advice);
        }
    } else if error.kind() == ErrorKind::Refused {
        turned_away(said, findings);
    } else {
        findings.unreachable(
            "connection",
            format!("somebody accepts connections, but does not talk: {said}"),
            "it may be no Redis, a server that is frozen or still loading, or a port for TLS",
            "look at what listens there; if it speaks TLS, use rediss://",
        );
    }
}

fn turned_away(said: &str, findings: &mut Findings) {
    let advice = "correct the user and the password in the URL, or the settings of the server";
    findings.problem("login", said, "no command is answered", advice);
}

/// The connection is open. Says whether commands are answered on it.
pub(super) async fn greet(
    redis: &Redis,
    inspector: &Inspector,
    findings: &mut Findings,
) -> Result<bool> {
    match inspector.ask(&["PING"]).await? {
        // That this command is not permitted is another matter.
        Answer::Refused(said) if !said.starts_with("NOPERM") => {
            turned_away(&said, findings);
            Ok(false)
        }
        _ => {
            opened(redis, findings);
            Ok(true)
        }
    }
}

/// Who can listen, and who could log in.
fn opened(redis: &Redis, findings: &mut Findings) {
    let parts = redis.address_parts();
    let is_far = parts
        .tcp
        .as_ref()
        .is_some_and(|(host, _)| !is_this_machine(host));
    if parts.trusts_anybody {
        findings.warning(
            "tls",
            "any certificate is accepted (#insecure)",
            "whoever is on the way can read and change everything, the password included",
            "name the authority with ?ca_file=… instead",
        );
    } else if parts.is_encrypted {
        findings.ok(
            "tls",
            "encrypted, and the certificate is good for this name",
        );
    } else if is_far {
        findings.warning(
            "tls",
            "the connection is not encrypted",
            "whoever is on the way can read and change everything, the password included",
            "use rediss://, or make sure that the network itself is closed",
        );
    } else {
        findings.ok("tls", "none; the connection does not leave this machine");
    }
    let user = parts.user.as_deref().unwrap_or("default");
    if parts.has_password {
        findings.ok("login", format!("logged in as {user}"));
    } else if is_far {
        findings.warning(
            "login",
            "the server asks for no password",
            "whoever reaches it can read, change and remove everything",
            "set a password or ACL users, and put them into the URL",
        );
    } else {
        findings.ok("login", "no password; the server is on this machine");
    }
}

/// Whether a host is this machine whatever the network looks like.
fn is_this_machine(host: &str) -> bool {
    let address: Option<std::net::IpAddr> = host.parse().ok();
    host == "localhost" || address.is_some_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::super::findings::{Level, Verdict};
    use super::*;

    fn levels(url: &str) -> Vec<(&'static str, Level)> {
        let mut findings = Findings::default();
        opened(&Redis::open(url).unwrap(), &mut findings);
        findings.list.iter().map(|f| (f.check, f.level)).collect()
    }

    #[test]
    fn who_can_listen_depends_on_the_way() {
        use Level::{Ok, Warning};
        for (url, tls, login) in [
            ("redis://127.0.0.1", Ok, Ok),
            ("redis://localhost", Ok, Ok),
            ("redis://[::1]", Ok, Ok),
            ("unix:///run/redis.sock", Ok, Ok),
            ("redis://cache", Warning, Warning),
            ("redis://10.0.0.1", Warning, Warning),
            ("redis://:word@cache", Warning, Ok),
            ("rediss://:word@cache", Ok, Ok),
            ("rediss://:word@cache#insecure", Warning, Ok),
        ] {
            assert_eq!(levels(url), [("tls", tls), ("login", login)], "{url}");
        }
    }

    #[test]
    fn what_cannot_be_opened_is_told_apart() {
        for (url, kind, said, check, verdict) in [
            (
                "rediss://a",
                ErrorKind::Refused,
                "a: TLS: expired",
                "tls",
                Verdict::Problem,
            ),
            (
                "rediss://a",
                ErrorKind::Unavailable,
                "a: TLS: eof",
                "tls",
                Verdict::Unreachable,
            ),
            (
                "redis://a",
                ErrorKind::Refused,
                "a: WRONGPASS",
                "login",
                Verdict::Problem,
            ),
            (
                "redis://a",
                ErrorKind::Unavailable,
                "a: eof",
                "connection",
                Verdict::Unreachable,
            ),
        ] {
            let mut findings = Findings::default();
            let error = Error::new(kind, said);
            opening(&Redis::open(url).unwrap(), &error, &mut findings);
            assert_eq!(findings.list[0].check, check, "{said}");
            assert_eq!(findings.verdict(), verdict, "{said}");
        }
    }
}
