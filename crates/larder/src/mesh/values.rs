//! Replicated values: what is written on one node is read on all of them, without a source.
//!
//! The store of this process is a table of which every member has one. A record of the log carries
//! what was written, with a stamp; the greater stamp stays ([`ledger`]). Nothing is ever dropped
//! because something was missed: the tables of the others are asked for, page by page, and merged by
//! the same rule. So a member that comes back has everything, and nothing that was removed.

mod form;
mod ledger;
mod pages;
#[cfg(test)]
mod tests;
mod voids;

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ::bytes::{Buf, Bytes};
use larder_core::area::{self, Covered, area_key};
use larder_core::bus::{ChangeKind, voided_key};
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::mesh::{BadMessage, FlushReason, LaneId};
use larder_core::record::Record;
use larder_core::runtime::Runtime;
use larder_core::space::Space;
use larder_core::store::{Batch, Committed, Keyspace, Lookup, Outcome, Store, TagStore, Write};
use larder_mesh::Follower;
use larder_mesh::log::{Entry, Heard};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::incoming::{Done, heard, now};
use super::outgoing::Outgoing;
use crate::embedded::Embedded;
use crate::engine::areas::lies;
use form::{State, Written};
use ledger::{Kind, Ledger, Limits, Stamp};
use voids::Voids;

/// A record of the log, or a page of a table, takes no further write once it is so long, in bytes.
const PAGE: usize = 1 << 20;

/// How long a member waits at its start for others that may have values.
const ALONE: Duration = Duration::from_millis(2_500);

/// Values that are looked at with each write, whether they have ended.
const SWEEP: usize = 4;

/// The table of this member.
pub(super) struct Values {
    store: Embedded,
    me: OnceLock<LaneId>,
    table: Mutex<Table>,
    outgoing: Arc<Outgoing>,
    /// Whether what others had at the start is here.
    is_whole: watch::Sender<bool>,
    /// The number of the newest record when somebody began to read this table.
    asked_at: AtomicU64,
}

#[derive(Default)]
struct Table {
    ledger: Ledger,
    voids: Voids,
    done: Done,
    /// The lives of members whose tables are here, and those that are being asked.
    have: BTreeSet<LaneId>,
    asked: BTreeSet<LaneId>,
    /// What is counted against the limit of the store.
    counted: usize,
}

impl Values {
    /// An empty table, which is whole once somebody else's is here, or after some seconds alone. What
    /// it takes is counted against the limit of the store, of which what is gone may have a quarter.
    pub(super) fn new(store: Embedded, outgoing: Arc<Outgoing>, runtime: &dyn Runtime) -> Values {
        let limits = Limits {
            bytes_gone: store.limit().map_or(usize::MAX, |bytes| bytes / 4),
            ..Limits::default()
        };
        let values = Values::within(store, limits, outgoing);
        let (whole, alone) = (values.is_whole.clone(), runtime.sleep(ALONE));
        runtime.spawn(Box::pin(async move {
            alone.await;
            whole.send_replace(true);
        }));
        values
    }

    fn within(store: Embedded, limits: Limits, outgoing: Arc<Outgoing>) -> Values {
        let table = Table {
            ledger: Ledger::within(limits),
            ..Table::default()
        };
        Values {
            store,
            me: OnceLock::new(),
            table: Mutex::new(table),
            outgoing,
            is_whole: watch::Sender::new(false),
            asked_at: AtomicU64::new(0),
        }
    }

    /// To be called once, before anything is written.
    pub(super) fn begin(&self, me: LaneId) {
        // There is one life.
        let _ = self.me.set(me);
    }

    pub(super) fn is_whole(&self) -> bool {
        *self.is_whole.borrow()
    }

    /// Waits until what others had at the start is here.
    pub(super) async fn whole(&self) {
        let mut whole = self.is_whole.subscribe();
        // The sender is in here.
        let _ = whole.wait_for(|is_whole| *is_whole).await;
    }

    fn me(&self) -> Result<LaneId> {
        let early = || Error::new(ErrorKind::Unavailable, "the mesh has not been started");
        self.me.get().copied().ok_or_else(early)
    }

