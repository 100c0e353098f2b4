//! Listing and clearing, for both layouts, on connections of their own.

use std::collections::HashSet;

use bytes::Bytes;
use larder_core::envelope::{HEADER_LEN, Header};
use larder_core::error::Result;
use larder_core::limits::MAX_KEYS_PER_SCRIPT;
use larder_core::record::Kind;
use larder_core::runtime::Timestamp;
use larder_core::space::Space;
use larder_core::store::Page;
use larder_core::tag::Cut;
use redis::Value;
use xxhash_rust::xxh3::xxh3_64;

use crate::pool::Lent;
use crate::reply::{self, Reply};
use crate::scripts::{CLEAR, CLEARED, RECLAIM};
use crate::tier::Tier;
use crate::{fault, keys::Keys};

/// Keys per step where the caller does not say: some tenths of a millisecond of the server.
const STEP: usize = 500;

/// The most for which one step holds the server.
const LONGEST_STEP: usize = 2_000;

/// How often the server is asked for a random key before the search becomes a scan.
const RANDOM_TRIES: usize = 16;

/// How values lie on the server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Enveloped,
    Plain,
}

/// A view of a tier for listing.
pub(crate) struct Browser<'a> {
    pub(crate) tier: &'a Tier,
    pub(crate) layout: Layout,
}

