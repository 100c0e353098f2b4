//! The settings for loads: how long readers wait for them, and what they get instead.

use std::time::Duration;

use super::IntoDuration;

/// How long readers wait for a load, and what becomes of a load that they have left.
///
/// A reader whose time is over leaves; the load goes on behind, under its lease, and its value is
/// stored when it comes, if it can be proven as that of any load. So there is never more than one
/// load of a key. What is left behind has bounds: [`behind`](Timeouts::behind) and
/// [`behind_for`](Timeouts::behind_for). An error of a load that nobody waits for any more is nobody's
/// error.
///
/// Loads inside of a loader have no soft timeout, and do not go on without it.
#[derive(Clone, Debug)]
#[must_use]
pub struct Timeouts {
    pub(crate) soft: Option<Result<Duration, String>>,
    pub(crate) hard: Option<Result<Duration, String>>,
    pub(crate) wait: Option<Result<Duration, String>>,
    pub(crate) behind: usize,
    pub(crate) behind_for: Result<Duration, String>,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts::new()
    }
}

impl Timeouts {
    /// No limits.
    pub fn new() -> Timeouts {
        Timeouts {
            soft: None,
            hard: None,
            wait: None,
            behind: 64,
            behind_for: Ok(Duration::from_secs(60)),
        }
    }

    /// A load that takes longer than this gives its readers the stale value, if there is one, marked
    /// as stale ([`StaleReason::TimedOut`](crate::StaleReason)); else they go on waiting. Counted from
    /// the beginning of the load: who comes later than that gets the stale value at once. Zero: nobody
    /// ever waits who can be given a stale value.
    pub fn soft(mut self, soft: impl IntoDuration) -> Timeouts {
        self.soft = Some(soft.into_duration());
        self
    }

    /// No reader waits longer than this, counted from its call. It then gets the stale value if there
    /// is one, else an error of kind [`ErrorKind::Timeout`](crate::ErrorKind).
    pub fn hard(mut self, hard: impl IntoDuration) -> Timeouts {
        self.hard = Some(hard.into_duration());
        self
    }

    /// The same for readers who wait for the load of another reader of this process.
    pub fn wait(mut self, wait: impl IntoDuration) -> Timeouts {
        self.wait = Some(wait.into_duration());
        self
    }

    /// The most loads of this cache in this process that go on behind. Beyond them a load that all
    /// readers have left is dropped, and its key is free. Default: 64.
    pub fn behind(mut self, limit: usize) -> Timeouts {
        self.behind = limit;
        self
    }

    /// How long a load goes on after its readers have left. Then it is dropped, unless others wait for
    /// it by now. Default: 60 s.
    pub fn behind_for(mut self, limit: impl IntoDuration) -> Timeouts {
        self.behind_for = limit.into_duration();
        self
    }
}

/// The limits of [`Timeouts`] in force.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct TimeoutPolicy {
    /// After which a stale value is served; `None` for never.
    pub soft: Option<Duration>,
    /// After which a reader gets an error; `None` for never.
    pub hard: Option<Duration>,
    /// The same for readers who wait for the load of another one.
    pub wait: Option<Duration>,
    /// The most loads that go on behind.
    pub behind: usize,
    /// For how long each of them does.
    pub behind_for: Duration,
}

/// How one call loads, where it differs from the cache's settings. See
/// [`get_or_load_with`](crate::Cache::get_or_load_with).
#[derive(Clone, Debug)]
#[must_use]
pub struct LoadOptions<V> {
    pub(crate) soft: Option<Duration>,
    pub(crate) hard: Option<Duration>,
    pub(crate) wait: Option<Duration>,
    pub(crate) default: Option<V>,
}

impl<V> Default for LoadOptions<V> {
    fn default() -> LoadOptions<V> {
        LoadOptions::new()
    }
}

impl<V> LoadOptions<V> {
    /// The cache's settings.
    pub fn new() -> LoadOptions<V> {
        LoadOptions {
            soft: None,
            hard: None,
            wait: None,
            default: None,
        }
    }

    /// As [`Timeouts::soft`].
    pub fn soft_timeout(mut self, soft: Duration) -> LoadOptions<V> {
        self.soft = Some(soft);
        self
    }

    /// As [`Timeouts::hard`].
    pub fn hard_timeout(mut self, hard: Duration) -> LoadOptions<V> {
        self.hard = Some(hard);
        self
    }

    /// As [`Timeouts::wait`]: zero for a caller that never waits for the load of another one.
    pub fn wait(mut self, wait: Duration) -> LoadOptions<V> {
        self.wait = Some(wait);
        self
    }

    /// What the caller gets where it would get an error of the load, or one of a limit. It is stored
    /// nowhere; [`Loaded::source`](crate::Loaded::source) is [`Source::Default`](crate::Source), and it
    /// is marked as stale.
    pub fn default_value(mut self, value: V) -> LoadOptions<V> {
        self.default = Some(value);
        self
    }
}