    fn record(&self, key: &Bytes) -> Option<Record> {
        now(self.store.get(key)).and_then(Lookup::into_record)
    }

    /// The value of a key, if there is one that nothing has made void.
    fn state(&self, table: &Table, key: &Bytes) -> Option<State> {
        let mut record = self.record(key)?;
        if !table.voids.is_blank() {
            match self.covered(key, &record) {
                Covered::Void => return None,
                Covered::Stale => record.marked_stale = true,
                Covered::Not => {}
            }
        }
        Some(State::of(record, self.store.now()))
    }

    fn is_held(&self, key: &Bytes) -> bool {
        self.store.end_of(key).is_some()
    }

    fn note_end(&self, table: &mut Table, key: &Bytes) {
        if let Some(end) = self.store.end_of(key) {
            table.ledger.ends(key, end);
        }
    }

    /// What tags, and areas of a cache in which it may lie, have made of a record.
    fn covered(&self, key: &Bytes, record: &Record) -> Covered {
        let tags = now(self.store.tags(record.tags.keys())).unwrap_or_default();
        if tags.iter().any(|number| *number > record.cut) {
            return Covered::Void;
        }
        let lies = lies::any_of(key);
        let caches: Vec<Bytes> = lies.iter().map(|lies| area_key(lies.cache)).collect();
        let areas = now(self.store.get_among(&[], &caches)).map(|(_, areas)| areas);
        let areas = areas.unwrap_or_default().into_iter().zip(&lies);
        area::worst(
            areas.map(|(areas, lies)| {
                areas.covered(key.get(lies.at..).unwrap_or_default(), record.cut)
            }),
        )
    }

    /// Changes the table here; gives the records that say so, which are on their way out.
    pub(super) fn commit(&self, batch: Batch) -> Result<(Committed, Vec<Bytes>)> {
        let me = self.me()?;
        let origin = batch.origin;
        let writes = batch.writes.clone();
        let is_probe = batch.probe;
        let mut table = self.table.lock();
        // Nothing is evicted before it is known what to tell.
        let committed = self.store.write(batch)?;
        let mut said = Vec::new();
        if let Committed::Done(outcomes) = &committed {
            let mut made = Vec::new();
            // Of several writes of a key the last one says what is there.
            let mut seen = HashSet::new();
            let is_last = |(key, write): &(Bytes, Write)| {
                matches!(write, Write::Bump | Write::Void(_)) || seen.insert(key.clone())
            };
            let mut are_last: Vec<bool> = writes.iter().rev().map(is_last).collect();
            are_last.reverse();
            // The stamps are in the order of the writes.
            for (((key, write), outcome), is_last) in writes.iter().zip(&**outcomes).zip(are_last) {
                if is_last {
                    made.extend(self.made(&mut table, me, (key, write), outcome));
                }
            }
            if is_probe || !made.is_empty() {
                said = records(origin, &made);
                self.outgoing.push(said.clone(), outcomes.position);
            }
            self.tidy(&mut table);
            self.store.make_room();
        }
        Ok((committed, said))
    }

    /// What has ended is a removal, and what the store has no room for is not held.
    fn tidy(&self, table: &mut Table) {
        let now = self.store.now().0;
        let is_held = |key: &Bytes| self.is_held(key);
        table.ledger.sweep(SWEEP, now, is_held);
        let used = table.ledger.used();
        self.store.count_beside(table.counted, used);
        table.counted = used;
    }

    fn made(
        &self,
        table: &mut Table,
        me: LaneId,
        (key, write): (&Bytes, &Write),
        outcome: &Outcome,
    ) -> Option<Written> {
        let stamp = table.ledger.stamp(me);
        let void = |kind, key: Bytes| Some(Written::Void { kind, key, stamp });
        match write {
            Write::Bump => {
                table.made_void(ChangeKind::TagBumped, key, stamp);
                return void(ChangeKind::TagBumped, key.clone());
            }
            Write::Void(area) => {
                let key = voided_key(key, area);
                table.made_void(ChangeKind::Voided, &key, stamp);
                return void(ChangeKind::Voided, key);
            }
            // Others may have a copy that was loaded there.
            Write::Expire if !outcome.existed => return void(ChangeKind::Expired, key.clone()),
            Write::Touch(_) if !outcome.existed => return None,
            Write::Put(_) | Write::Remove { .. } | Write::Expire | Write::Touch(_) => {}
        }
        let state = self.state(table, key);
        table.ledger.accept(key, stamp, kind_of(state.as_ref()));
        self.note_end(table, key);
        let key = key.clone();
        Some(Written::Key { key, stamp, state })
    }

