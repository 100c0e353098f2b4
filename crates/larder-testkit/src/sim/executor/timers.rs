//! What waits for a moment in virtual time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use larder_core::runtime::Runtime;

use super::SimRuntime;

/// Those who wait, each at a place of its own until its moment comes or it no longer cares.
#[derive(Default)]
pub(super) struct Timers {
    /// Moment, number, place.
    due: BinaryHeap<Reverse<(u64, u64, usize)>>,
    /// Number of the timer that has the place, and who is to be woken.
    places: Vec<(u64, Option<Waker>)>,
    free: Vec<usize>,
    started: u64,
}

/// A timer's number and place.
pub(super) type Timer = (u64, usize);

impl Timers {
    pub(super) fn add(&mut self, until: u64, waker: Waker) -> Timer {
        self.started += 1;
        let number = self.started;
        let at = match self.free.pop() {
            Some(at) => {
                self.places[at] = (number, Some(waker));
                at
            }
            None => {
                self.places.push((number, Some(waker)));
                self.places.len() - 1
            }
        };
        self.due.push(Reverse((until, number, at)));
        (number, at)
    }

    /// Another task waits now.
    fn pass_on(&mut self, (number, at): Timer, waker: &Waker) {
        if let Some((holder, Some(known))) = self.places.get_mut(at)
            && *holder == number
        {
            known.clone_from(waker);
        }
    }

    fn give_up(&mut self, (number, at): Timer) -> Option<Waker> {
        let (holder, waker) = self.places.get_mut(at)?;
        if *holder != number {
            return None;
        }
        *holder = 0;
        self.free.push(at);
        waker.take()
    }

    /// The next moment for which somebody still waits, and who.
    pub(super) fn next(&mut self) -> Option<(u64, Waker)> {
        loop {
            let Reverse((until, number, at)) = self.due.pop()?;
            if let Some(waker) = self.give_up((number, at)) {
                return Some((until, waker));
            }
        }
    }
}

/// Done at a moment.
pub(in crate::sim) struct Sleep {
    runtime: SimRuntime,
    until: u64,
    timer: Option<Timer>,
}

impl Sleep {
    pub(super) fn new(runtime: SimRuntime, until: u64) -> Sleep {
        Sleep {
            runtime,
            until,
            timer: None,
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.runtime.now().0 >= self.until {
            return Poll::Ready(());
        }
        match self.timer {
            Some(timer) => self.runtime.state().timers.pass_on(timer, cx.waker()),
            None => {
                let waker = cx.waker().clone();
                let timer = self.runtime.state().timers.add(self.until, waker);
                self.timer = Some(timer);
            }
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer
            && self.runtime.now().0 < self.until
        {
            let waker = self.runtime.state().timers.give_up(timer);
            drop(waker);
        }
    }
}
