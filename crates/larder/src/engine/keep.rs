//! Storing a loaded value, as far as there is proof for it: the remote tier first, then the near
//! cache.

use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;
use larder_core::admit::Refusal;
use larder_core::area;
use larder_core::lane::LEASE;
use larder_core::mutant::Mutant;
use larder_core::record::Kind;
use larder_core::runtime::Mono;
use larder_core::store::{Batch, Committed, Expect, Fill, Put, Store, Within, Write};
use larder_core::tag::{Bond, Cut, depended_on};
use larder_core::version::Version;

use super::claim::{HeldLease, Proof};
use super::{Before, Engine, EngineKey, Incoming, Kept};
use crate::near::{Content, Entry};
use crate::observe::count;
use crate::options::WhenFenced;

/// How often a fill is tried again after looking at the areas that were invalidated meanwhile.
const TRIES: usize = 4;

impl<V: Send + Sync + 'static> Engine<V> {
    /// Stores a loaded value where the proof allows it.
    pub(super) async fn keep(
        &self,
        key: &EngineKey,
        before: Before,
        proof: Proof,
        incoming: Incoming<V>,
        cost: Duration,
    ) -> Arc<Entry<V>> {
        let stored_from = self.runtime.now();
        match self.prove(key, before, proof, &incoming, cost).await {
            Ok((kept, near)) => {
                // A remote tier that is of this process vouches for no more than is known here.
                let read = match Mutant::MadeAnew.is_active() {
                    true => Mono::MAX,
                    false => incoming.depends.as_of,
                };
                let held_from = before.at.min(read);
                let is_same = self.remote.is_none() && incoming.same_as.is_some();
                let entry = self.entry(key, incoming, kept, (held_from, stored_from));
                match near {
                    Ok(()) if self.admit(key, before, &entry) && is_same => {
                        count(&self.counts.confirmed);
                    }
                    Ok(()) => {}
                    Err(refusal) => self.refuse(refusal),
                }
                entry
            }
            // Nobody can say what of that which it depends on was invalidated.
            Err(Refusal::Unproven) if incoming.is_independent() => {
                self.keep_briefly(key, before, incoming)
            }
            Err(refusal) => self.unstored(key, incoming, refusal),
        }
    }

    /// Stores the value in the remote tier, or leaves it there with another life. What it was given, and whether a near copy may be
    /// kept.
    async fn prove(
        &self,
        key: &EngineKey,
        before: Before,
        proof: Proof,
        incoming: &Incoming<V>,
        cost: Duration,
    ) -> Result<(Kept, Result<(), Refusal>), Refusal> {
        let _turn = self.holding(&proof, proof.turn()).await;
        match proof {
            Proof::Local(cut) => {
                let cells = incoming.depends.cells.clone();
                let tags = self.local_tags(&incoming.tags, cut, cells)?;
                let kept = Kept {
                    version: before.version,
                    cut,
                    is_proven: true,
                    tags,
                    cost,
                };
                Ok((kept, Ok(())))
            }
            Proof::Lease(lease) => self.prove_by_lease(key, lease, incoming, cost).await,
            Proof::Absence if !self.near.stands(key.near(), before.near) => Err(Refusal::Raced),
            Proof::Absence if !incoming.is_independent() => Err(Refusal::TagsRefused),
            Proof::Absence => {
                let put = self.put(incoming, cost, Cut::default());
                let version = self.fill_absent(key, put, before.version).await?;
                Ok((Kept::unproven(version), Ok(())))
            }
            Proof::None => Err(Refusal::Unproven),
        }
    }

    async fn prove_by_lease(
        &self,
        key: &EngineKey,
        mut lease: HeldLease,
        incoming: &Incoming<V>,
        cost: Duration,
    ) -> Result<(Kept, Result<(), Refusal>), Refusal> {
        let mut put = self.put(incoming, cost, lease.cut);
        let all = put.tags.with(&put.bonds);
        let all = all.map_err(|_| Refusal::TagsRefused)?;
        // The cells are there before the fill looks at the tags: what is invalidated after the fill
        // finds them, and what was before is the fill's to see.
        let held = (!all.is_empty()).then(|| self.tags.hold(all.keys()));
        let old = incoming.same_as.as_deref();
        let stays = old.filter(|old| match old.tags() {
            Some(tags) => tags.are(all.keys()),
            None => all.is_empty(),
        });
        let stays = stays.map(Entry::version);
        let (version, cut) = self.fill(key, &mut lease, (&mut put, stays)).await?;
        let mut kept = Kept {
            version,
            cut,
            is_proven: true,
            tags: None,
            cost,
        };
        let mut near = Ok(());
        if let Some(held) = held {
            if self.near.capacity() > 0 && self.know(&*lease.store, &held).await.is_err() {
                near = Err(Refusal::Unproven);
            }
            kept.tags = Some(Box::new(held.with(cut)));
        }
        Ok((kept, near))
    }

    /// Keeps a value that could not be proven, in this process and for as long as a near copy may
    /// be behind in any case, so that a remote tier that is down does not send every read to the
    /// source. Where the source is to be spared, the rest of its life is that of a stale value.
    fn keep_briefly(
        &self,
        key: &EngineKey,
        before: Before,
        incoming: Incoming<V>,
    ) -> Arc<Entry<V>> {
        self.refuse(Refusal::Unproven);
        let life = incoming.ttl.unwrap_or(self.lives.near_ttl);
        let stale_for = match self.when_fenced {
            WhenFenced::SpareSource => life.saturating_sub(LEASE),
            WhenFenced::Bypass | WhenFenced::ServeStale => Duration::ZERO,
        };
        let brief = Incoming {
            ttl: Some(life.min(LEASE)),
            stale_for,
            ..incoming
        };
        // Nobody gave it a version. That of a copy which is fresh no more lets it take that copy's
        // place; it yields to a fresh one, and to all that changed meanwhile.
        let outlived = self.near.outlived(key.near(), self.runtime.now());
        let kept = Kept::unproven(outlived.max(Version(1)));
        let from = match Mutant::BriefFromEnd.is_active() {
            true => self.runtime.now(),
            false => before.at,
        };
        let entry = self.entry(key, brief, kept, (from, from));
        self.admit(key, before, &entry);
        entry
    }

    async fn fill(
        &self,
        key: &EngineKey,
        lease: &mut HeldLease,
        (put, mut stays): (&mut Put, Option<Version>),
    ) -> Result<(Version, Cut), Refusal> {
        for _ in 0..TRIES {
            let Some(leases) = lease.store.describe().leases else {
                return Err(Refusal::Unproven);
            };
            let (stored, token, put_now) = (&lease.key, lease.token, put.clone());
            let filled = match stays {
                Some(old) => leases.confirm(stored, token, old, put_now).await,
                None => leases.fill(stored, token, put_now).await,
            };
            let answer = filled.map_err(|error| {
                self.failed(error);
                Refusal::Unproven
            })?;
            match answer {
                Fill::Stored { version, cut } => {
                    lease.held = false;
                    if stays.is_some() {
                        count(&self.counts.confirmed);
                    }
                    return Ok((version, cut));
                }
                Fill::Revoked | Fill::Lost => {
                    lease.held = false;
                    return Err(if answer == Fill::Lost {
                        Refusal::LeaseLost
                    } else {
                        Refusal::LeaseRevoked
                    });
                }
                // Ended or evicted since it was read, or not what the remote tier has.
                Fill::Gone => stays = None,
                Fill::Raced(raced) => self.excuse(key, &*lease.store, put, &raced).await?,
            }
        }
        Err(Refusal::TagRaced)
    }

    /// Areas have a common number for each cache, so that one which does not concern the value
    /// stands in its way too. Looks at what they cover; a value that none covers may be tried again.
    async fn excuse(
        &self,
        key: &EngineKey,
        store: &dyn Store,
        put: &mut Put,
        raced: &[Bytes],
    ) -> Result<(), Refusal> {
        let own = self.area_key();
        for tag in raced {
            let Some(cache) = area::cache_of(tag) else {
                let is_own = put.tags.keys().contains(tag);
                return Err(if is_own {
                    Refusal::TagRaced
                } else {
                    Refusal::DependencyRaced
                });
            };
            let areas = self.ask_areas(store, tag).await;
            let areas = areas.map_err(|_| Refusal::Unproven)?;
            let latest = areas.latest();
            if let Some(within) = put.within.as_mut().filter(|_| *tag == own) {
                let since = within.checked.max(put.cut);
                if areas.cover(key.id_bytes(), since) {
                    return Err(Refusal::TagRaced);
                }
                within.checked = latest;
            }
            let prefix = format!("{cache}:");
            let read = |bond: &Bond| {
                let key = depended_on(&bond.tag)?.strip_prefix(prefix.as_bytes())?;
                Some((Bytes::copy_from_slice(key), bond.cut))
            };
            let read: Vec<(Bytes, Cut)> = put.bonds.iter().filter_map(read).collect();
            for bond in put.bonds.iter_mut().filter(|bond| bond.tag == *tag) {
                let since = bond.cut;
                if read
                    .iter()
                    .any(|(key, cut)| areas.cover(key, since.max(*cut)))
                {
                    return Err(Refusal::DependencyRaced);
                }
                bond.cut = latest;
            }
        }
        Ok(())
    }

    async fn fill_absent(
        &self,
        key: &EngineKey,
        put: Put,
        local: Version,
    ) -> Result<Version, Refusal> {
        let Some(store) = &self.remote else {
            return Err(Refusal::Unproven);
        };
        let stored = key.stored();
        let batch = Batch::one(stored.clone(), Write::Put(put)).check(stored, Expect::Absent);
        match store.commit(batch.by(self.coherence.node.number)).await {
            Ok(Committed::Done(outcomes)) => {
                Ok(Self::ordered(&**store, outcomes[0].version, local))
            }
            Ok(Committed::Refused(_)) => Err(Refusal::Superseded),
            Err(error) => {
                self.failed(error);
                Err(Refusal::Unproven)
            }
        }
    }

    pub(super) fn put(&self, incoming: &Incoming<V>, cost: Duration, cut: Cut) -> Put {
        Put {
            kind: match incoming.value {
                Content::Nothing => Kind::Negative,
                Content::Own(_) | Content::Of(_) => Kind::Value,
            },
            life: incoming.life(),
            origin: self.coherence.node.number,
            load_cost_ms: u32::try_from(cost.as_millis()).unwrap_or(u32::MAX),
            codec: self.codec.id(),
            schema: self.schema,
            tags: incoming.tags.clone(),
            bonds: incoming.depends.bonds.clone(),
            within: Some(Within {
                cache: self.area_key(),
                checked: cut,
            }),
            cut,
            value: incoming.encoded.clone().unwrap_or_default(),
        }
    }

    /// An entry for the caller alone.
    pub(super) fn unstored(
        &self,
        key: &EngineKey,
        incoming: Incoming<V>,
        refusal: Refusal,
    ) -> Arc<Entry<V>> {
        self.refuse(refusal);
        let now = self.runtime.now();
        self.entry(key, incoming, Kept::unproven(Version::ZERO), (now, now))
    }
}
