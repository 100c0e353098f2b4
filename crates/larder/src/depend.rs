//! Dependencies: what a loader reads from caches, its value depends on.
//!
//! A load runs in the scope of a list. Reads of a cache inside it write down what they returned, as
//! it was known to hold at that moment: its key with its version, and all that it depends on itself.
//! The fill then checks every line of the list, and records it with the value. Who spawns a task
//! inside a loader carries the scope over with [`tracked`].

mod touched;

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};

use ::bytes::Bytes;
use larder_core::admit::Refusal;
use larder_core::mutant::Mutant;
use larder_core::runtime::Mono;
use larder_core::store::Store;
use larder_core::tag::{Bond, Cut, dependency_key};
use larder_core::version::Version;
use smallvec::{SmallVec, smallvec};

use crate::engine::{Engine, EngineKey};
use crate::near::Entry;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Mutex, task_local};
use crate::tags::EntryTags;

pub(crate) use touched::Touched;

task_local! {
    static READS: Option<Arc<Reads>>;
}

/// Lines kept at most: more than a value may depend on.
const LINES: usize = 4096;

/// What one load has read from caches, and whom it waits for.
#[derive(Default)]
pub(crate) struct Reads {
    list: Mutex<List>,
    of: Mutex<Of>,
    /// Where it is noted that this load has looked at a key.
    touched: Mutex<Vec<(Arc<Touched>, Bytes)>>,
    /// Something that it has looked at was changed since.
    is_void: AtomicBool,
    /// As of when the oldest of what it has read is known to hold, counted down from the greatest
    /// time: 0 while nothing was read.
    as_of: AtomicU64,
    waits_for: Mutex<Vec<Arc<Reads>>>,
    /// The list of the loader that loads this key together with others: what that reads counts for each
    /// of them.
    together: OnceLock<Arc<Reads>>,
}

#[derive(Default)]
struct Of {
    /// The caches and the keys that are loaded: one, unless this is the list of a loader of many.
    keys: SmallVec<[(usize, Bytes); 1]>,
    /// The loads in whose scope they were asked for.
    outers: SmallVec<[Arc<Reads>; 1]>,
    /// Where the cache of this load hears of changes.
    home: Option<Arc<Touched>>,
}

/// Held over every change and every walk of who waits for whom. Only loads inside of loads come
/// here.
#[cfg(not(feature = "shuttle"))]
static WAITS: Mutex<()> = Mutex::new(());
#[cfg(feature = "shuttle")]
shuttle::lazy_static! {
    // Another one for each run of a model.
    static ref WAITS: Mutex<()> = Mutex::new(());
}

#[derive(Default, Clone)]
struct List {
    bonds: Vec<Bond>,
    cells: EntryTags,
    /// Identities of the stores, or engines, that were read from.
    places: Vec<Place>,
    trouble: Option<Refusal>,
}

/// Within one place, versions and cuts can be compared and changes are heard of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Caches over the store of this identity.
    Store(Box<str>),
    /// Caches of this process without a remote tier.
    Process,
}

impl Place {
    /// That of a cache over this remote tier; `None` if its store has no tags.
    pub(crate) fn of(remote: Option<&dyn Store>) -> Option<Place> {
        let Some(store) = remote else {
            return Some(Place::Process);
        };
        let described = store.describe();
        let identity = described.tags.map(|_| described.identity);
        identity.map(|identity| Place::Store(identity.into()))
    }
}

/// What a load depends on, ready to be checked.
pub(crate) struct Depends {
    pub(crate) bonds: Vec<Bond>,
    pub(crate) cells: EntryTags,
    /// As of when the oldest of it is known to hold; the end of time if nothing was read.
    pub(crate) as_of: Mono,
}

impl Default for Depends {
    fn default() -> Depends {
        Depends {
            bonds: Vec::new(),
            cells: EntryTags::default(),
            as_of: Mono::MAX,
        }
    }
}

