//! What became of a change, and how soon everybody knows of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use larder_core::bus::{Bus, Hearing, Readers, fenced_after};
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::lane::Position;
use larder_core::mutant::Mutant;
use larder_core::runtime::{Mono, Runtime};
use larder_core::store::Store;
use larder_core::ticket::Ticket;

use crate::node::Node;

/// First and longest pause before the shard is asked again how far everybody is.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// What became of a change.
///
/// Nothing need be done with it: the change has taken place, or will (see
/// [`is_deferred`](Receipt::is_deferred)).
#[derive(Clone, Default)]
pub struct Receipt {
    existed: Vec<bool>,
    logged: Option<Logged>,
    is_deferred: bool,
}

/// The place of a change in the log, and what it takes to ask who has heard of it.
#[derive(Clone)]
struct Logged {
    /// `None` if there was no log: nobody reads it, or it was lost, and who did may not know yet.
    position: Option<Position>,
    lane: u64,
    node: Node,
    /// When the change was acknowledged here.
    at: Mono,
    store: Arc<dyn Store>,
    runtime: Arc<dyn Runtime>,
}

/// Who has heard of a change. See [`Receipt::wait_all`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Acknowledged {
    /// How many caches have applied it, the one that made it included.
    pub nodes: usize,
    /// The names of the others among them.
    pub heard: Vec<String>,
    /// The names of the nodes that do not answer, in order. Their near copies cannot be
    /// used until they have heard of everything.
    pub fenced: Vec<String>,
    /// The names of the nodes that have not applied it, although they are there.
    pub lagging: Vec<String>,
    /// Whether no cache that follows the log can use an older near copy any more.
    pub complete: bool,
}

impl Receipt {
    pub(crate) fn of(existed: Vec<bool>) -> Receipt {
        Receipt {
            existed,
            ..Receipt::default()
        }
    }

    /// The receipt of a change that waits.
    pub(crate) fn deferred() -> Receipt {
        Receipt {
            is_deferred: true,
            ..Receipt::default()
        }
    }

    /// An error if the change waits: for those who repeat it themselves until it is done.
    pub(crate) fn settled(self) -> Result<Receipt> {
        if self.is_deferred {
            return Err(waits());
        }
        Ok(self)
    }

    /// Whether the change waits for a remote tier that could not be reached: it has taken place in this
    /// process, and for the others it will. Only with a [`Backlog`](crate::Backlog).
    pub fn is_deferred(&self) -> bool {
        self.is_deferred
    }

    /// The receipt of a change that has just been acknowledged by `store`, which gave it `position`
    /// in the log that `node` follows as `lane`.
    pub(crate) fn logged(
        mut self,
        position: Option<Position>,
        (lane, node): (u64, &Node),
        store: &Arc<dyn Store>,
        runtime: &Arc<dyn Runtime>,
    ) -> Receipt {
        self.logged = Some(Logged {
            position,
            lane,
            node: node.clone(),
            at: runtime.now(),
            store: store.clone(),
            runtime: runtime.clone(),
        });
        self
    }

    /// How many of the keys had a value. Nobody counts the values with a tag or a prefix.
    pub fn existed(&self) -> usize {
        self.existed.iter().filter(|existed| **existed).count()
    }

    /// A ticket that asks for this change: with it, a read through any node reflects the change.
    /// See [`Cache::get_with_ticket`](crate::Cache::get_with_ticket).
    ///
    /// Where no log tells of the change (in the plain layout, or while nobody reads the log), it asks
    /// for the remote tier; without one, for nothing.
    pub fn ticket(&self) -> Ticket {
        let mut ticket = Ticket::new();
        self.note(&mut ticket);
        ticket
    }

    /// Notes the change in a ticket whose holder has heard of it just now.
    pub(crate) fn note(&self, ticket: &mut Ticket) {
        if let Some(logged) = &self.logged {
            ticket.passed(logged.lane, logged.position);
        }
    }

