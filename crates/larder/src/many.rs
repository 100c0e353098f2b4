//! Loading many keys by one call: what the loader is given, what it gives, and how its answer comes to
//! the flights of the keys.

use std::collections::HashMap;
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, join_all, select};
use larder_core::key::{Key, WireKey, wire_key};
use larder_core::runtime::{BoxFuture, Runtime};
use tokio::sync::oneshot;

use crate::depend::{self, Reads};
use crate::engine::many::{Boarded, Expected, Gathering, Looker, Seat, Turns};
use crate::engine::{Engine, Load};
use crate::loaded::Loaded;
use crate::loader::{self, Cx, Failure, Orders, panic_message};
use crate::observe::count;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// How long a key that comes late waits for others that do. Those that another process has held, and
/// gave back at once, ask again each at its own time.
const LATE: Duration = Duration::from_millis(50);

/// The context of a load of many keys: which they are, and what is to become of each value.
pub struct ManyCx<K, V> {
    keys: Vec<K>,
    orders: Vec<Arc<Orders>>,
    previous: Vec<Option<Loaded<V>>>,
    places: Arc<Places>,
}

/// Where each key is, by how it is spelled.
type Places = HashMap<WireKey, usize>;

impl<K, V> ManyCx<K, V> {
    /// The keys to load, each once. There is at least one.
    pub fn keys(&self) -> &[K] {
        &self.keys
    }

    /// The context of one of the keys, for its previous value, a life of its own, for tags, or to fail
    /// it. What it is told about a key that was not asked for goes nowhere.
    ///
    /// ```
    /// # use larder::ManyCx;
    /// # struct Row { id: u64, tenant: u64 }
    /// # fn rows(cx: &ManyCx<u64, String>, rows: &[Row]) {
    /// for row in rows {
    ///     cx.of(&row.id).tag(format!("tenant:{}", row.tenant));
    /// }
    /// # }
    /// ```
    pub fn of<'a, Q: Key + ?Sized>(&self, key: &'a Q) -> OneCx<'a, Q, V> {
        let place = spelled(key).and_then(|key| self.places.get(&key));
        let orders = place.and_then(|at| self.orders.get(*at)).cloned();
        let previous = place.and_then(|at| self.previous.get(*at)?.clone());
        OneCx(Cx::new(key, orders.unwrap_or_default(), previous))
    }
}

/// The context of one key among many: a [`Cx`], but that an answer in place of a value ends nothing.
/// The loader goes on to the other keys.
pub struct OneCx<'a, Q: ?Sized, V>(Cx<&'a Q, V>);

impl<'a, Q: ?Sized, V> Deref for OneCx<'a, Q, V> {
    type Target = Cx<&'a Q, V>;

    fn deref(&self) -> &Cx<&'a Q, V> {
        &self.0
    }
}

impl<Q: ?Sized, V> OneCx<'_, Q, V> {
    /// Answers that the source still has what [`previous`](Cx::previous) says: as
    /// [`Cx::not_modified`], but nothing is to be waited for. It goes before what the loader gives for
    /// this key, and counts once the loader has ended without an error.
    pub fn not_modified(&self) {
        self.0.say(loader::Answer::NotModified);
    }

    /// Answers that the source has no such record: as leaving the key out, and as [`Cx::absent`], but
    /// nothing is to be waited for. It goes before what the loader gives for this key, and counts once
    /// the loader has ended without an error.
    pub fn absent(&self) {
        self.0.say(loader::Answer::Absent);
    }
}

fn spelled<Q: Key + ?Sized>(key: &Q) -> Option<WireKey> {
    wire_key(&[], key).ok()
}

/// What a loader of many keys gives for one of them: a value, or a [`Result`].
pub trait Answer<V, E> {
    /// The value, or the error of this key alone.
    fn into_result(self) -> Result<V, E>;
}

impl<V, E> Answer<V, E> for V {
    fn into_result(self) -> Result<V, E> {
        Ok(self)
    }
}

impl<V, E> Answer<V, E> for Result<V, E> {
    fn into_result(self) -> Result<V, E> {
        self
    }
}

type Answers<V> = Vec<(WireKey, Result<V, Failure>)>;

/// A loader of many keys, whose types of errors and answers are known no more.
pub(crate) type ManyFn<K, V> =
    dyn Fn(ManyCx<K, V>) -> BoxFuture<'static, Result<Answers<V>, Failure>> + Send + Sync;

