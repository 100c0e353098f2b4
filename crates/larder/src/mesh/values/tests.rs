//! Members of a mesh with replicated values, without links: their records and messages are carried by
//! hand, in any order, so that parts are divided, fall behind, forget, and meet again.

use std::collections::BTreeMap;

use larder_core::area::Area;
use larder_core::codec::CodecId;
use larder_core::mesh::NodeId;
use larder_core::record::{Kind as RecordKind, Life};
use larder_core::store::Put;
use larder_core::tag::{Cut, Tags};

use super::*;
use crate::TokioRuntime;
use crate::embedded::{MemoryLimit, WhenFull};

struct Member {
    values: Values,
    life: LaneId,
    /// Its log, and how much of it each of the others has.
    log: Vec<Bytes>,
    taken: BTreeMap<usize, usize>,
}

struct World {
    members: Vec<Member>,
    limits: Limits,
    memory: Option<MemoryLimit>,
    boots: u64,
    seed: u64,
    /// All that was ever written.
    written: Vec<Written>,
}

fn key(number: usize) -> Bytes {
    Bytes::from(format!("c:{number}"))
}

fn tag(number: usize) -> Bytes {
    Bytes::from(format!("\0stag:c:{number}"))
}

impl World {
    fn new(seed: u64, limits: Limits) -> World {
        let mut world = World {
            members: Vec::new(),
            limits,
            memory: None,
            boots: 0,
            seed,
            written: Vec::new(),
        };
        for node in 0..3 {
            let member = world.born(node);
            world.members.push(member);
        }
        world
    }

    fn born(&mut self, node: usize) -> Member {
        self.boots += 1;
        let life = LaneId {
            node: NodeId(node as u64),
            boot: self.boots,
        };
        let store = Embedded::build(Arc::new(TokioRuntime::current()), 4, self.memory);
        let values = Values::within(store, self.limits, Arc::default());
        values.begin(life);
        Member {
            values,
            life,
            log: Vec::new(),
            taken: BTreeMap::new(),
        }
    }

    /// Below `end`. The generator is SplitMix64.
    fn lot(&mut self, end: usize) -> usize {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }

    fn commit(&mut self, at: usize, key: Bytes, write: Write) {
        let member = &mut self.members[at];
        let (_, said) = member.values.commit(Batch::one(key, write)).unwrap();
        self.said(at, said);
    }

    fn said(&mut self, at: usize, said: Vec<Bytes>) {
        for record in &said {
            self.written.extend(form::decode(record.clone()).unwrap().1);
        }
        self.members[at].log.extend(said);
    }

    fn put(&mut self, at: usize, number: usize, value: &str, tags: Tags) {
        let put = Put {
            kind: RecordKind::Value,
            life: Life::FOREVER,
            origin: 0,
            load_cost_ms: 0,
            codec: CodecId(0),
            schema: 0,
            tags,
            bonds: Vec::new(),
            within: None,
            cut: Cut::default(),
            value: Bytes::copy_from_slice(value.as_bytes()),
        };
        self.commit(at, key(number), Write::Put(put));
    }

    fn remove(&mut self, at: usize, number: usize) {
        self.commit(at, key(number), Write::Remove { tombstone_ms: 0 });
    }

    /// One change of some kind.
    fn change(&mut self, at: usize, name: usize) {
        let number = self.lot(6);
        match self.lot(20) {
            0..9 => {
                let tags = match self.lot(3) {
                    0 => Tags::new([tag(number % 2)]).unwrap(),
                    _ => Tags::default(),
                };
                self.put(at, number, &format!("value {name}"), tags);
            }
            9..16 => self.remove(at, number),
            16 => self.commit(at, tag(number % 2), Write::Bump),
            17 => {
                let area = Area::prefix(format!("{number}").as_bytes()).unwrap();
                self.commit(at, area_key("c"), Write::Void(area));
            }
            18 => self.commit(at, key(number), Write::Expire),
            _ => {
                let space = Space::prefix(key(number));
                let (_, said) = self.members[at].values.clear(&space).unwrap();
                self.said(at, said);
            }
        }
    }

    /// The next record of one arrives at another.
    fn deliver(&mut self, from: usize, to: usize) -> bool {
        let (life, seq) = (self.members[from].life, self.taken(from, to));
        let Some(record) = self.members[from].log.get(seq).cloned() else {
            return false;
        };
        Follower::apply(
            &self.members[to].values,
            Entry {
                lane: life,
                seq: seq as u64 + 1,
                record: &record,
                is_next: true,
            },
        );
        self.members[from].taken.insert(to, seq + 1);
        true
    }

