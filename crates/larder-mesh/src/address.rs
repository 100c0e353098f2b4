//! Where a node can be reached: a host name or an IP address, and a port.
//!
//! Pure: turning a host name into IP addresses is the rim's work, at each dial anew, since names in
//! a cluster change what they point to.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use larder_core::error::{Error, ErrorKind, Result};

use crate::name::MAX_NAME_BYTES;

/// A host and a port. IP addresses are kept in one spelling, so that equal addresses are equal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Address {
    host: Box<str>,
    port: u16,
}

impl Address {
    /// Reads `host:port`; an IPv6 address stands in brackets.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], with what is wrong.
    pub fn parse(text: &str) -> Result<Address> {
        let wrong = || {
            let message = format!("{text:.80?} is no address: give `host:port` or `[ipv6]:port`");
            Error::new(ErrorKind::Config, message)
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        if bare.is_none() && host.contains(':') {
            return Err(wrong());
        }
        Address::of(bare.unwrap_or(host), port).ok_or_else(wrong)
    }

    /// An address of its parts; none if the host is no host name and no IP address, or the port 0.
    pub fn of(host: &str, port: u16) -> Option<Address> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let host = match host.parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical().to_string(),
            Err(_) if host.chars().all(is_allowed) => host.to_ascii_lowercase(),
            Err(_) => return None,
        };
        let is_sound = !host.is_empty() && host.len() <= MAX_NAME_BYTES && port != 0;
        is_sound.then(|| Address {
            host: host.into(),
            port,
        })
    }

    /// The host, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The IP address, if the host is one.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl From<SocketAddr> for Address {
    fn from(socket: SocketAddr) -> Address {
        Address {
            host: socket.ip().to_canonical().to_string().into(),
            port: socket.port(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_in_one_spelling() {
        let rows = [
            ("node2.example.com:7402", "node2.example.com:7402"),
            ("Node2:1", "node2:1"),
            ("127.0.0.1:7401", "127.0.0.1:7401"),
            ("[::1]:7401", "[::1]:7401"),
            ("[0:0::1]:7401", "[::1]:7401"),
            ("[::ffff:10.0.0.1]:5", "10.0.0.1:5"),
        ];
        for (text, spelled) in rows {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.to_string(), spelled);
            assert_eq!(Address::parse(spelled).unwrap(), address);
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "", "node", ":1", "a:0", "a:65536", "::1:80", "a b:1", "[]:1", "a/b:1",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
