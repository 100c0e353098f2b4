//! Loading many keys by one call: what the loader is given, what it gives, and how its answer comes to
//! the flights of the keys.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, join_all, select};
use larder_core::key::{Key, WireKey, wire_key};
use larder_core::runtime::{BoxFuture, Runtime};
use tokio::sync::oneshot;

use crate::depend::{self, Reads};
use crate::engine::many::{Boarded, Expected, Gathering, Looker, Seat};
use crate::engine::{Engine, Load};
use crate::loader::{Cx, Failure, Orders, panic_message};
use crate::observe::count;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// How long a key that comes late waits for others that do. Those that another process has held, and
/// gave back at once, ask again each at its own time.
const LATE: Duration = Duration::from_millis(50);

/// The context of a load of many keys: which they are, and what is to become of each value.
pub struct ManyCx<K> {
    keys: Vec<K>,
    orders: Vec<Arc<Orders>>,
    places: Arc<Places>,
}

/// Where each key is, by how it is spelled.
type Places = HashMap<WireKey, usize>;

impl<K> ManyCx<K> {
    /// The keys to load, each once. There is at least one.
    pub fn keys(&self) -> &[K] {
        &self.keys
    }

    /// The context of one of the keys, for a life of its own, for tags, or to fail it. What it is told
    /// about a key that was not asked for goes nowhere.
    ///
    /// ```
    /// # use larder::ManyCx;
    /// # struct Row { id: u64, tenant: u64 }
    /// # fn rows(cx: &ManyCx<u64>, rows: &[Row]) {
    /// for row in rows {
    ///     cx.of(&row.id).tag(format!("tenant:{}", row.tenant));
    /// }
    /// # }
    /// ```
    pub fn of<'a, Q: Key + ?Sized>(&self, key: &'a Q) -> Cx<&'a Q> {
        let place = spelled(key).and_then(|key| self.places.get(&key));
        let orders = place.and_then(|at| self.orders.get(*at)).cloned();
        Cx::new(key, orders.unwrap_or_default())
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
    dyn Fn(ManyCx<K>) -> BoxFuture<'static, Result<Answers<V>, Failure>> + Send + Sync;

pub(crate) fn boxed_many<K, V, E, F, Fut, A, T>(loader: F) -> Arc<ManyFn<K, V>>
where
    K: Key,
    E: Send + Sync + 'static,
    F: Fn(ManyCx<K>) -> Fut + Send + Sync + 'static,
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
    is_refresh: bool,
    answer: oneshot::Sender<Result<V, Failure>>,
}

/// Flights that are begun together.
pub(crate) struct Group<K, V> {
    runtime: Arc<dyn Runtime>,
    looks: Arc<Gathering<Looker>>,
    loads: Arc<Gathering<Member<K, V>>>,
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
        let seat = Some(Seat::new(look, place.clone()));
        let its = orders.clone();
        let start = Box::new(move || -> BoxFuture<'static, _> {
            Box::pin(async move {
                let answered = place.come(key, its);
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

impl<K: Send + 'static, V: Send + 'static> Place<K, V> {
    fn come(&self, key: K, orders: Arc<Orders>) -> oneshot::Receiver<Result<V, Failure>> {
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
            is_refresh,
            answer,
        });
        drop(expected);
        answered
    }
}

impl<K: Send, V: Send> Boarded for Place<K, V> {
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
    let (mut keys, mut orders, mut answers) = (Vec::new(), Vec::new(), Vec::new());
    let mut places = Places::new();
    for (at, member) in members.into_iter().enumerate() {
        places.extend(spelled(&member.key).map(|key| (key, at)));
        keys.push(member.key);
        orders.push(member.orders);
        answers.push(member.answer);
    }
    let places = Arc::new(places);
    let cx = ManyCx {
        keys,
        orders,
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
    let mut each: Vec<Result<V, Failure>> = match &outcome {
        Ok(_) => answers.iter().map(|_| Err(Failure::Absent)).collect(),
        Err(failure) => answers.iter().map(|_| Err(failure.clone())).collect(),
    };
    for (key, answer) in outcome.unwrap_or_default() {
        match places.get(&key) {
            Some(at) => each[*at] = answer,
            None => tracing::debug!("a loader of many keys has answered for another one"),
        }
    }
    for (told, answer) in answers.into_iter().zip(each) {
        // Who does not listen any more has gone away.
        let _ = told.send(answer);
    }
}

/// One call of the loader, once the limit of loads admits it.
async fn call<K, V>(
    engine: &Engine<V>,
    loader: &Arc<ManyFn<K, V>>,
    cx: ManyCx<K>,
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