    fn taken(&self, from: usize, to: usize) -> usize {
        self.members[from].taken.get(&to).copied().unwrap_or(0)
    }

    /// The log of one no longer has what the other misses, and its table is asked for.
    fn trim(&mut self, from: usize, to: usize) {
        let logged = self.members[from].log.len();
        self.members[from].taken.insert(to, logged);
        self.walk(from, to);
    }

    /// One gets the table of the other.
    fn walk(&mut self, from: usize, to: usize) {
        let (giver, taker) = (&self.members[from], &self.members[to]);
        taker.values.flush(FlushReason::Trimmed(giver.life));
        let mut asked = taker.values.met(giver.life);
        while let Some(message) = asked.pop() {
            for answer in giver.values.take(taker.life, message).unwrap() {
                asked.extend(taker.values.take(giver.life, answer).unwrap());
            }
        }
        assert!(taker.values.table.lock().have.contains(&giver.life));
    }

    fn meet_all(&mut self) {
        // Twice: what one learns late from another it tells the third.
        for _ in 0..2 {
            for (one, other) in [(0, 1), (1, 2), (0, 2)] {
                self.walk(one, other);
                self.walk(other, one);
            }
            self.deliver_all();
        }
    }

    fn deliver_all(&mut self) {
        for (one, other) in [(0, 1), (1, 2), (0, 2)] {
            while self.deliver(one, other) || self.deliver(other, one) {}
        }
    }

    /// What is read on a member, and whether it is fresh.
    fn read(&self, at: usize) -> BTreeMap<usize, (String, bool)> {
        let values = &self.members[at].values;
        let table = values.table.lock();
        let read = |number| {
            let state = values.state(&table, &key(number))?;
            let text = String::from_utf8(state.value.to_vec()).unwrap();
            Some((number, (text, state.is_stale)))
        };
        (0..6).filter_map(read).collect()
    }

    fn is_same_everywhere(&self, seed: u64) -> BTreeMap<usize, (String, bool)> {
        let first = self.read(0);
        for at in 1..self.members.len() {
            assert_eq!(
                self.read(at),
                first,
                "seed {seed}: member {at} and member 0"
            );
        }
        first
    }
}

/// Divided, delayed and trimmed at random: in the end each member has what all writes in the order of
/// their stamps come to.
#[tokio::test]
async fn in_any_order_all_members_come_to_what_the_stamps_say() {
    for seed in 0..300 {
        let mut world = World::new(seed, Limits::default());
        // Half of them by the log alone.
        let has_tables = seed % 2 == 0;
        for name in 0..60 {
            let at = world.lot(3);
            match world.lot(10) {
                0..4 => world.change(at, name),
                4..9 => {
                    let to = (at + 1 + world.lot(2)) % 3;
                    world.deliver(at, to);
                }
                _ if has_tables => {
                    let to = (at + 1 + world.lot(2)) % 3;
                    world.trim(at, to);
                }
                _ => {}
            }
        }
        match has_tables {
            true => world.meet_all(),
            false => world.deliver_all(),
        }
        let found = world.is_same_everywhere(seed);
        // One that hears of everything in the order of the stamps.
        let judge = world.born(9);
        let mut written = std::mem::take(&mut world.written);
        written.sort_by_key(|write| match write {
            Written::Key { stamp, .. }
            | Written::Unheld { stamp, .. }
            | Written::Cleared { stamp, .. }
            | Written::Void { stamp, .. } => *stamp,
        });
        for write in written {
            let mut table = judge.values.table.lock();
            judge.values.apply(&mut table, 0, write);
        }
        world.members[0] = judge;
        assert_eq!(found, world.read(0), "seed {seed}");
    }
}

