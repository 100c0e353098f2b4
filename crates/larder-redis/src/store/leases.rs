//! Leases of the enveloped layout. One script call each.

use std::time::Duration;

use bytes::Bytes;
use larder_core::envelope::Header;
use larder_core::error::Result;
use larder_core::record::Record;
use larder_core::store::{Fill, Lease, LeaseToken, Leases, Lookup, Pending, Put};
use larder_core::tag::Cut;
use larder_core::version::Version;

use super::read::lookup_alive;
use super::{RedisStore, encode};
use crate::reply::{Reply, unexpected};
use crate::scripts::{FILL, LEASE, RELEASE, RENEW};

/// Longest lease in milliseconds, a year: beyond every load, and far from the end of numbers.
const LONGEST_LEASE: u128 = 365 * 86_400_000;

/// How often a lease is asked for while there is another damaged record each time.
const TRIES: usize = 3;

enum Answer {
    Lease(Lease),
    /// The script saw a fresh record of this version, but its bytes cannot be used.
    Damaged(Version),
}

impl RedisStore {
    /// One round trip; one more where the record is damaged.
    async fn ask_lease(
        &self,
        key: &Bytes,
        token: LeaseToken,
        ttl: Duration,
        void: Version,
    ) -> Result<Lease> {
        let mut damaged = void;
        for _ in 0..TRIES {
            let mut call = LEASE.call(2);
            call.arg(&self.tier.keys.wire(key)[..]);
            call.arg(&self.tier.keys.shard()[..]);
            call.arg(token.get()).arg(ttl_ms(ttl)).arg(damaged.0);
            match answer(key, self.tier.run(&LEASE, &call).await?)? {
                Answer::Lease(lease) => return Ok(lease),
                Answer::Damaged(version) => damaged = version,
            }
        }
        Err(unexpected("a record that is not damaged"))
    }

    async fn ask_renew(&self, key: &Bytes, token: LeaseToken, ttl: Duration) -> Result<bool> {
        let mut call = RENEW.call(1);
        call.arg(&self.tier.keys.wire(key)[..]);
        call.arg(token.get()).arg(ttl_ms(ttl));
        Ok(self.tier.run(&RENEW, &call).await?.int()? == 1)
    }

    /// With a value, or, of the record of version `stays`, with the one that is there.
    async fn ask_fill(
        &self,
        key: &Bytes,
        token: LeaseToken,
        stays: Option<Version>,
        put: Put,
    ) -> Result<Fill> {
        let keys = &self.tier.keys;
        let bonds = put.all_bonds();
        let mut call = FILL.call(2 + bonds.len());
        call.arg(&keys.wire(key)[..]).arg(&keys.shard()[..]);
        for bond in &bonds {
            call.arg(&keys.wire(&bond.tag)[..]);
        }
        call.arg(token.get());
        match stays {
            Some(_) => encode::stay(&mut call, &put),
            None => encode::put(&mut call, key, &put)?,
        }
        call.arg(keys.prefix_len());
        call.arg(stays.unwrap_or_default().0)
            .arg(&self.tier.channel[..]);
        for bond in &bonds {
            call.arg(bond.cut.0).arg(bond.version.0);
        }
        let mut reply = self.tier.run(&FILL, &call).await?;
        match reply.bytes()?.as_deref() {
            Some(b"S") => Ok(Fill::Stored {
                version: Version(reply.number()?),
                cut: Cut(reply.number()?),
            }),
            Some(b"R") => Ok(Fill::Revoked),
            Some(b"L") => Ok(Fill::Lost),
            Some(b"T") => {
                let mut raced = Vec::with_capacity(reply.left());
                while reply.left() > 0 {
                    let at = usize::try_from(reply.number()?).unwrap_or(usize::MAX);
                    let bond = bonds.get(at).ok_or_else(|| unexpected("an index"))?;
                    raced.push(bond.tag.clone());
                }
                Ok(Fill::Raced(raced))
            }
            Some(b"G") => Ok(Fill::Gone),
            _ => Err(unexpected("S, R, L, T or G")),
        }
    }

    async fn ask_release(&self, key: &Bytes, token: LeaseToken) -> Result<()> {
        let mut call = RELEASE.call(1);
        call.arg(&self.tier.keys.wire(key)[..]).arg(token.get());
        call.arg(&self.tier.channel[..]);
        call.arg(self.tier.keys.prefix_len());
        self.tier.run(&RELEASE, &call).await.map(drop)
    }
}

impl Leases for RedisStore {
    fn lease<'a>(
        &'a self,
        key: &'a Bytes,
        token: LeaseToken,
        ttl: Duration,
        void: Version,
    ) -> Pending<'a, Lease> {
        Pending::waiting(self.ask_lease(key, token, ttl, void))
    }

    fn renew<'a>(&'a self, key: &'a Bytes, token: LeaseToken, ttl: Duration) -> Pending<'a, bool> {
        Pending::waiting(self.ask_renew(key, token, ttl))
    }

    fn fill<'a>(&'a self, key: &'a Bytes, token: LeaseToken, put: Put) -> Pending<'a, Fill> {
        Pending::waiting(self.ask_fill(key, token, None, put))
    }

    fn confirm<'a>(
        &'a self,
        key: &'a Bytes,
        token: LeaseToken,
        old: Version,
        put: Put,
    ) -> Pending<'a, Fill> {
        Pending::waiting(self.ask_fill(key, token, Some(old), put))
    }

    fn release<'a>(&'a self, key: &'a Bytes, token: LeaseToken) -> Pending<'a, ()> {
        Pending::waiting(self.ask_release(key, token))
    }
}

fn ttl_ms(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis().clamp(1, LONGEST_LEASE)).unwrap_or(1)
}

fn answer(key: &Bytes, mut reply: Reply) -> Result<Answer> {
    match reply.bytes()?.as_deref() {
        Some(b"H") => {
            let bytes = reply.bytes()?.unwrap_or_default();
            let version = Header::decode(&bytes).map_or(Version::ZERO, |header| header.version);
            Ok(match lookup_alive(key, Some(bytes)) {
                Lookup::Found(record) => Answer::Lease(Lease::Hit(record)),
                Lookup::Absent | Lookup::Damaged(_) => Answer::Damaged(version),
            })
        }
        Some(b"G") => {
            let cut = Cut(reply.number()?);
            let stale = stale(key, &mut reply)?;
            Ok(Answer::Lease(Lease::Granted { cut, stale }))
        }
        Some(b"T") => {
            let remaining = Duration::from_millis(reply.number()?);
            let stale = stale(key, &mut reply)?;
            Ok(Answer::Lease(Lease::Taken { remaining, stale }))
        }
        _ => Err(unexpected("H, G or T")),
    }
}

fn stale(key: &Bytes, reply: &mut Reply) -> Result<Option<Record>> {
    // Nothing at the end of an array is left out by the server.
    let bytes = if reply.left() == 0 {
        None
    } else {
        reply.bytes()?
    };
    Ok(lookup_alive(key, bytes).into_record())
}
