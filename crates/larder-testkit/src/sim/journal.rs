//! What happened in a run beside reads and changes: faults counted by class, and, if wanted, a line
//! of text for everything. Without the text it costs a counter here and there.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use larder_core::runtime::Mono;

/// A class of things that go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A link on which requests do not arrive.
    CutRequests,
    /// A link on which replies and pushed records do not arrive.
    CutReplies,
    /// A link on which nothing arrives.
    CutBoth,
    /// A link on which pushed records do not arrive.
    CutPushes,
    /// The store restarts empty.
    Restart,
    /// The log forgets all but its newest records.
    Trim,
    /// The store silently loses some keys and leases, as a full server does.
    Evict,
    /// The server silently loses some of what the system itself keeps: tags, its own state, the log.
    EvictSystem,
    /// The server silently loses some of everything.
    EvictAny,
    /// A node stands still while time goes on.
    Pause,
    /// The server's clock is set forward.
    ClockForward,
    /// The server's clock is set back.
    ClockBack,
    /// The server has no memory left for a while.
    Full,
    /// The server takes no changes for a while, as a primary does that was made a replica.
    ReadOnly,
    /// The server is started again from an old dump.
    OldDump,
    /// A replica that lags behind takes the place of the server.
    Promoted,
    /// One way between two nodes of a mesh is cut.
    CutWay,
    /// A node of a mesh is cut off from all others.
    CutOff,
    /// All connections of a node break.
    Severed,
    /// A process is killed, and started again with nothing.
    Killed,
    /// A machine dies with its process, and is started again.
    Crashed,
    /// A request that never arrives.
    LostRequest,
    /// A request that arrives after its sender has given up.
    LateRequest,
    /// A reply that is lost after the store has done what was asked.
    LostReply,
    /// A request, a reply or a pushed record that takes very long.
    Slow,
    /// A pushed record that is lost.
    LostPush,
    /// A pushed record that arrives twice.
    DoubledPush,
    /// A subscription that breaks.
    BrokenPush,
    /// A connection of a mesh that breaks.
    BrokenLink,
    /// A writer dies between the source and the cache.
    WriterDied,
}

impl Fault {
    /// All of them: first disasters, then what happens to single messages and writers.
    pub const ALL: [Fault; 30] = [
        Fault::CutRequests,
        Fault::CutReplies,
        Fault::CutBoth,
        Fault::CutPushes,
        Fault::Restart,
        Fault::Trim,
        Fault::Evict,
        Fault::EvictSystem,
        Fault::EvictAny,
        Fault::Pause,
        Fault::ClockForward,
        Fault::ClockBack,
        Fault::Full,
        Fault::ReadOnly,
        Fault::OldDump,
        Fault::Promoted,
        Fault::CutWay,
        Fault::CutOff,
        Fault::Severed,
        Fault::Killed,
        Fault::Crashed,
        Fault::LostRequest,
        Fault::LateRequest,
        Fault::LostReply,
        Fault::Slow,
        Fault::LostPush,
        Fault::DoubledPush,
        Fault::BrokenPush,
        Fault::BrokenLink,
        Fault::WriterDied,
    ];

    /// How many of them, from the first, are disasters.
    pub const DISASTERS: usize = 21;

    /// Whether it strikes a whole link, a node or the store, not a single message.
    pub fn is_disaster(self) -> bool {
        (self as usize) < Fault::DISASTERS
    }

    /// Whether it happens to servers only.
    pub fn is_of_servers(self) -> bool {
        matches!(
            self,
            Fault::EvictSystem
                | Fault::EvictAny
                | Fault::ClockForward
                | Fault::ClockBack
                | Fault::Full
                | Fault::ReadOnly
                | Fault::OldDump
                | Fault::Promoted
        )
    }

    /// Whether it happens to nodes of a mesh, beside what happens to stores.
    pub fn is_of_mesh(self) -> bool {
        matches!(
            self,
            Fault::CutWay
                | Fault::CutOff
                | Fault::Severed
                | Fault::Killed
                | Fault::Crashed
                | Fault::BrokenLink
        )
    }

    /// Whether it can happen to nodes of a mesh.
    pub fn befalls_mesh(self) -> bool {
        let also = [
            Fault::Trim,
            Fault::Evict,
            Fault::Pause,
            Fault::ClockForward,
            Fault::ClockBack,
            Fault::Slow,
            Fault::WriterDied,
        ];
        self.is_of_mesh() || also.contains(&self)
    }

