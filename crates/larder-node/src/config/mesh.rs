//! The settings of a node among others: what they must be to each other, and what they make.

use larder::mesh::{
    Address, ClusterName, Discovery, DnsName, Membership, MeshConfig, NodeName, Seat, Secret, Tls,
};
use secrecy::ExposeSecret;

use super::draft::Draft;
use super::value::Value;

/// Least memory of the replicated values, if it has a limit.
const LEAST_MEMORY: u64 = 16 << 20;

/// What only a node with others needs.
const PATHS: [&str; 6] = [
    "mesh.join",
    "mesh.members",
    "mesh.dns",
    "mesh.secret",
    "mesh.advertise",
    "mesh.addr",
];

/// What the settings make: nothing if they say nothing, or what is wrong with them.
pub(super) fn mesh(draft: &Draft) -> Result<Option<MeshConfig>, Vec<String>> {
    let Value::Addr(listen) = draft.get("mesh.addr").value else {
        let others = PATHS.iter().find(|path| is_set(draft, path));
        return match others {
            Some(path) => Err(vec![format!(
                "{} without mesh.addr – say where this node listens for others, for example --mesh \
                 127.0.0.1:7401",
                blame(draft, path)
            )]),
            None => Ok(None),
        };
    };
    let mut errors = Vec::new();
    if let Value::Size(0..LEAST_MEMORY) = draft.get("memory.max").value {
        let memory = blame(draft, "memory.max");
        errors.push(format!(
            "{memory} with mesh.addr – the nodes of a mesh need at least 16MiB"
        ));
    }
    if !matches!(draft.get("type").value, Value::Choice("memory")) {
        let kind = blame(draft, "type");
        errors.push(format!(
            "{kind} with mesh.addr – the nodes of a mesh keep values by themselves: leave out one of \
             them"
        ));
    }
    let name = name(draft, &mut errors);
    let cluster = cluster(draft, &mut errors);
    let secret = secret(draft, &mut errors);
    let membership = membership(draft, name.as_ref(), &mut errors);
    let advertise = word(draft, "mesh.advertise").map(|address| Address::parse(&address));
    let advertise =
        advertise.and_then(|address| kept(address, draft, "mesh.advertise", &mut errors));
    match (name, cluster, secret, membership) {
        (Some(name), Some(cluster), Some(secret), Some(membership)) if errors.is_empty() => {
            let mut config = MeshConfig::new(cluster, name, secret, listen);
            config.membership = membership;
            config.advertise = advertise;
            if let Value::Choice("off") = draft.get("mesh.tls").value {
                config.tls = Tls::Off;
            }
            Ok(Some(config))
        }
        _ => Err(errors),
    }
}

fn name(draft: &Draft, errors: &mut Vec<String>) -> Option<NodeName> {
    let Some(name) = word(draft, "node") else {
        errors.push(format!(
            "{} needs a name that no other node has and that stays – give it with --name, for \
             example --name node1",
            blame(draft, "mesh.addr")
        ));
        return None;
    };
    kept(NodeName::new(&name), draft, "node", errors)
}

fn cluster(draft: &Draft, errors: &mut Vec<String>) -> Option<ClusterName> {
    let name = word(draft, "mesh.cluster").unwrap_or_default();
    kept(ClusterName::new(&name), draft, "mesh.cluster", errors)
}

fn secret(draft: &Draft, errors: &mut Vec<String>) -> Option<Secret> {
    match &draft.get("mesh.secret").value {
        Value::Secret(secret) => {
            let secret = Secret::new(secret.expose_secret());
            kept(secret, draft, "mesh.secret", errors)
        }
        _ => {
            errors.push(format!(
                "{} needs a secret that all nodes have – make one with openssl rand -hex 32 > F and \
                 give it with --secret-file F",
                blame(draft, "mesh.addr")
            ));
            None
        }
    }
}

fn membership(
    draft: &Draft,
    me: Option<&NodeName>,
    errors: &mut Vec<String>,
) -> Option<Membership> {
    let hosts = list(draft, "mesh.join");
    let dns = list(draft, "mesh.dns");
    let Some(members) = word(draft, "mesh.members") else {
        return Some(Membership::Learned(Discovery {
            join: hosts
                .iter()
                .filter_map(|host| Address::parse(host).ok())
                .collect(),
            dns: dns.iter().filter_map(|name| dns_name(name).ok()).collect(),
            ..Discovery::default()
        }));
    };
    if !hosts.is_empty() || !dns.is_empty() {
        errors.push(format!(
            "{} with mesh.join or mesh.dns – members are configured or found: leave out one of them",
            blame(draft, "mesh.members")
        ));
    }
    let seats: Vec<Seat> = members
        .split(',')
        .filter_map(|seat| self::seat(seat).ok())
        .collect();
    if me.is_some_and(|me| seats.iter().all(|seat| seat.name != *me)) {
        errors.push(format!(
            "{} lacks this node – the list is the same on all nodes, each among them",
            blame(draft, "mesh.members")
        ));
    }
    Some(Membership::Fixed(seats))
}

/// One of `mesh.members`: a name and an address.
pub(super) fn seat(text: &str) -> Result<Seat, String> {
    let (name, address) = text.split_once('=').ok_or("has no = in it")?;
    Ok(Seat {
        name: NodeName::new(name).map_err(|error| error.message().to_owned())?,
        address: address_of(address)?,
    })
}

/// One of `mesh.dns`.
pub(super) fn dns_name(text: &str) -> Result<DnsName, String> {
    Ok(match text.strip_prefix("srv:") {
        Some("") => return Err("is no name of a service".into()),
        Some(service) => DnsName::Services(service.to_owned()),
        None => DnsName::Addresses(address_of(text)?),
    })
}

pub(super) fn address_of(text: &str) -> Result<Address, String> {
    Address::parse(text).map_err(|error| error.message().to_owned())
}

/// Says what is wrong, if it is.
fn kept<T>(
    made: larder_core::Result<T>,
    draft: &Draft,
    path: &str,
    errors: &mut Vec<String>,
) -> Option<T> {
    made.map_err(|error| errors.push(format!("{} – {}", blame(draft, path), error.message())))
        .ok()
}

fn is_set(draft: &Draft, path: &str) -> bool {
    !matches!(draft.get(path).value, Value::Absent)
}

fn word(draft: &Draft, path: &str) -> Option<String> {
    match &draft.get(path).value {
        Value::Word(word) => Some(word.clone()),
        _ => None,
    }
}

fn list(draft: &Draft, path: &str) -> Vec<String> {
    let word = word(draft, path).unwrap_or_default();
    word.split(',')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

fn blame(draft: &Draft, path: &str) -> String {
    let entry = draft.get(path);
    entry.origin.blames(path, &entry.value.shown())
}
