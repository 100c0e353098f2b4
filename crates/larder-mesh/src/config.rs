//! What a mesh is started with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use larder_core::bus::LOG_LENGTH;

use crate::address::Address;
use crate::name::{ClusterName, NodeName, Versions};
use crate::secret::Secret;

/// Everything that a node of a mesh has to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cluster that it belongs to.
    pub cluster: ClusterName,
    /// Its own name, which no other node of the cluster has.
    pub name: NodeName,
    /// The secret that all nodes of the cluster have.
    pub secret: Secret,
    /// Where it listens. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where others reach it, if that is not where it listens.
    pub advertise: Option<Address>,
    /// Who the members are, or how they are found.
    pub membership: Membership,
    /// How links are protected.
    pub tls: Tls,
    /// The versions of messages that those who use the mesh read.
    pub versions: Versions,
    /// Intervals and patience.
    pub timing: Timing,
    /// Bounds.
    pub limits: Limits,
    /// What stands in for sockets.
    #[cfg(feature = "wire")]
    #[doc(hidden)]
    pub network: Option<std::sync::Arc<dyn crate::wire::Network>>,
}

impl Config {
    /// A configuration with defaults: no other member known, TLS from the secret.
    pub fn new(cluster: ClusterName, name: NodeName, secret: Secret, listen: SocketAddr) -> Config {
        Config {
            cluster,
            name,
            secret,
            listen,
            advertise: None,
            membership: Membership::Learned(Discovery::default()),
            tls: Tls::Secret,
            versions: Versions::OURS,
            timing: Timing::default(),
            limits: Limits::default(),
            #[cfg(feature = "wire")]
            network: None,
        }
    }

    /// The same over what stands in for sockets. TLS is off there.
    #[cfg(feature = "wire")]
    #[must_use]
    pub fn over(self, network: std::sync::Arc<dyn crate::wire::Network>) -> Config {
        Config {
            tls: Tls::Off,
            network: Some(network),
            ..self
        }
    }
}

/// Who the members are.
#[derive(Clone, Debug)]
pub enum Membership {
    /// Exactly these, this node among them. The majority is known, so a part of the cluster can
    /// know that it is the smaller one.
    Fixed(Vec<Seat>),
    /// Whoever knows the secret. The majority is not known.
    Learned(Discovery),
}

/// A place in a fixed list of members.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seat {
    /// Whose.
    pub name: NodeName,
    /// Where it can be reached.
    pub address: Address,
}

/// How members are found that are not configured. One that is found tells of all others.
#[derive(Clone, Debug)]
pub struct Discovery {
    /// Addresses of members, of which one is enough. This node's own may be among them.
    pub join: Vec<Address>,
    /// Names that the name service is asked for again and again.
    pub dns: Vec<DnsName>,
    /// Whom to ask; if there are none, those of `/etc/resolv.conf`.
    pub dns_servers: Vec<SocketAddr>,
    /// How often; up to a tenth more or less.
    pub dns_interval: Duration,
}

impl Default for Discovery {
    fn default() -> Discovery {
        Discovery {
            join: Vec::new(),
            dns: Vec::new(),
            dns_servers: Vec::new(),
            dns_interval: Duration::from_secs(10),
        }
    }
}

/// A complete name of the name service, and what of it to ask for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DnsName {
    /// The IP addresses of this name (A and AAAA), each with this port.
    Addresses(Address),
    /// The services of this name (SRV), which say their hosts and ports.
    Services(String),
}

/// How links are protected. All nodes of a cluster have the same kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tls {
    /// TLS 1.3 with a key that each node makes when it starts. That the other holds the secret is
    /// proven for the very session, so that nobody in the middle can pass the proof on: there are no
    /// certificates to make, and none that expire.
    Secret,
    /// The same proof, in sessions with certificates from files besides.
    Files(TlsFiles),
    /// No TLS: whoever sees the network reads and changes what is sent. For loopback, or a network
    /// that encrypts by itself.
    Off,
}

/// Certificates and keys, in PEM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFiles {
    /// This node's certificate, and those between it and the authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authorities that sign the certificates of members.
    pub authority: PathBuf,
    /// The name that every member's certificate bears; without it each bears the host that is
    /// dialled.
    pub server_name: Option<String>,
    /// Whether those who dial must show a certificate too.
    pub is_mutual: bool,
}

/// Intervals and patience.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// How often each link carries a heartbeat.
    pub heartbeat: Duration,
    /// After how much silence a member is suspect.
    pub suspect_after: Duration,
    /// After how much silence, or waiting for the other to read, a link is cut and dialled anew.
    pub cut_after: Duration,
    /// After how much silence a member is gone.
    pub gone_after: Duration,
    /// How long a learned member that is gone is remembered.
    pub forget_after: Duration,
    /// How long a greeting may take, from the dial to the welcome.
    pub greeting: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            heartbeat: Duration::from_millis(250),
            suspect_after: Duration::from_millis(1_250),
            cut_after: Duration::from_secs(3),
            gone_after: Duration::from_secs(10),
            forget_after: Duration::from_secs(3_600),
            greeting: Duration::from_secs(5),
        }
    }
}

/// Bounds on what others can make this node keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The longest message, in bytes. The same on all nodes.
    pub message_bytes: usize,
    /// What may wait to be sent to one node, in bytes. Who does not read that fast is cut off.
    pub queue_bytes: usize,
    /// The same in messages.
    pub queue_messages: usize,
    /// What may have arrived and not been taken, of all nodes together, in bytes. Beyond it nothing
    /// is read.
    pub inbox_bytes: usize,
    /// The same in events.
    pub inbox_events: usize,
    /// Connections that have not yet proven to know the secret.
    pub greetings: usize,
    /// Changes of all members that are kept for those who have missed them. Who has missed one that is
    /// kept by nobody drops its copies.
    pub log_records: usize,
    /// The same in bytes.
    pub log_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            // A value of 16 MiB, with its key and what stands around them.
            message_bytes: 17 * 1024 * 1024,
            queue_bytes: 64 * 1024 * 1024,
            queue_messages: 65_536,
            inbox_bytes: 64 * 1024 * 1024,
            inbox_events: 4_096,
            greetings: 64,
            log_records: LOG_LENGTH,
            log_bytes: 64 * 1024 * 1024,
        }
    }
}