impl Reads {
    /// The list, for a value that is stored at `place`; or why it cannot be stored.
    pub(crate) fn take(&self, place: Option<&Place>) -> Result<Depends, Refusal> {
        if Mutant::Capture.is_active() {
            return Ok(Depends::default());
        }
        let list = match self.together.get() {
            Some(together) => together.list.lock().clone(),
            None => std::mem::take(&mut *self.list.lock()),
        };
        // A store without tags promises nothing about dependencies: docs/consistency.md.
        let Some(place) = place else {
            return Ok(Depends::default());
        };
        if list.places.iter().any(|other| other != place) {
            return Err(Refusal::ForeignDependency);
        }
        match list.trouble {
            Some(trouble) => Err(trouble),
            None => Ok(Depends {
                bonds: combine(list.bonds),
                cells: list.cells,
                as_of: self.as_of(),
            }),
        }
    }

    /// Whether the load was asked for inside of another one.
    pub(crate) fn is_inside(&self) -> bool {
        !self.of.lock().outers.is_empty()
    }

    /// Says what is loaded, and where changes are heard of.
    pub(crate) fn begin(&self, cache: usize, key: &EngineKey, home: &Arc<Touched>) {
        let mut of = self.of.lock();
        of.keys = smallvec![(cache, Bytes::copy_from_slice(key.id_bytes()))];
        of.home = Some(home.clone());
    }

    /// The list of a loader that loads all these keys at once.
    pub(crate) fn together(all: &[Arc<Reads>]) -> Arc<Reads> {
        let together = Arc::new(Reads::default());
        let mut of = together.of.lock();
        for reads in all {
            let each = reads.of.lock();
            of.keys.extend(each.keys.iter().cloned());
            of.home = each.home.clone();
            for outer in &each.outers {
                if !of.outers.iter().any(|other| Arc::ptr_eq(other, outer)) {
                    of.outers.push(outer.clone());
                }
            }
        }
        drop(of);
        for reads in all {
            // It waits for nobody yet: no circle closes here.
            reads.waits_for.lock().push(together.clone());
            if !Mutant::ReadApart.is_active() {
                let _ = reads.together.set(together.clone());
            }
        }
        together
    }

    /// Notes that this load is about to look at a key, of a cache that hears of changes `there`.
    fn touch(self: &Arc<Self>, dependency: &Bytes, there: &Arc<Touched>) {
        let home = self.of.lock().home.clone();
        let other = home.filter(|home| !Arc::ptr_eq(home, there));
        for place in other.iter().chain([there]) {
            place.add(dependency.clone(), self);
            self.touched
                .lock()
                .push((place.clone(), dependency.clone()));
        }
    }

    /// Something was read that may be as old as this.
    pub(crate) fn date(&self, as_of: Mono) {
        self.as_of.fetch_max(u64::MAX - as_of.0, Ordering::SeqCst);
    }

    /// As of when everything that was read holds.
    pub(crate) fn as_of(&self) -> Mono {
        let own = Mono(u64::MAX - self.as_of.load(Ordering::SeqCst));
        let together = self.together.get().map(|together| together.as_of());
        together.map_or(own, |together| own.min(together))
    }

    fn void(&self) {
        self.is_void.store(true, Ordering::SeqCst);
    }

    /// Whether something that it has looked at was changed since.
    pub(crate) fn is_void(&self) -> bool {
        let together = self.together.get();
        self.is_void.load(Ordering::SeqCst) || together.is_some_and(|together| together.is_void())
    }

    fn trouble(&self, refusal: Refusal) {
        self.list.lock().trouble.get_or_insert(refusal);
    }

    fn write(&self, place: Option<&Place>, line: impl FnOnce(&mut List)) {
        let mut list = self.list.lock();
        let Some(place) = place else {
            list.trouble.get_or_insert(Refusal::ForeignDependency);
            return;
        };
        if !list.places.contains(place) {
            list.places.push(place.clone());
        }
        if list.bonds.len() + list.cells.len() > LINES {
            list.trouble.get_or_insert(Refusal::TagsRefused);
            return;
        }
        line(&mut list);
    }
}

impl Drop for Reads {
    fn drop(&mut self) {
        let this: *const Reads = self;
        for (place, dependency) in self.touched.get_mut().drain(..) {
            place.remove(&dependency, this);
        }
    }
}

/// One load waits for another one, until this is dropped.
pub(crate) struct Wait {
    outer: Arc<Reads>,
    inner: Arc<Reads>,
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut waits_for = self.outer.waits_for.lock();
        let place = waits_for
            .iter()
            .position(|other| Arc::ptr_eq(other, &self.inner));
        place.map(|at| waits_for.swap_remove(at));
    }
}

