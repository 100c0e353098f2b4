//! How a member gets the table of another one: page by page, each asked for with the end of the one
//! before.
//!
//! A page says everything about the keys between two: what is not in it, and is not younger than the
//! floor of its sender, is gone ([`Ledger::floor`](super::ledger::Ledger::floor)).

use std::collections::HashSet;

use ::bytes::{Buf, BufMut, Bytes, BytesMut};
use larder_core::bus::ChangeKind;
use larder_core::mesh::LaneId;
use larder_core::store::Store;

use super::form::{self, Written};
use super::ledger::{self, Kind, Stamp};
use super::{PAGE, Table, Values, records};

const ASK: u8 = b'A';
const GIVE: u8 = b'G';
const SEEN: u8 = b'N';
const WRITES: u8 = b'W';

/// Says how far the counter is here, so that what the other writes from now on is behind it.
pub(super) fn seen(counter: u64) -> Bytes {
    let mut out = BytesMut::with_capacity(9);
    out.put_u8(SEEN);
    out.put_u64(counter);
    out.freeze()
}

/// Asks for what lies behind a key, in a walk that began when the floor of the other was there.
pub(super) fn ask(behind: Option<&Bytes>, begun: Stamp) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(ASK);
    form::put_stamp(&mut out, begun);
    put_place(&mut out, behind);
    out.freeze()
}

/// Some of a table.
struct Page {
    is_last: bool,
    /// The floor of the sender when the walk began, and now.
    begun: Stamp,
    floor: Stamp,
    behind: Option<Bytes>,
    /// The last key that was looked at.
    last: Option<Bytes>,
    writes: Bytes,
}

impl Page {
    fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.writes.len() + 128);
        out.put_u8(GIVE);
        out.put_u8(u8::from(self.is_last));
        form::put_stamp(&mut out, self.begun);
        form::put_stamp(&mut out, self.floor);
        put_place(&mut out, self.behind.as_ref());
        put_place(&mut out, self.last.as_ref());
        out.put_slice(&self.writes);
        out.freeze()
    }

    fn decode(mut input: Bytes) -> Option<Page> {
        let page = Page {
            is_last: input.try_get_u8().ok()? != 0,
            begun: form::get_stamp(&mut input)?,
            floor: form::get_stamp(&mut input)?,
            behind: get_place(&mut input)?,
            last: get_place(&mut input)?,
            writes: input,
        };
        (page.is_last || page.last.is_some()).then_some(page)
    }
}

impl Values {
    /// A message of another member; gives what to answer, `None` if it cannot be read.
    pub(super) fn take_message(
        &self,
        from: LaneId,
        kind: u8,
        mut message: Bytes,
    ) -> Option<Vec<Bytes>> {
        match kind {
            SEEN => {
                let counter = message.try_get_u64().ok()?;
                self.table.lock().ledger.seen(counter);
                Some(Vec::new())
            }
            ASK => {
                let begun = form::get_stamp(&mut message)?;
                let behind = get_place(&mut message)?;
                if behind.is_none() {
                    self.is_asked();
                }
                Some(self.give(behind, begun))
            }
            WRITES => {
                let (origin, writes) = form::decode(message)?;
                let mut table = self.table.lock();
                for write in writes {
                    self.apply(&mut table, origin, write);
                }
                self.tidy(&mut table);
                Some(Vec::new())
            }
            GIVE => self.take_page(from, Page::decode(message)?),
            _ => None,
        }
    }

    /// A page of the table; before the first one, what was cleared and made void.
    fn give(&self, behind: Option<Bytes>, begun: Stamp) -> Vec<Bytes> {
        let table = self.table.lock();
        let floor = table.ledger.floor();
        let (mut messages, mut begun) = (Vec::new(), begun);
        if behind.is_none() {
            begun = floor;
            messages.extend(made_void(&table).into_iter().map(|record| {
                let mut out = BytesMut::with_capacity(1 + record.len());
                out.put_u8(WRITES);
                out.put_slice(&record);
                out.freeze()
            }));
        }
        let (mut writes, mut size, mut last) = (Vec::new(), 0, None);
        let mut is_last = true;
        for (key, entry) in table.ledger.behind(behind.as_ref()) {
            if size >= PAGE {
                is_last = false;
                break;
            }
            last = Some(key.clone());
            let write = self.written(&table, key, entry);
            size += write.size();
            writes.push(write);
        }
        drop(table);
        let page = Page {
            is_last,
            begun,
            floor,
            behind,
            last,
            writes: form::encode(0, &writes),
        };
        messages.push(page.encode());
        messages
    }

    fn written(&self, table: &Table, key: &Bytes, entry: &ledger::Entry) -> Written {
        let (key, stamp) = (key.clone(), entry.stamp);
        let state = match entry.kind {
            Kind::Unheld => return Written::Unheld { key, stamp },
            Kind::Absent => None,
            Kind::Live => match self.state(table, &key) {
                // It has made room for others.
                None if !self.is_held(&key) && !entry.has_ended(self.store.now().0) => {
                    return Written::Unheld { key, stamp };
                }
                state => state,
            },
        };
        Written::Key { key, stamp, state }
    }

    /// Takes a page of somebody's table; gives what to ask next.
    fn take_page(&self, from: LaneId, page: Page) -> Option<Vec<Bytes>> {
        let (origin, writes) = form::decode(page.writes)?;
        let named: HashSet<Bytes> = writes.iter().filter_map(Written::key).cloned().collect();
        let mut table = self.table.lock();
        for write in writes {
            self.apply(&mut table, origin, write);
        }
        if page.floor > Stamp::ZERO {
            let last = page.last.as_ref().filter(|_| !page.is_last);
            let behind = page.behind.as_ref();
            let is_named = |key: &Bytes| named.contains(key);
            for gone in table.ledger.unnamed(behind, last, page.floor, is_named) {
                self.take_key(&mut table, origin, gone, None);
            }
        }
        self.tidy(&mut table);
        self.store.make_room_for_others();
        if !page.is_last {
            return Some(vec![ask(page.last.as_ref(), page.begun)]);
        }
        table.ledger.raise(page.begun);
        table.asked.remove(&from);
        table.have.insert(from);
        tracing::info!(
            node = format_args!("{:016x}", from.node.0),
            "mesh: the values of another node are here"
        );
        if table.asked.is_empty() {
            self.is_whole.send_replace(true);
        }
        Some(Vec::new())
    }
}

/// What was cleared and made void, as records.
fn made_void(table: &Table) -> Vec<Bytes> {
    let clears = table
        .ledger
        .clears()
        .map(|(space, stamp)| Written::Cleared {
            space: space.clone(),
            stamp,
        });
    let void = |kind| {
        move |(key, stamp): (&Bytes, Stamp)| Written::Void {
            kind,
            key: key.clone(),
            stamp,
        }
    };
    let tags = table.voids.tags().map(void(ChangeKind::TagBumped));
    let areas = table.voids.areas().map(void(ChangeKind::Voided));
    let writes: Vec<Written> = clears.chain(tags).chain(areas).collect();
    records(0, &writes)
}

/// A key, or none: the empty one is a key, too.
fn put_place(out: &mut BytesMut, key: Option<&Bytes>) {
    out.put_u8(u8::from(key.is_some()));
    form::put_bytes(out, key.map_or(&[], |key| &key[..]));
}

fn get_place(input: &mut Bytes) -> Option<Option<Bytes>> {
    let is_some = input.try_get_u8().ok()? != 0;
    let key = form::get_bytes(input)?;
    Some(is_some.then_some(key))
}
