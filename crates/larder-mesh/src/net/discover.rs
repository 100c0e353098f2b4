//! Asks the name service again and again, and dials whom it names.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::resolver::Resolver;
use crate::address::Address;
use crate::config::{Discovery, DnsName};
use crate::dns::{Found, Kind};
use crate::hub::Hub;

/// LIMIT: addresses that one name may give.
const MAX_ADDRESSES: usize = 256;

/// Asks for one name until this node leaves.
pub(crate) async fn run(hub: Arc<Hub>, discovery: Discovery, name: DnsName) {
    let resolver = Resolver::new(Arc::clone(&hub.runtime), &discovery.dns_servers);
    let mut known: Vec<Address> = Vec::new();
    let text = match &name {
        DnsName::Addresses(address) => address.host().to_owned(),
        DnsName::Services(name) => name.clone(),
    };
    loop {
        match ask(&resolver, &name).await {
            Ok(found) => {
                hub.book.is_well(&text);
                let gone: Vec<Address> = known
                    .iter()
                    .filter(|a| !found.contains(a))
                    .cloned()
                    .collect();
                let now = hub.now();
                hub.core.lock().dials.resolved(&gone, &found, now);
                hub.wake.notify_one();
                known = found;
            }
            // What was known stays: a name service that fails is no sign that anybody has gone.
            Err(error) if hub.book.is_news(&text, &error, hub.now()) => {
                tracing::warn!(name = %text, %error, "the name service did not answer");
            }
            Err(_) => {}
        }
        // Between nine and eleven tenths of the interval, so that nodes do not ask all at once.
        let part = (hub.runtime.random() >> 11) as f64 / (1_u64 << 53) as f64;
        let pause = discovery.dns_interval.mul_f64(0.9 + part / 5.0);
        hub.runtime.sleep(pause).await;
    }
}

async fn ask(resolver: &Resolver, name: &DnsName) -> Result<Vec<Address>, String> {
    let mut found = BTreeSet::new();
    match name {
        DnsName::Addresses(address) => {
            found.extend(hosts(resolver, address.host(), address.port()).await?);
        }
        DnsName::Services(name) => {
            for service in resolver.ask(name, Kind::Srv).await? {
                if let Found::Service(host, port) = service {
                    found.extend(hosts(resolver, &host, port).await?);
                }
            }
        }
    }
    Ok(found.into_iter().take(MAX_ADDRESSES).collect())
}

/// The addresses of a host, of both kinds. One kind is enough if the other fails.
async fn hosts(resolver: &Resolver, host: &str, port: u16) -> Result<Vec<Address>, String> {
    let four = resolver.ask(host, Kind::A).await;
    let six = resolver.ask(host, Kind::Aaaa).await;
    let found = match (four, six) {
        (Err(error), Err(_)) => return Err(error),
        (four, six) => [four.unwrap_or_default(), six.unwrap_or_default()].concat(),
    };
    let ips = found.into_iter().filter_map(|found| match found {
        Found::Ip(ip) => Address::of(&ip.to_string(), port),
        Found::Service(..) => None,
    });
    Ok(ips.collect())
}