pub(crate) fn boxed_many<K, V, E, F, Fut, A, T>(loader: F) -> Arc<ManyFn<K, V>>
where
    K: Key,
    E: Send + Sync + 'static,
    F: Fn(ManyCx<K, V>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<A, E>> + Send + 'static,
    A: IntoIterator<Item = (K, T)>,
    T: Answer<V, E>,
{
    fn failed<E: Send + Sync + 'static>(error: E) -> Failure {
        Failure::Loader(Arc::new(error))
    }
    Arc::new(move |cx| {
        let loading = loader(cx);
        Box::pin(async move {
            let answers = loading.await.map_err(failed)?.into_iter();
            let spell = |(key, answer): (K, T)| {
                let answer = answer.into_result().map_err(failed);
                Some((spelled(&key)?, answer))
            };
            Ok(answers.filter_map(spell).collect())
        })
    })
}

/// A key whose flight has its proof, and waits for its value.
struct Member<K, V> {
    key: K,
    orders: Arc<Orders>,
    previous: Option<Loaded<V>>,
    is_refresh: bool,
    answer: oneshot::Sender<Result<V, Failure>>,
}

/// Flights that are begun together.
pub(crate) struct Group<K, V> {
    runtime: Arc<dyn Runtime>,
    looks: Arc<Gathering<Looker>>,
    loads: Arc<Gathering<Member<K, V>>>,
    turns: Turns,
}

/// Lets a group wait for those who are still to be begun, until this is dropped.
pub(crate) struct Hold<K, V> {
    _look: Expected<Looker>,
    _load: Expected<Member<K, V>>,
}

impl<K, V> Group<K, V>
where
    K: Key + Send + 'static,
    V: Send + Sync + 'static,
{
    /// A group whose loader is given at most `chunk` keys at once.
    pub(crate) fn new(
        engine: &Arc<Engine<V>>,
        loader: &Arc<ManyFn<K, V>>,
        chunk: usize,
    ) -> Group<K, V> {
        let looking = engine.clone();
        let look = move |lookers| {
            let engine = looking.clone();
            let look = async move { engine.look_together(lookers).await };
            looking.runtime.spawn(Box::pin(look));
        };
        let (loading, loader) = (engine.clone(), loader.clone());
        let load = move |members| {
            let load = load_together(loading.clone(), loader.clone(), members);
            loading.runtime.spawn(Box::pin(load));
        };
        Group {
            runtime: engine.runtime.clone(),
            looks: Gathering::new(usize::MAX, look),
            loads: Gathering::new(chunk, load),
            turns: Turns::new(),
        }
    }

    pub(crate) fn hold(&self) -> Hold<K, V> {
        Hold {
            _look: self.looks.expect(),
            _load: self.loads.expect(),
        }
    }

    /// The load of a key, as a part of this.
    pub(crate) fn load(&self, key: K) -> Load<V> {
        self.seated(key, Some(self.looks.expect()))
    }

    /// The same for a refresh, which looks for itself.
    pub(crate) fn refresh(&self, key: K) -> Load<V> {
        self.seated(key, None)
    }

    fn seated(&self, key: K, look: Option<Expected<Looker>>) -> Load<V> {
        let orders = Arc::<Orders>::default();
        let place = Arc::new(Place {
            runtime: self.runtime.clone(),
            loads: self.loads.clone(),
            expected: Mutex::new(Some(self.loads.expect())),
            is_refresh: AtomicBool::new(false),
        });
        let seat = Some(Seat::new(look, place.clone(), &self.turns));
        let its = orders.clone();
        let start = Box::new(move |previous| -> BoxFuture<'static, _> {
            Box::pin(async move {
                let answered = place.come(key, its, previous);
                // An error says that nobody loads any more.
                answered.await.unwrap_or(Err(Failure::Abandoned))
            })
        });
        Load {
            start,
            orders,
            seat,
        }
    }
}

/// The part of one key in the load of a group.
struct Place<K, V> {
    runtime: Arc<dyn Runtime>,
    loads: Arc<Gathering<Member<K, V>>>,
    expected: Mutex<Option<Expected<Member<K, V>>>>,
    is_refresh: AtomicBool,
}

