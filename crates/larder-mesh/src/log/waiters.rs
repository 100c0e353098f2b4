//! Who waits for changes to be acknowledged.

use std::collections::BTreeMap;

use larder_core::error::{Error, ErrorKind, Result};
use larder_core::mutant::Mutant;
use tokio::sync::oneshot;

/// Those who wait, by the number of their change.
#[derive(Default)]
pub(super) struct Waiters {
    waiting: BTreeMap<u64, Vec<oneshot::Sender<Result<()>>>>,
    /// Everything up to here is acknowledged.
    acknowledged: u64,
    /// Everything up to here that is not acknowledged was given up.
    given_up: u64,
    is_closed: bool,
}

/// One who waits.
pub(super) enum Waiting {
    Known(Result<()>),
    Told(oneshot::Receiver<Result<()>>),
}

impl Waiting {
    pub(super) async fn of(self) -> Result<()> {
        match self {
            Waiting::Known(result) => result,
            Waiting::Told(told) => told.await.unwrap_or_else(|_| Err(closed())),
        }
    }
}

impl Waiters {
    pub(super) fn wait(&mut self, seq: u64) -> Waiting {
        if seq <= self.acknowledged {
            return Waiting::Known(Ok(()));
        }
        if seq <= self.given_up {
            return Waiting::Known(Err(late()));
        }
        if self.is_closed {
            return Waiting::Known(Err(closed()));
        }
        let (tell, told) = oneshot::channel();
        self.waiting.entry(seq).or_default().push(tell);
        Waiting::Told(told)
    }

    pub(super) fn acknowledge(&mut self, seq: u64) {
        self.acknowledged = self.acknowledged.max(seq);
        self.tell(seq, || Ok(()));
    }

    pub(super) fn give_up(&mut self, seq: u64) {
        if Mutant::LateIsDone.is_active() {
            return self.acknowledge(seq);
        }
        self.given_up = self.given_up.max(seq);
        self.tell(seq, || Err(late()));
    }

    pub(super) fn close(&mut self) {
        self.is_closed = true;
        self.tell(u64::MAX, || Err(closed()));
    }

    /// Tells everybody up to a number.
    fn tell(&mut self, seq: u64, what: impl Fn() -> Result<()>) {
        let later = match seq.checked_add(1) {
            Some(next) => self.waiting.split_off(&next),
            None => BTreeMap::new(),
        };
        let done = std::mem::replace(&mut self.waiting, later);
        for tell in done.into_values().flatten() {
            // An error only says that nobody waits any more.
            let _ = tell.send(what());
        }
    }
}

fn late() -> Error {
    let message = "not enough members of the mesh have acknowledged the change in time; it goes on \
                   being delivered, and may be repeated";
    Error::new(ErrorKind::Timeout, message)
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the mesh has shut down")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(waiting: Waiting) -> Option<Result<(), ErrorKind>> {
        let result = match waiting {
            Waiting::Known(result) => Some(result),
            Waiting::Told(mut told) => told.try_recv().ok(),
        };
        result.map(|result| result.map_err(|error| error.kind()))
    }

    #[test]
    fn whoever_waits_is_told_once_and_in_order() {
        let mut waiters = Waiters::default();
        let [one, two, three, four] = [1, 2, 3, 4].map(|seq| waiters.wait(seq));
        waiters.acknowledge(1);
        waiters.give_up(2);
        assert_eq!(told(one), Some(Ok(())));
        assert_eq!(told(two), Some(Err(ErrorKind::Timeout)));
        assert_eq!(told(three), None);
        // What comes late is told what is known.
        assert_eq!(told(waiters.wait(1)), Some(Ok(())));
        assert_eq!(told(waiters.wait(2)), Some(Err(ErrorKind::Timeout)));
        waiters.acknowledge(3);
        assert_eq!(
            told(waiters.wait(2)),
            Some(Ok(())),
            "acknowledged after all"
        );
        waiters.close();
        assert_eq!(told(four), Some(Err(ErrorKind::Closed)));
        assert_eq!(told(waiters.wait(5)), Some(Err(ErrorKind::Closed)));
    }
}