/// Removals, clears and what was made void are forgotten after a few, and members come back that
/// have missed more than that.
#[tokio::test]
async fn nothing_that_was_removed_comes_back_however_little_is_remembered() {
    let limits = Limits {
        gone: 2,
        clears: 1,
        ..Limits::default()
    };
    for seed in 0..300 {
        let mut world = World::new(seed, limits);
        for number in 0..6 {
            world.put(0, number, "old", Tags::default());
        }
        world.meet_all();
        // The third is alone, with everything that is removed now.
        for name in 0..40 {
            let at = world.lot(2);
            world.change(at, name);
            while world.deliver(0, 1) || world.deliver(1, 0) {}
        }
        for number in 0..6 {
            world.remove(0, number);
        }
        while world.deliver(0, 1) {}
        // It goes on writing, and one of the others is another life of it.
        world.put(2, 0, "apart", Tags::default());
        if world.lot(2) == 0 {
            world.members[1] = world.born(1);
            world.walk(0, 1);
        }
        let order = [(2, 0), (2, 1), (0, 2), (1, 2)];
        let start = world.lot(4);
        for step in 0..4 {
            let (from, to) = order[(start + step) % 4];
            world.trim(from, to);
        }
        world.meet_all();
        let found = world.is_same_everywhere(seed);
        let old = found.values().any(|(value, _)| value != "apart");
        assert!(!old, "seed {seed}: {found:?}");
    }
}

/// A member with less memory than the others makes room for itself alone.
#[tokio::test]
async fn what_one_member_has_no_room_for_stays_with_the_others() {
    let mut world = World::new(1, Limits::default());
    let mut limit = MemoryLimit::bytes(64_000);
    limit.when_full = WhenFull::Refuse;
    world.memory = Some(limit);
    world.members[2] = world.born(2);
    world.memory = None;
    let large = "x".repeat(16_000);
    for number in 0..6 {
        world.put(0, number, &large, Tags::default());
    }
    world.remove(0, 5);
    world.meet_all();
    assert_eq!(world.read(0).len(), 5);
    assert_eq!(world.read(1), world.read(0));
    let small = world.read(2).len();
    let held = world.members[2].values.store.held_now();
    assert!((1..4).contains(&small), "{small}, {held}");
    // Its own writes are refused while it is full, and removals are not.
    let member = &world.members[2].values;
    while member.store.held_now() <= 64_000 {
        member.store.count_beside(0, 4_000);
    }
    let put = Write::Put(Put {
        value: large.clone().into(),
        ..put_of(&world, 0)
    });
    let refused = member.commit(Batch::one(key(9), put));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Refused);
    world.remove(2, 0);
    while world.deliver(2, 0) || world.deliver(2, 1) {}
    // One that knows only what the small one has does not take older values from anybody.
    world.members[1] = world.born(1);
    world.walk(2, 1);
    world.walk(0, 1);
    let left = world.read(0);
    assert_eq!(left.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4]);
    let smaller: Vec<usize> = world.read(1).keys().copied().collect();
    assert!(smaller.iter().all(|number| left.contains_key(number)));
}

/// Some put, of which only the value matters.
fn put_of(world: &World, at: usize) -> Put {
    let table = world.members[at].values.table.lock();
    let state = world.members[at].values.state(&table, &key(1)).unwrap();
    state.into_placed().put
}

/// A write whose value has to go at once is told of all the same.
#[tokio::test]
async fn what_is_evicted_at_once_is_nevertheless_written() {
    let mut world = World::new(1, Limits::default());
    world.memory = Some(MemoryLimit::bytes(64_000));
    world.members[0] = world.born(0);
    let large = "x".repeat(24_000);
    for number in 0..6 {
        world.put(0, number, &large, Tags::default());
    }
    assert!(world.read(0).len() < 4);
    while world.deliver(0, 1) {}
    assert_eq!(world.read(1).len(), 6);
    // Nor do its tables take from others what it has no room for.
    world.walk(0, 1);
    assert_eq!(world.read(1).len(), 6);
    for number in 0..200 {
        world.put(0, number % 6, &large, Tags::default());
    }
    world.walk(0, 1);
    while world.deliver(0, 1) {}
    assert_eq!(world.read(1).len(), 6);
}

/// What it acknowledged before it asked may be what the log of the other no longer has.
#[tokio::test]
async fn what_was_said_before_somebody_asked_for_the_table_is_doubtful() {
    let mut world = World::new(1, Limits::default());
    world.put(0, 1, "a", Tags::default());
    let newest = world.members[0].values.outgoing.newest();
    assert!(!world.members[0].values.is_doubtful(newest));
    world.walk(0, 1);
    assert!(world.members[0].values.is_doubtful(newest));
    world.put(0, 1, "b", Tags::default());
    let newest = world.members[0].values.outgoing.newest();
    assert!(!world.members[0].values.is_doubtful(newest));
}