    /// What it is called in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Fault::CutRequests => "requests cut",
            Fault::CutReplies => "replies cut",
            Fault::CutBoth => "both ways cut",
            Fault::CutPushes => "pushes cut",
            Fault::Restart => "store restarted empty",
            Fault::Trim => "log trimmed",
            Fault::Evict => "keys and leases evicted",
            Fault::EvictSystem => "system keys evicted",
            Fault::EvictAny => "any keys evicted",
            Fault::Pause => "node paused",
            Fault::ClockForward => "clock set forward",
            Fault::ClockBack => "clock set back",
            Fault::Full => "server full",
            Fault::ReadOnly => "server read-only",
            Fault::OldDump => "old dump restored",
            Fault::Promoted => "lagging replica promoted",
            Fault::CutWay => "one way between nodes cut",
            Fault::CutOff => "node cut off",
            Fault::Severed => "connections of a node broken",
            Fault::Killed => "process killed",
            Fault::Crashed => "machine crashed",
            Fault::LostRequest => "lost request",
            Fault::LateRequest => "late request",
            Fault::LostReply => "lost reply",
            Fault::Slow => "slow message",
            Fault::LostPush => "lost push",
            Fault::DoubledPush => "doubled push",
            Fault::BrokenPush => "broken subscription",
            Fault::BrokenLink => "connection broken",
            Fault::WriterDied => "writer died",
        }
    }
}

/// One line of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was written down.
    pub at: Mono,
    /// What happened.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.at.0 / 1_000;
        write!(f, "{:>5}.{:06}  ", micros / 1_000_000, micros % 1_000_000)?;
        f.write_str(&self.text)
    }
}

/// The journal of one run.
#[derive(Clone, Default)]
pub struct Journal(Arc<Inner>);

#[derive(Default)]
struct Inner {
    faults: [AtomicU64; Fault::ALL.len()],
    operations: AtomicU64,
    heard: AtomicU64,
    unheard: AtomicU64,
    lines: Option<Arc<Mutex<Vec<Line>>>>,
}

impl Journal {
    /// A journal that also keeps the text.
    pub fn with_text() -> Journal {
        Journal(Arc::new(Inner {
            lines: Some(Arc::default()),
            ..Inner::default()
        }))
    }

    /// A journal for a run that is part of another: counts of its own, one text.
    pub(super) fn part(&self, name: &str) -> Journal {
        let lines = self.0.lines.clone();
        let part = Journal(Arc::new(Inner {
            lines,
            ..Inner::default()
        }));
        part.note(Mono(0), || name.to_owned());
        part
    }

    /// Counts a fault.
    pub fn fault(&self, fault: Fault) {
        self.0.faults[fault as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an operation.
    pub fn operation(&self) {
        self.0.operations.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a change that was waited for until all nodes had heard of it, or in vain.
    pub(super) fn waited(&self, heard: bool) {
        let count = if heard {
            &self.0.heard
        } else {
            &self.0.unheard
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Changes that were waited for so far: heard of by all nodes, and not in time.
    pub fn waits(&self) -> (u64, u64) {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (get(&self.0.heard), get(&self.0.unheard))
    }

    /// Writes a line, if anybody wants it.
    pub fn note(&self, at: Mono, text: impl FnOnce() -> String) {
        if let Some(lines) = &self.0.lines {
            let text = text();
            let mut lines = lines.lock().expect("writing a line does not panic");
            lines.push(Line { at, text });
        }
    }

    /// Faults so far, in the order of [`Fault::ALL`].
    pub fn faults(&self) -> [u64; Fault::ALL.len()] {
        std::array::from_fn(|at| self.0.faults[at].load(Ordering::Relaxed))
    }

    /// Whether there was a fault of this class so far.
    pub fn has(&self, fault: Fault) -> bool {
        self.0.faults[fault as usize].load(Ordering::Relaxed) > 0
    }

    /// Operations so far.
    pub fn operations(&self) -> u64 {
        self.0.operations.load(Ordering::Relaxed)
    }

    /// The text so far.
    pub fn lines(&self) -> Vec<Line> {
        let lines = self.0.lines.as_ref();
        lines.map_or_else(Vec::new, |lines| {
            lines.lock().expect("writing a line does not panic").clone()
        })
    }
}