impl<K: Send + 'static, V: Send + Sync + 'static> Place<K, V> {
    fn come(
        &self,
        key: K,
        orders: Arc<Orders>,
        previous: Option<Loaded<V>>,
    ) -> oneshot::Receiver<Result<V, Failure>> {
        let (answer, answered) = oneshot::channel();
        let is_refresh = self.is_refresh.load(Ordering::Relaxed);
        let expected = self.expected.lock().take();
        if expected.is_none() && self.loads.is_over() {
            let (others, late) = (self.loads.expect(), self.runtime.sleep(LATE));
            let wait = async move {
                late.await;
                drop(others);
            };
            self.runtime.spawn(Box::pin(wait));
        }
        self.loads.come(Member {
            key,
            orders,
            previous,
            is_refresh,
            answer,
        });
        drop(expected);
        answered
    }
}

impl<K: Send, V: Send + Sync> Boarded for Place<K, V> {
    fn aside(&self) {
        let expected = self.expected.lock().take();
        drop(expected);
    }

    fn begins(&self, is_refresh: bool) {
        self.is_refresh.store(is_refresh, Ordering::Relaxed);
    }
}

/// Calls the loader for these keys, as long as the flight of one of them waits.
async fn load_together<K, V>(
    engine: Arc<Engine<V>>,
    loader: Arc<ManyFn<K, V>>,
    mut members: Vec<Member<K, V>>,
) where
    K: Key + Send + 'static,
    V: Send + Sync + 'static,
{
    members.retain(|member| !member.answer.is_closed());
    if members.is_empty() {
        return;
    }
    let is_refresh = members.iter().all(|member| member.is_refresh);
    let (mut keys, mut orders, mut previous) = (Vec::new(), Vec::new(), Vec::new());
    let mut answers = Vec::new();
    let mut places = Places::new();
    for (at, member) in members.into_iter().enumerate() {
        places.extend(spelled(&member.key).map(|key| (key, at)));
        keys.push(member.key);
        orders.push(member.orders);
        previous.push(member.previous);
        answers.push(member.answer);
    }
    let places = Arc::new(places);
    let cx = ManyCx {
        keys,
        orders: orders.clone(),
        previous,
        places: places.clone(),
    };
    let outcome = {
        let left = join_all(answers.iter_mut().map(oneshot::Sender::closed));
        let call = Box::pin(call(&engine, &loader, cx, is_refresh));
        match select(call, left).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => return,
        }
    };
    // Who does not listen any more has gone away.
    let tell = |told: oneshot::Sender<_>, answer| drop(told.send(answer));
    let rows = match outcome {
        Ok(rows) => rows,
        Err(failure) => {
            for (orders, told) in orders.iter().zip(answers) {
                orders.say(None);
                tell(told, Err(failure.clone()));
            }
            return;
        }
    };
    let mut each: Vec<Option<Result<V, Failure>>> = answers.iter().map(|_| None).collect();
    for (key, answer) in rows {
        match places.get(&key) {
            Some(at) => each[*at] = Some(answer),
            None => tracing::debug!("a loader of many keys has answered for another one"),
        }
    }
    for ((orders, told), answer) in orders.iter().zip(answers).zip(each) {
        if answer.is_none() && orders.get().answer.is_none() {
            orders.say(Some(loader::Answer::Absent));
        }
        // What has been said goes before that, as where a loader has not come to its end.
        tell(told, answer.unwrap_or(Err(Failure::Abandoned)));
    }
}

/// One call of the loader, once the limit of loads admits it.
async fn call<K, V>(
    engine: &Engine<V>,
    loader: &Arc<ManyFn<K, V>>,
    cx: ManyCx<K, V>,
    is_refresh: bool,
) -> Result<Answers<V>, Failure>
where
    K: Key + Send + 'static,
    V: Send + Sync + 'static,
{
    let each: Vec<Arc<Reads>> = cx.orders.iter().map(|orders| orders.reads()).collect();
    let reads = Reads::together(&each);
    let admitted = engine.admission_together(reads.is_inside(), is_refresh);
    let _admitted = admitted.await?;
    count(&engine.counts.load_batches);
    // The call that makes the future is user code as well, so it is inside the guard.
    let loading = depend::scope(reads, async move { loader(cx).await });
    let result = AssertUnwindSafe(loading).catch_unwind().await;
    result.unwrap_or_else(|panic| Err(Failure::Panicked(panic_message(&*panic))))
}