    /// Clears a space here; gives what says so.
    pub(super) fn clear(&self, space: &Space) -> Result<(u64, Vec<Bytes>)> {
        let me = self.me()?;
        let mut table = self.table.lock();
        let removed = now(self.store.clear(space)).ok_or_else(refused)?;
        let stamp = table.ledger.stamp(me);
        table.ledger.clear(space, stamp);
        let space = space.clone();
        let said = records(0, &[Written::Cleared { space, stamp }]);
        self.outgoing.push(said.clone(), self.store.position());
        Ok((removed, said))
    }

    /// Stores a load here, of which nobody else is told. What that evicts is not evicted in the middle
    /// of a write.
    pub(super) fn fill<T>(&self, fill: impl FnOnce() -> T) -> T {
        let _table = self.table.lock();
        fill()
    }

    /// The memory of void records was released.
    pub(super) fn reclaimed(&self, keys: &[Bytes]) {
        let mut table = self.table.lock();
        for key in keys {
            if !self.is_held(key) {
                table.ledger.void(key);
            }
        }
    }

    /// Whether somebody who has acknowledged this record may not have it. Whoever begins to read this
    /// table misses what the log no longer has, and says of it that it is there; so what was said
    /// before has to be said once more.
    pub(super) fn is_doubtful(&self, number: u64) -> bool {
        number <= self.asked_at.load(Ordering::Acquire)
    }

    fn is_asked(&self) {
        let newest = self.outgoing.newest();
        self.asked_at.fetch_max(newest, Ordering::AcqRel);
    }

    fn apply(&self, table: &mut Table, origin: u32, write: Written) {
        match write {
            Written::Key { key, stamp, state } => self.take_key(table, origin, (key, stamp), state),
            Written::Unheld { key, stamp } => {
                // What is here is older: it must not be read any more.
                if table.ledger.accept(&key, stamp, Kind::Unheld) {
                    self.place(key, origin, None);
                }
            }
            Written::Cleared { space, stamp } => {
                if let Some(kept) = table.ledger.clear(&space, stamp) {
                    self.store.clear_but(&space, &kept);
                }
            }
            Written::Void { kind, key, stamp } => self.void(table, origin, (kind, key), stamp),
        }
    }

    fn take_key(
        &self,
        table: &mut Table,
        origin: u32,
        (key, stamp): (Bytes, Stamp),
        state: Option<State>,
    ) {
        let mut state = state.filter(|state| state.left_ms > 0);
        let covered = state.as_ref().map_or(Covered::Not, |state| {
            table.voids.covered(&key, &state.tags, stamp)
        });
        match (covered, &mut state) {
            (Covered::Void, _) => state = None,
            (Covered::Stale, Some(state)) => state.is_stale = true,
            _ => {}
        }
        let kind = kind_of(state.as_ref());
        if table.ledger.accept(&key, stamp, kind) {
            self.place(key.clone(), origin, state);
            self.note_end(table, &key);
        }
    }

    /// Makes void what is older. What is newer came here before, and is put again behind it.
    fn void(&self, table: &mut Table, origin: u32, (kind, key): (ChangeKind, Bytes), stamp: Stamp) {
        if kind == ChangeKind::Expired {
            table.ledger.seen(stamp.counter);
            // Who said so had no value of it: it is of what others have loaded, not of a value that
            // was written at the same time.
            if !table.ledger.is_live(&key) {
                self.store.follow(origin, vec![Written::change(kind, key)]);
            }
            return;
        }
        let newer = table.ledger.newer(stamp);
        if !table.made_void(kind, &key, stamp) {
            return;
        }
        let state = |key: Bytes| Some((self.state(table, &key)?, key));
        let held: Vec<(State, Bytes)> = newer.into_iter().filter_map(state).collect();
        self.store.follow(origin, vec![Written::change(kind, key)]);
        for (state, key) in held {
            let is_stale = self.state(table, &key).map(|state| state.is_stale);
            if is_stale != Some(state.is_stale) {
                self.place(key.clone(), origin, Some(state));
                self.note_end(table, &key);
            }
        }
    }

