//! Larder nodes that find each other and exchange messages, without a broker.
//!
//! What is here is the lower half of the mesh: a node knows who else is there, has one link to each
//! of them, and carries messages over it, in order and within bounds. What the messages mean, who
//! acknowledges them and what holds when one is lost is decided above, by whoever takes the
//! [`Events`].
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use larder_core::Runtime;
//! use larder_mesh::{ClusterName, Config, Event, Mesh, NodeName, Secret};
//!
//! # async fn run(runtime: Arc<dyn Runtime>) -> larder_core::Result<()> {
//! let config = Config::new(
//!     ClusterName::new("shop")?,
//!     NodeName::new("node1")?,
//!     Secret::from_file("mesh.secret".as_ref())?,
//!     ([127, 0, 0, 1], 7401).into(),
//! );
//! let (mesh, mut events) = Mesh::start(config, runtime).await?;
//! while let Some(event) = events.next().await {
//!     match event {
//!         Event::Up { peer, name, .. } => {
//!             println!("{name} is there");
//!             let _ = mesh.send(peer, "hello".into());
//!         }
//!         Event::Message { peer, bytes } => println!("{:?} says {bytes:?}", peer.node()),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Reading order: [`name`], [`address`] and [`secret`] say who is who; `frame` and [`message`] are
//! the bytes; `handshake` decides who is let in, `pairs` that two nodes have one link, [`members`]
//! who is there, `dials` whom to dial, `dns` reads what a name service says. All of these are pure.
//! `hub` holds them together, `net` is the rim with sockets and tasks, [`Mesh`] the handle. The feature
//! `wire` is for simulation: something else in the place of sockets.

#![forbid(unsafe_code)]

pub mod address;
pub mod name;
pub mod secret;

mod frame;
pub mod message;

mod dials;
mod dns;
mod handshake;
pub mod members;
mod outgoing;
mod pairs;

pub mod config;
mod counts;
pub mod event;
mod hub;
pub mod log;
mod mesh;
mod net;
#[cfg(feature = "wire")]
pub mod wire;

pub use address::Address;
pub use config::{Config, Discovery, DnsName, Limits, Membership, Seat, Timing, Tls, TlsFiles};
pub use counts::Counts;
pub use event::{DownReason, Event, Events, Peer};
pub use log::{Follower, MeshLog};
pub use members::{Member, State};
pub use mesh::{Mesh, NotSent};
pub use message::Refusal;
pub use name::{ClusterName, Incarnation, NodeId, NodeName, Versions};
pub use secret::Secret;

/// The page on clusters: its examples compile.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/cluster.md")]
mod cluster {}