    /// Waits until every cache that follows the log of the remote tier has applied this change, or
    /// cannot use its near copies, because it has not been heard of for Δ (one second) and a tenth;
    /// or until `timeout` has passed. Then no read through a near copy anywhere gives an older
    /// value as fresh, and [`Acknowledged::complete`] says so.
    ///
    /// Usually done after a few milliseconds; after Δ and a tenth at the latest, unless a node is
    /// there and does not get on.
    ///
    /// Caches that do not follow the log are not waited for: those without a near cache, of which
    /// some caller may still wait for a load that began up to Δ before the change; those with
    /// [`Mode::None`](crate::Mode); and those of which the shard does not know, because they have
    /// not joined the log yet or were cut off from it for more than a minute, which may use for Δ
    /// what they have just read by themselves.
    ///
    /// Done at once where there is no log to follow (without a remote tier, in the plain layout), and
    /// after one look where nobody follows it. Dropping the future has no effect. Costs one pushed
    /// message, one poll of each cache, and one round trip for each time that it looks: after 1, 2,
    /// 4, … 50 ms.
    ///
    /// # Errors
    ///
    /// When the remote tier could not be asked until `timeout` had passed. The change has taken
    /// place all the same. At once when the change [is deferred](Receipt::is_deferred).
    pub async fn wait_all(&self, timeout: Duration) -> Result<Acknowledged> {
        if self.is_deferred {
            return Err(waits());
        }
        let logged = self.logged.as_ref();
        let bus = logged.and_then(|logged| Some((logged, logged.store.describe().bus?)));
        match bus {
            Some((logged, bus)) => logged.wait_all(bus, timeout).await,
            None => Ok(Acknowledged::alone()),
        }
    }
}

fn waits() -> Error {
    let message = "the change waits for the remote tier, and nobody else has heard of it";
    Error::new(ErrorKind::Unavailable, message)
}

impl Logged {
    async fn wait_all(&self, bus: &dyn Bus, timeout: Duration) -> Result<Acknowledged> {
        let until = self.runtime.now().after(timeout);
        let (mut pause, mut known) = (PAUSE.0, None);
        // Where there was no log a look comes first: probably nobody reads.
        let mut nudge_at = match self.position {
            Some(_) => Mono(0),
            None => self.runtime.now().after(PAUSE.0),
        };
        loop {
            if self.runtime.now() >= nudge_at {
                // If it gets lost, the next one or the usual polls take its place.
                let _ = self.within(until, bus.nudge()).await;
                nudge_at = self.runtime.now().after(PAUSE.1);
            }
            match self.within(until, bus.readers()).await {
                Some(Ok(readers)) => {
                    let found = self.judge(&readers);
                    if found.complete {
                        return Ok(found);
                    }
                    known = Some(Ok(found));
                }
                Some(Err(error)) => {
                    known = known.filter(Result::is_ok).or(Some(Err(error)));
                }
                None => {}
            }
            let left = until.since(self.runtime.now());
            if left.is_zero() {
                let message = "the remote tier did not say in time who follows its log";
                return known.unwrap_or_else(|| Err(Error::new(ErrorKind::Timeout, message)));
            }
            self.runtime.sleep(pause.min(left)).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    fn judge(&self, readers: &Readers) -> Acknowledged {
        let mut found = Acknowledged::alone();
        // A copy that was read just before the change can be used for Δ without any word of the
        // log. So silence counts only once the change itself is that old.
        let is_old = self.runtime.now().since(self.at) > fenced_after();
        for reader in &readers.seen {
            if (reader.node, &reader.name) == (self.node.number, &self.node.name) {
                continue;
            }
            match readers.hearing(reader, self.position) {
                Hearing::Applied => {
                    found.nodes += 1;
                    found.heard.push(reader.name.to_string());
                }
                Hearing::Silent if is_old => found.fenced.push(reader.name.to_string()),
                Hearing::Silent | Hearing::Behind => found.lagging.push(reader.name.to_string()),
            }
        }
        for names in [&mut found.heard, &mut found.fenced, &mut found.lagging] {
            names.sort_unstable();
        }
        // Whoever is not on the list has not polled since the change, if that is old enough.
        let are_all = is_old || readers.are_complete();
        found.complete = (found.lagging.is_empty() && are_all) || Mutant::WaitForAll.is_active();
        found
    }

    /// What `asking` gives, unless it takes too long.
    async fn within<T>(&self, until: Mono, asking: impl Future<Output = T> + Unpin) -> Option<T> {
        let left = until.since(self.runtime.now());
        match select(asking, self.runtime.sleep(left)).await {
            Either::Left((answer, _)) => Some(answer),
            Either::Right(((), _)) => None,
        }
    }
}

impl Acknowledged {
    /// Nobody else follows.
    fn alone() -> Acknowledged {
        Acknowledged {
            nodes: 1,
            heard: Vec::new(),
            fenced: Vec::new(),
            lagging: Vec::new(),
            complete: true,
        }
    }
}

impl PartialEq for Receipt {
    fn eq(&self, other: &Receipt) -> bool {
        let place = |receipt: &Receipt| {
            let logged = receipt.logged.as_ref();
            logged.map(|logged| (logged.lane, logged.position))
        };
        self.existed == other.existed && place(self) == place(other)
    }
}

impl Eq for Receipt {}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("existed", &self.existed())
            .field(
                "position",
                &self.logged.as_ref().and_then(|logged| logged.position),
            )
            .finish_non_exhaustive()
    }
}
