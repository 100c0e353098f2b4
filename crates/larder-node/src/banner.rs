//! What a node says when it has started: where it listens, where values go, what to try.

use std::net::{IpAddr, SocketAddr};

use larder_core::units::{show_bytes, show_duration};

use larder::mesh::MeshStore;

use crate::settings::Settings;

/// The lines, without the last line feed. The addresses are those that were bound.
pub(crate) fn banner(settings: &Settings, store: &str, mesh: Option<&MeshStore>) -> String {
    let (resp, http) = (settings.resp.addr, settings.http_addr);
    let limits = &settings.resp;
    let mut lines = vec![
        format!("larder {}  storing into {store}", env!("CARGO_PKG_VERSION")),
        format!(
            "  RESP    redis://{resp}   try: {}",
            example(settings, resp)
        ),
        format!("  HTTP    http://{http}   /healthz /readyz /metrics"),
        format!(
            "  limits  {} clients, values up to {}, {}",
            limits.max_clients,
            show_bytes(limits.max_value as u64),
            lives(settings)
        ),
    ];
    if let Some(links) = mesh.map(|mesh| mesh.log().mesh()) {
        let (address, name) = (links.address(), links.name());
        lines.insert(
            3,
            format!("  MESH    {address}   {name}; others join with --join"),
        );
    }
    if resp.ip().is_loopback() && limits.password.is_none() {
        lines.push(
            "  note    only this machine can connect; --resp ADDR and --password-file FILE open it"
                .into(),
        );
    }
    lines.join("\n")
}

/// A line that works when it is copied.
fn example(settings: &Settings, resp: SocketAddr) -> String {
    let host = match resp.ip() {
        ip if ip.is_unspecified() || ip == IpAddr::from([127, 0, 0, 1]) => String::new(),
        ip => format!(" -h {ip}"),
    };
    let password = match settings.resp.password {
        Some(_) => " --askpass",
        None => "",
    };
    let port = resp.port();
    format!("redis-cli{host} -p {port}{password} SET hello world EX 60")
}

fn lives(settings: &Settings) -> String {
    let default = match settings.ttl.default {
        Some(ttl) => format!("keys live {} unless they say otherwise", show_duration(ttl)),
        None => "keys without a TTL stay".into(),
    };
    // A named cache with two patterns is there twice, side by side.
    let mut names: Vec<&str> = settings
        .ttl
        .named
        .iter()
        .map(|named| &*named.name)
        .collect();
    names.dedup();
    match names.as_slice() {
        [] => default,
        names => format!("{default}; own TTLs: {}", names.join(", ")),
    }
}