/// Lets the load in scope wait for one under way; `None` if that waits for the load in scope.
pub(crate) fn wait(outer: &Arc<Reads>, inner: &Arc<Reads>) -> Option<Wait> {
    let _walk = WAITS.lock();
    let (mut next, mut seen) = (vec![inner.clone()], Vec::new());
    while let Some(reads) = next.pop() {
        if Arc::ptr_eq(&reads, outer) {
            return None;
        }
        if seen.iter().any(|other| Arc::ptr_eq(other, &reads)) {
            continue;
        }
        next.extend(reads.waits_for.lock().iter().cloned());
        seen.push(reads);
    }
    outer.waits_for.lock().push(inner.clone());
    Some(Wait {
        outer: outer.clone(),
        inner: inner.clone(),
    })
}

/// Lets the load in scope wait for one that it begins.
pub(crate) fn lead(outer: &Arc<Reads>, inner: &Arc<Reads>) -> Option<Wait> {
    enter(outer, inner);
    wait(outer, inner)
}

/// Says in whose scope a load was asked for.
pub(crate) fn enter(outer: &Arc<Reads>, inner: &Arc<Reads>) {
    inner.of.lock().outers = smallvec![outer.clone()];
}

/// Whether the load in scope, or one in whose scope that was asked for, is of this key.
pub(crate) fn is_inside(outer: &Arc<Reads>, cache: usize, key: &EngineKey) -> bool {
    let (mut next, mut seen) = (vec![outer.clone()], Vec::new());
    while let Some(inner) = next.pop() {
        if seen.contains(&Arc::as_ptr(&inner)) {
            continue;
        }
        seen.push(Arc::as_ptr(&inner));
        let of = inner.of.lock();
        let is_same = |(of, loads): &(usize, Bytes)| *of == cache && loads == key.id_bytes();
        if of.keys.iter().any(is_same) {
            return true;
        }
        next.extend(of.outers.iter().cloned());
    }
    false
}

/// One line for each thing that was read: where there are several, all of them must hold.
fn combine(mut bonds: Vec<Bond>) -> Vec<Bond> {
    bonds.sort_unstable_by(|one, other| one.tag.cmp(&other.tag));
    bonds.dedup_by(|next, kept| {
        let is_same = next.tag == kept.tag;
        if is_same {
            kept.cut = kept.cut.min(next.cut);
            kept.version = kept.version.min(next.version);
        }
        is_same
    });
    bonds
}

/// Runs a loader so that its reads are written down.
pub(crate) async fn scope<T>(reads: Arc<Reads>, load: impl Future<Output = T>) -> T {
    let _runs = Runs::begin();
    READS.scope(Some(reads), load).await
}

/// Scopes of loads that run now, in the whole process.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// A scope of a load runs, until this is dropped.
struct Runs;

impl Runs {
    fn begin() -> Runs {
        RUNNING.fetch_add(1, Ordering::Relaxed);
        Runs
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Carries the scope of the loader that calls this into a task that it spawns: what the task reads
/// from caches, the loaded value depends on. The loader must wait for the task.
///
/// ```
/// # async fn f() -> Result<(), tokio::task::JoinError> {
/// // Inside a loader:
/// let part = tokio::spawn(larder::tracked(async { /* reads of caches */ 7 }));
/// # let _ = part.await?; Ok(()) }
/// ```
pub fn tracked<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let reads = current();
    async move {
        let _runs = reads.is_some().then(Runs::begin);
        READS.scope(reads, work).await
    }
}

/// Runs something inside a loader whose reads of caches the loaded value does *not* depend on.
pub fn untracked<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    READS.scope(None, work)
}

/// The list of the load in whose scope this runs.
pub(crate) fn current() -> Option<Arc<Reads>> {
    READS.try_with(Clone::clone).ok().flatten()
}

/// Whether this runs inside a loader. Asked by every near hit, which mostly finds no loader at all.
#[inline]
pub(crate) fn is_loading() -> bool {
    // Whoever runs in a scope has begun to, and sees at least that.
    RUNNING.load(Ordering::Relaxed) != 0 && is_in_scope()
}

fn is_in_scope() -> bool {
    READS.try_with(Option::is_some).unwrap_or(false)
}

