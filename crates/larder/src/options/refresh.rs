//! The setting for refresh: when values are loaded again while they are still served.

use std::time::Duration;

use larder_core::refresh::Early;
use larder_core::units::parse_duration;

use super::IntoDuration;

/// A point in the fresh life of a value: a part of it (`0.8`), or a time after its beginning (a
/// [`Duration`], or text such as `"45m"`).
pub trait IntoPoint {
    /// The point, or what is wrong with it.
    fn into_point(self) -> Result<Early, String>;
}

impl IntoPoint for f64 {
    fn into_point(self) -> Result<Early, String> {
        if self > 0.0 && self < 1.0 {
            Ok(Early::Part(self))
        } else {
            Err(format!("{self} is no part of a life; it goes from 0 to 1"))
        }
    }
}

impl IntoPoint for Duration {
    fn into_point(self) -> Result<Early, String> {
        if self.is_zero() {
            Err("must be more than zero".to_owned())
        } else {
            Ok(Early::After(self))
        }
    }
}

impl IntoPoint for &str {
    fn into_point(self) -> Result<Early, String> {
        parse_duration(self)?.into_point()
    }
}

/// Refresh: a read gets the value that is there at once, and a load runs behind it.
///
/// Driven by reads that bring a loader ([`get_or_load`](crate::Cache::get_or_load), or
/// [`get`](crate::Cache::get) of a loading cache): nobody reads, nothing is refreshed. One load runs
/// per key in a process, and one among the processes that share a remote tier: by the lease that
/// every load takes. A process that finds a newer value there takes that and does not load.
///
/// A refresh has no more rights than any load: what was changed since it began is not stored
/// ([`Stats::refused`](crate::Stats::refused)), and a removal meanwhile leaves neither the old nor
/// the new value. One that fails leaves the old value, and is not tried again before
/// [`retry`](Refresh::retry) has passed.
///
/// It goes on when its reader goes away, and stops when the cache is closed or its last clone is
/// dropped.
#[derive(Clone, Debug)]
#[must_use]
pub struct Refresh {
    pub(crate) early: Result<Early, String>,
    pub(crate) serves_stale: bool,
    pub(crate) retry: Result<Duration, String>,
    pub(crate) limit: usize,
}

impl Refresh {
    fn new(early: Result<Early, String>, serves_stale: bool) -> Refresh {
        Refresh {
            early,
            serves_stale,
            retry: Ok(Duration::from_secs(1)),
            limit: 64,
        }
    }

    /// Reads of a fresh value from this point of its fresh life on begin a refresh. The point is
    /// that of the value, not of a near copy, whose ttl may be shorter. A life without end has no
    /// parts; a time after its beginning it has.
    pub fn after(point: impl IntoPoint) -> Refresh {
        Refresh::new(point.into_point(), false)
    }

    /// Reads of a fresh value begin a refresh by chance: the likelier the closer its end, and the
    /// longer its last load took (in milliseconds, up to a minute), so that keys which are read
    /// often are almost always refreshed before they end, and each at another time. At a read `t`
    /// before the end the chance is `e^(-t / (load time × beta))`; 1 is a good `beta`, more is
    /// earlier. Values that were inserted, or loaded in less than a millisecond, just end.
    ///
    /// This is XFetch, of Vattani, Chierichetti and Lowenstein: "Optimal Probabilistic Cache
    /// Stampede Prevention", PVLDB 8(8), 2015.
    pub fn by_chance(beta: f64) -> Refresh {
        let is_number = beta.is_finite() && beta > 0.0;
        let wrong = || format!("beta is {beta}; it must be more than zero");
        Refresh::new(
            is_number
                .then_some(Early::Chance { beta })
                .ok_or_else(wrong),
            false,
        )
    }

    /// Values are refreshed once they are no longer fresh, see
    /// [`and_stale`](Refresh::and_stale), and not before.
    pub fn stale() -> Refresh {
        Refresh::new(Ok(Early::Never), true)
    }

    /// Reads of a value whose fresh life is over get it at once too, marked as stale, as long as it
    /// is there ([`stale_for`](crate::Builder::stale_for)); without this they wait for the load, and
    /// get the stale value only if that fails.
    ///
    /// Only time makes a value stale in this sense. What was invalidated is gone, and what
    /// [`expire`](crate::Cache::expire) has ended is served only if its load fails. A near copy is
    /// used under the same conditions as a fresh one, so that the value is never older than the
    /// last change that a fresh one would have to show. Loaders do not get stale values from reads
    /// in them: they wait, since what they make could not be stored.
    pub fn and_stale(mut self) -> Refresh {
        self.serves_stale = true;
        self
    }

    /// How long after a refresh that failed, was refused, or found another process at it, the next
    /// one of the same key may begin. Default: 1 s.
    pub fn retry(mut self, retry: impl IntoDuration) -> Refresh {
        self.retry = retry.into_duration();
        self
    }

    /// The most refreshes of this cache that are under way in this process. Beyond them a read gets
    /// its value, and begins none. Default: 64.
    pub fn limit(mut self, limit: usize) -> Refresh {
        self.limit = limit;
        self
    }
}

/// The setting in force.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RefreshPolicy {
    /// When a fresh value is refreshed.
    pub early: Early,
    /// Whether stale values are served while they are refreshed.
    pub serves_stale: bool,
    /// How long after a refresh that brought nothing the next one may begin.
    pub retry: Duration,
    /// The most that are under way at once.
    pub limit: usize,
}
