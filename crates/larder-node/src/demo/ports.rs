//! Addresses for the members of a mesh, which have to be in the list before anybody listens.
//!
//! They are from below the range from which the system gives ports to connections: a node that was
//! killed must find its own free when it comes back.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use larder_core::Runtime;

const LOWEST: u64 = 10_000;
const HIGHEST: u64 = 32_000;

/// How often a free one is looked for.
const TRIES: usize = 1_000;

/// So many addresses on loopback where nobody listens now.
pub(super) fn free(count: usize, runtime: &dyn Runtime) -> Result<Vec<SocketAddr>, String> {
    // Held until all are found, so that none is found twice.
    let mut held: Vec<TcpListener> = Vec::new();
    for _ in 0..TRIES {
        if held.len() == count {
            break;
        }
        let port = LOWEST + runtime.random() % (HIGHEST - LOWEST);
        let port = u16::try_from(port).unwrap_or(u16::MAX);
        held.extend(TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
    }
    let addresses: Vec<SocketAddr> = held.iter().flat_map(TcpListener::local_addr).collect();
    match addresses.len() == count {
        true => Ok(addresses),
        false => Err("there are no free ports on loopback".into()),
    }
}
