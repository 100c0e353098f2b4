//! How long a connection waits for its peer, and how much it holds for it.

use std::time::Duration;

use larder_core::runtime::Mono;

use super::end::End;
use crate::settings::RespSettings;

/// For a password, where one is required.
const AUTHENTICATION: Duration = Duration::from_secs(5);
/// For a peer that takes nothing of its replies.
const PROGRESS: Duration = Duration::from_secs(10);
/// After so much rest the buffers are given back.
const REST: Duration = Duration::from_secs(2);
/// Beyond this part of the output limit, no more commands are run until the peer reads. Up to
/// there a client may send a whole pipeline before it reads, as many do.
const CONGESTED_PART: usize = 4;

/// Settings, and when things last happened.
pub(super) struct Patience {
    frame: Duration,
    idle: Option<Duration>,
    max_output: usize,
    opened: Mono,
    received: Mono,
    progressed: Mono,
    /// When the command that is incomplete began to arrive.
    partial_since: Option<Mono>,
}

/// What a connection waits with.
pub(super) struct Waiting {
    pub(super) authenticated: bool,
    /// There are replies that the peer has not taken.
    pub(super) unread: bool,
    /// Bytes received of a command that is incomplete.
    pub(super) buffered: usize,
    pub(super) holds_memory: bool,
}

impl Patience {
    pub(super) fn new(settings: &RespSettings, now: Mono) -> Patience {
        Patience {
            frame: settings.frame_timeout,
            idle: settings.idle_timeout,
            max_output: settings.max_output,
            opened: now,
            received: now,
            progressed: now,
            partial_since: None,
        }
    }

    // ===== what happened =====

    pub(super) fn received(&mut self, now: Mono) {
        self.received = now;
    }

    /// The peer took something, or got its first reply to take.
    pub(super) fn progressed(&mut self, now: Mono) {
        self.progressed = now;
    }

    /// Commands were run as far as they had arrived.
    pub(super) fn ran(&mut self, now: Mono, has_run: bool, is_partial: bool) {
        self.partial_since = match self.partial_since {
            _ if !is_partial => None,
            Some(since) if !has_run => Some(since),
            _ => Some(now),
        };
    }

    // ===== what follows from it =====

    /// Whether there is so much output that the peer should read before more is made.
    pub(super) fn is_congested(&self, output: usize) -> bool {
        output > self.max_output / CONGESTED_PART
    }

    /// Whether there is more output than is ever held.
    pub(super) fn is_exhausted(&self, output: usize) -> bool {
        output > self.max_output
    }

    /// When to look again.
    pub(super) fn deadline(&self, state: &Waiting) -> Mono {
        let rest = (state.holds_memory && state.buffered == 0 && !state.unread)
            .then(|| self.received.after(REST));
        let ends = self.ends(state).map(|(at, _)| at);
        ends.into_iter().chain(rest).min().unwrap_or(Mono::MAX)
    }

    /// Ends the connection if a deadline has passed.
    pub(super) fn check(&self, now: Mono, state: &Waiting) -> Result<(), End> {
        match self.ends(state).into_iter().find(|(at, _)| *at <= now) {
            Some((_, end)) => Err(end),
            None => Ok(()),
        }
    }

    /// What ends the connection, and when.
    fn ends(&self, state: &Waiting) -> [(Mono, End); 4] {
        let at = |since: Mono, patience: Option<Duration>| {
            patience.map_or(Mono::MAX, |patience| since.after(patience))
        };
        let authentication = (!state.authenticated).then_some(AUTHENTICATION);
        let progress = state.unread.then_some(PROGRESS);
        let frame = self.frame + Duration::from_secs(state.buffered as u64 >> 20);
        let partial = self
            .partial_since
            .map_or(Mono::MAX, |since| since.after(frame));
        [
            (at(self.opened, authentication), End::Unauthenticated),
            (at(self.progressed, progress), End::Unread),
            (partial, End::SlowCommand),
            (at(self.received, self.idle), End::Idle),
        ]
    }
}

#[cfg(test)]
mod tests;