    fn place(&self, key: Bytes, origin: u32, state: Option<State>) {
        match state {
            None => self
                .store
                .follow(origin, vec![Written::change(ChangeKind::Removed, key)]),
            Some(state) => self.store.place(key, origin, state.into_placed()),
        };
    }
}

impl Table {
    /// Whether that is new here.
    fn made_void(&mut self, kind: ChangeKind, key: &Bytes, stamp: Stamp) -> bool {
        let forgotten = match kind {
            ChangeKind::TagBumped => self.voids.tag(key, stamp),
            _ => self.voids.area(key, stamp),
        };
        self.ledger.raise(forgotten.unwrap_or_default());
        forgotten.is_some()
    }
}

fn kind_of(state: Option<&State>) -> Kind {
    match state {
        Some(_) => Kind::Live,
        None => Kind::Absent,
    }
}

impl Follower for Values {
    fn apply(&self, entry: Entry<'_>) {
        let Some((origin, writes)) = form::decode(entry.record.clone()) else {
            tracing::warn!(lane = ?entry.lane, seq = entry.seq, "mesh: a record cannot be read");
            return;
        };
        let mut table = self.table.lock();
        if writes.is_empty() {
            // It shows who reads.
            self.store.follow(origin, Vec::new());
        }
        for write in writes {
            Values::apply(self, &mut table, origin, write);
        }
        self.tidy(&mut table);
        self.store.make_room_for_others();
        let position = self.store.position();
        table.done.note(entry.lane, entry.seq, position);
    }

    /// Nothing is dropped: the tables of the others have what was missed.
    fn flush(&self, reason: FlushReason) {
        // Another life of a member says of itself what it has, and one that is gone cannot be asked.
        if let FlushReason::Trimmed(_) = reason {
            let mut table = self.table.lock();
            table.have.clear();
            table.asked.clear();
        }
    }

    fn heard(&self, lane: LaneId, logged: u64) -> Heard {
        heard(&self.store, &self.table.lock().done, lane, logged)
    }

    fn nudge(&self) {
        // It is done when it returns.
        let _ = now(larder_core::bus::Bus::nudge(&self.store));
    }

    fn met(&self, life: LaneId) -> Vec<Bytes> {
        let mut table = self.table.lock();
        let mut messages = vec![pages::seen(table.ledger.counter())];
        if !table.have.contains(&life) && !table.asked.contains(&life) {
            // Other lives of it are over.
            table.asked.retain(|asked| asked.node != life.node);
            table.have.retain(|have| have.node != life.node);
            table.asked.insert(life);
            messages.push(pages::ask(None, Stamp::ZERO));
        }
        messages
    }

    fn lost(&self, life: LaneId) {
        let mut table = self.table.lock();
        // What has come of its table stays, and it is asked again from the beginning.
        if table.asked.remove(&life) && table.asked.is_empty() && !table.have.is_empty() {
            self.is_whole.send_replace(true);
        }
    }

    fn take(
        &self,
        from: LaneId,
        mut message: Bytes,
    ) -> std::result::Result<Vec<Bytes>, BadMessage> {
        let kind = message.try_get_u8().map_err(|_| BadMessage::Short)?;
        self.take_message(from, kind, message)
            .ok_or(BadMessage::Kind(kind))
    }
}

/// As records of about a mebibyte; one at least.
fn records(origin: u32, mut writes: &[Written]) -> Vec<Bytes> {
    let mut records = Vec::new();
    loop {
        let mut size = 0;
        let fits = writes.iter().take_while(|write| {
            let had_room = size < PAGE;
            size += write.size();
            had_room
        });
        let (part, rest) = writes.split_at(fits.count());
        records.push(form::encode(origin, part));
        writes = rest;
        if writes.is_empty() {
            return records;
        }
    }
}

fn refused() -> Error {
    Error::new(
        ErrorKind::Invalid,
        "the store of this process refuses the batch",
    )
}