impl<V: Send + Sync + 'static> Engine<V> {
    /// Notes, inside a loader and before it looks anywhere, that it is going to read this key: from
    /// now on a change of it lets nobody join the load.
    pub(crate) fn touch_in_load(&self, key: &EngineKey) {
        if let Some(reads) = current()
            && let Some(dependency) = dependency_key(&key.stored())
        {
            reads.touch(&dependency, &self.touched);
        }
    }

    /// Writes down, inside a loader, that it has read this entry.
    pub(crate) fn read_in_load(&self, key: &EngineKey, entry: &Arc<Entry<V>>, stale: bool) {
        let Some(reads) = current() else { return };
        let Some(tag) = dependency_key(&key.stored()) else {
            return reads.trouble(Refusal::TagsRefused);
        };
        if (stale || !entry.is_proven()) && !Mutant::UnprovenInner.is_active() {
            return reads.trouble(Refusal::DependencyRaced);
        }
        match self.place() {
            Some(Place::Process) => self.read_here(&reads, key, tag, entry),
            place => reads.write(place, |list| {
                let bond = |tag: Bytes, version| Bond {
                    tag,
                    cut: entry.cut(),
                    version,
                };
                list.bonds.push(bond(tag, entry.version()));
                list.bonds.push(bond(self.area_key(), Version::ZERO));
                let tags = entry.tags().into_iter().flat_map(EntryTags::keys);
                list.bonds
                    .extend(tags.map(|tag| bond(tag.clone(), Version::ZERO)));
            }),
        }
    }

    /// In a cache without a remote tier, the cells themselves are passed on.
    fn read_here(&self, reads: &Reads, key: &EngineKey, tag: Bytes, entry: &Arc<Entry<V>>) {
        let cells = self.cells_of(tag);
        // The cells were there before this look: a change that came first has replaced the entry.
        let now = self.runtime.now();
        let still = self.near.find(key.near(), now);
        if !still.is_some_and(|other| Arc::ptr_eq(&other, entry)) {
            return reads.trouble(Refusal::DependencyRaced);
        }
        reads.write(self.place(), |list| {
            list.cells.extend(&cells);
            if let Some(tags) = entry.tags() {
                list.cells.extend(tags);
            }
        });
    }

    fn cells_of(&self, dependency: Bytes) -> EntryTags {
        let held = self.tags.hold(&[dependency, self.area_key()]);
        self.tags.learn(&held, &[Cut(1), Cut(1)]);
        held.with(Cut(u64::MAX - 1))
    }

    /// Writes down, inside a loader and before the remote tier is asked, that it will read these
    /// keys: should there be nothing, it depends on that. One round trip there.
    pub(crate) async fn about_to_read(&self, keys: &[EngineKey]) -> Vec<Option<Absence>> {
        let nothing = || keys.iter().map(|_| None).collect();
        if !is_loading() || keys.is_empty() {
            return nothing();
        }
        let tags: Vec<Option<Bytes>> = keys
            .iter()
            .map(|key| dependency_key(&key.stored()))
            .collect();
        let Some(store) = &self.remote else {
            let absence = |tag: Bytes| Absence::Here(self.cells_of(tag));
            return tags.into_iter().map(|tag| tag.map(absence)).collect();
        };
        let Some(there) = store.describe().tags else {
            return nothing();
        };
        let known: Vec<Bytes> = tags.iter().flatten().cloned().collect();
        let Ok(numbers) = there.watch(&known).await else {
            return nothing();
        };
        let mut numbers = numbers.into_iter();
        let absence = |tag: Option<Bytes>| {
            let (tag, cut) = (tag?, numbers.next()?);
            Some(Absence::There(tag, cut))
        };
        tags.into_iter().map(absence).collect()
    }

    /// Writes down, inside a loader, that there was nothing under a key.
    pub(crate) fn absent_in_load(&self, absence: Option<Absence>) {
        let Some(reads) = current() else { return };
        match absence {
            None => reads.trouble(Refusal::DependencyRaced),
            Some(Absence::Here(cells)) => {
                reads.write(self.place(), |list| list.cells.extend(&cells));
            }
            Some(Absence::There(tag, cut)) => reads.write(self.place(), |list| {
                let version = Version::ZERO;
                list.bonds.push(Bond { tag, cut, version });
            }),
        }
    }
}

/// That a key is to be read, and as of when its absence would be known.
pub(crate) enum Absence {
    Here(EntryTags),
    There(Bytes, Cut),
}