impl Browser<'_> {
    pub(crate) async fn page(&self, space: &Space, cursor: u64, count: usize) -> Result<Page> {
        let mut lent = self.tier.pool.lend().await?;
        let (next, stored) = self.step(&mut lent, space, cursor, count).await?;
        let live = self.live(&mut lent, stored).await?;
        let keys = live.iter().filter_map(|key| space.user_key(key)).collect();
        Ok(Page { next, keys })
    }

    /// Exact for keys that stay. Holds 8 bytes per key, because the server may list one twice.
    pub(crate) async fn count(&self, space: &Space) -> Result<u64> {
        let mut lent = self.tier.pool.lend().await?;
        let mut seen = HashSet::new();
        let mut cursor = 0;
        loop {
            let (next, stored) = self.step(&mut lent, space, cursor, STEP).await?;
            let live = self.live(&mut lent, stored).await?;
            seen.extend(live.iter().map(|key| xxh3_64(key)));
            cursor = next;
            if cursor == 0 {
                return Ok(seen.len() as u64);
            }
        }
    }

    pub(crate) async fn random_key(&self, space: &Space) -> Result<Option<Bytes>> {
        let mut lent = self.tier.pool.lend().await?;
        for _ in 0..RANDOM_TRIES {
            let Some(key) = reply::bytes(lent.command(&redis::cmd("RANDOMKEY")).await?)? else {
                return Ok(None);
            };
            let stored = self.tier.keys.stored(space, &key).into_iter().collect();
            if let Some(key) = self.live(&mut lent, stored).await?.pop() {
                return Ok(space.user_key(&key));
            }
        }
        let mut cursor = 0;
        loop {
            let (next, stored) = self.step(&mut lent, space, cursor, STEP).await?;
            let live = self.live(&mut lent, stored).await?;
            if !live.is_empty() {
                let pick = self.tier.runtime.random() as usize % live.len();
                return Ok(space.user_key(&live[pick]));
            }
            cursor = next;
            if cursor == 0 {
                return Ok(None);
            }
        }
    }

    pub(crate) async fn clear(&self, space: &Space) -> Result<u64> {
        let mut lent = self.tier.pool.lend().await?;
        let (mut cursor, mut removed) = (0, 0);
        loop {
            let (next, stored) = self.step(&mut lent, space, cursor, STEP).await?;
            for keys in stored.chunks(MAX_KEYS_PER_SCRIPT) {
                removed += self.remove(&mut lent, keys).await?;
            }
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        if self.layout == Layout::Enveloped {
            self.announce_cleared(&mut lent, space).await?;
        }
        Ok(removed)
    }

    /// Removes void records, on a connection of its own.
    pub(crate) async fn reclaim(&self, keys: &[Bytes], before: Cut) -> Result<u64> {
        let mut lent = self.tier.pool.lend().await?;
        let mut removed = 0;
        for keys in keys.chunks(MAX_KEYS_PER_SCRIPT) {
            let mut call = RECLAIM.call(keys.len());
            for key in keys {
                call.arg(&self.tier.keys.wire(key)[..]);
            }
            call.arg(before.0);
            removed += self
                .tier
                .run_on(&mut lent, &RECLAIM, &call)
                .await?
                .number()?;
        }
        Ok(removed)
    }

    /// Last, so that a copy taken while the pages were being cleared goes as well.
    async fn announce_cleared(&self, lent: &mut Lent, space: &Space) -> Result<()> {
        let tier = self.tier;
        let mut call = CLEARED.call(3);
        call.arg(&tier.keys.shard()[..]).arg(&tier.keys.log()[..]);
        call.arg(&tier.keys.wire(&space.stored_prefix())[..]);
        call.arg(&tier.channel[..]).arg(tier.keys.prefix_len());
        tier.run_on(lent, &CLEARED, &call).await.map(drop)
    }

    /// One step of the server's scan: the stored keys of the space, whatever is under them.
    async fn step(
        &self,
        lent: &mut Lent,
        space: &Space,
        cursor: u64,
        count: usize,
    ) -> Result<(u64, Vec<Bytes>)> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor);
        if let Some(pattern) = self.tier.keys.pattern(space) {
            scan.arg("MATCH").arg(pattern);
        }
        scan.arg("COUNT").arg(count.clamp(1, LONGEST_STEP));
        if self.layout == Layout::Plain {
            scan.arg("TYPE").arg("string");
        }
        let mut reply = Reply::of(lent.command(&scan).await?)?;
        let next = reply.number()?;
        let listed = Reply::of(reply.next()?)?;
        Ok((next, own(&self.tier.keys, space, listed)?))
    }

    /// Those of the keys that hold a live value.
    async fn live(&self, lent: &mut Lent, stored: Vec<Bytes>) -> Result<Vec<Bytes>> {
        if stored.is_empty() {
            return Ok(stored);
        }
        let mut look = redis::pipe();
        look.cmd("TIME");
        for key in &stored {
            let key = self.tier.keys.wire(key);
            match self.layout {
                Layout::Enveloped => look
                    .cmd("GETRANGE")
                    .arg(&key[..])
                    .arg(0)
                    .arg(HEADER_LEN - 1),
                Layout::Plain => look.cmd("TYPE").arg(&key[..]),
            };
        }
        let mut answers = Reply::of(lent.pipeline(&look).await?)?;
        let time = fault::checked(&self.tier.name, answers.next()?)?;
        let now = Timestamp(reply::time_ms(time)?);
        let mut live = Vec::with_capacity(stored.len());
        for key in stored {
            let answer = answers.next()?;
            let alive = match self.layout {
                Layout::Enveloped => is_live(answer, now),
                Layout::Plain => reply::bytes(answer)?.as_deref() == Some(b"string"),
            };
            if alive {
                live.push(key);
            }
        }
        Ok(live)
    }

    async fn remove(&self, lent: &mut Lent, keys: &[Bytes]) -> Result<u64> {
        let wire = keys.iter().map(|key| self.tier.keys.wire(key));
        match self.layout {
            Layout::Enveloped => {
                let tier = self.tier;
                let mut call = CLEAR.call(2 + keys.len());
                call.arg(&tier.keys.shard()[..]).arg(&tier.keys.log()[..]);
                wire.for_each(|key| {
                    call.arg(&key[..]);
                });
                call.arg(&tier.channel[..]).arg(tier.keys.prefix_len());
                tier.run_on(lent, &CLEAR, &call).await?.number()
            }
            Layout::Plain => {
                let mut unlink = redis::cmd("UNLINK");
                wire.for_each(|key| {
                    unlink.arg(&key[..]);
                });
                let removed = reply::int(&lent.command(&unlink).await?)?;
                Ok(u64::try_from(removed).unwrap_or(0))
            }
        }
    }
}

fn own(keys: &Keys, space: &Space, mut listed: Reply) -> Result<Vec<Bytes>> {
    let mut stored = Vec::with_capacity(listed.left());
    while listed.left() > 0 {
        let wire = listed.bytes()?.unwrap_or_default();
        stored.extend(keys.stored(space, &wire));
    }
    Ok(stored)
}

fn is_live(answer: Value, now: Timestamp) -> bool {
    let Ok(Some(bytes)) = reply::bytes(answer) else {
        return false;
    };
    Header::decode(&bytes).is_ok_and(|header| {
        matches!(header.kind, Kind::Value | Kind::Negative)
            && header.expires_at.is_none_or(|end| now < end)
    })
}
