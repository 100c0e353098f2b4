//! Locks for users, and the fencing tokens by which a resource refuses a late holder.
//!
//! A lock ends by itself after its ttl, so that a holder that dies makes nobody wait for ever. A
//! holder that only stood still (a paused process, a long collection of garbage) does not know that
//! its lock has ended, and no lock can tell it in time. What stops it is the resource: each lock that
//! is given bears a number greater than all before it, and a resource that has seen the greater one
//! refuses the smaller one (Kleppmann, "How to do distributed locking", 2016).
//!
//! [`Locks`] is a capability of a store. The store gives the tokens, and is itself a resource that
//! looks at them ([`Locks::commit_fenced`]).

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::runtime::{BoxFuture, Mono};
use crate::store::{Batch, Outcomes, Pending};
use crate::version::Version;

/// The shortest life of a lock: less than this, the way to the store may take.
pub const MIN_TTL: Duration = Duration::from_millis(10);
/// The longest life of a lock without being renewed, a day: so long may a dead holder stand in the
/// way.
pub const MAX_TTL: Duration = Duration::from_secs(86_400);

/// Keys whose greatest token a store remembers at least, each by itself. Of more, those that were
/// written longest ago are forgotten together, and then every token from before that time is refused.
pub const FENCES: usize = 65_536;

/// The number of one lock that was given: greater than that of every lock that the same store gave
/// before, whatever its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FencingToken(u64);

impl FencingToken {
    /// Smaller than every token that is given.
    pub const ZERO: FencingToken = FencingToken(0);

    /// The token of this number, which came from [`FencingToken::get`]: to carry one from process
    /// to process. Numbers of another origin are refused by stores.
    pub const fn from_number(number: u64) -> FencingToken {
        FencingToken(number)
    }

    /// The number, for resources that compare it themselves. Below 2^53.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The token of a lock that is given at `now_us`, by a store whose greatest token was `last`,
    /// to somebody who has seen `seen`.
    pub fn next(now_us: u64, last: FencingToken, seen: FencingToken) -> FencingToken {
        FencingToken(Version::next(now_us, Version(last.0), Version(seen.0)).0)
    }
}

impl fmt::Debug for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "token {}", self.0)
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Who holds a lock: a random number that nobody else draws. It is what a lock is given back by, so
/// it is not for logs.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner(u128);

impl Owner {
    /// An owner from two random numbers.
    pub fn from_random(first: u64, second: u64) -> Owner {
        Owner(u128::from(first) << 64 | u128::from(second))
    }

    /// The owner in 32 hexadecimal digits.
    pub fn to_text(self) -> String {
        format!("{:032x}", self.0)
    }

    /// What [`Owner::to_text`] has written.
    pub fn from_text(text: &str) -> Option<Owner> {
        let is_digits = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let number = is_digits.then(|| u128::from_str_radix(text, 16).ok());
        number.flatten().map(Owner)
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owner(..)")
    }
}

/// The answer to who asks for a lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acquired {
    /// The lock is held by who asked, for its ttl from the moment at which the store answered.
    Held(FencingToken),
    /// Somebody else holds it for this much longer, unless it is renewed or given back.
    Taken(Duration),
}

/// What came of changes that bear a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fenced {
    /// They took place.
    Done(Outcomes),
    /// None took place: the token is older than one that was seen, or nobody can tell any more.
    Refused,
}

/// Locks with fencing tokens, in a store. Names of locks are stored keys of the system
/// ([`lock_key`]); no user key is one.
pub trait Locks: Send + Sync {
    /// Asks for a lock for `ttl`. Its owner, asking again, is given it again with the same token.
    /// A failed or dropped request may leave the lock taken; it ends by itself. One round trip.
    ///
    /// `seen` is the greatest token that the caller knows of, and the new one is greater: so tokens
    /// go on rising for those who have seen them, even where a store has lost its memory and its
    /// clock was set back.
    fn acquire<'a>(
        &'a self,
        name: &'a Bytes,
        owner: Owner,
        ttl: Duration,
        seen: FencingToken,
    ) -> Pending<'a, Acquired>;

    /// Makes a lock last `ttl` from now. `false`: it is not the owner's any more, or its token is
    /// refused by now; it does not come back. One round trip.
    fn prolong<'a>(&'a self, name: &'a Bytes, owner: Owner, ttl: Duration) -> Pending<'a, bool>;

    /// Gives a lock back, and tells who waits. `false`: it was not the owner's any more, and nothing
    /// happened. One round trip.
    fn release<'a>(&'a self, name: &'a Bytes, owner: Owner) -> Pending<'a, bool>;

    /// Changes keys as [`Store::commit`](crate::store::Store::commit) does, unless a greater token
    /// than this was seen for `key`; the token counts as seen from then on. The batch is without
    /// checks and within one script call. One round trip.
    ///
    /// Refused as well is a token that this store cannot vouch for: given before it lost its memory,
    /// before its server was started, before so many other keys were written that it was forgotten
    /// ([`FENCES`]), or by somebody else.
    fn commit_fenced<'a>(
        &'a self,
        key: &'a Bytes,
        token: FencingToken,
        batch: Batch,
    ) -> Pending<'a, Fenced>;

    /// From now on, the names of locks as they are given back. Some may be missing: nothing but
    /// how soon somebody who waits looks again hangs on it.
    fn releases(&self) -> Pending<'_, Box<dyn Releases>>;
}

/// Names of locks that were given back.
pub trait Releases: Send {
    /// The next one; `None` once no more are told. Dropping the future loses nothing.
    fn next(&mut self) -> BoxFuture<'_, Option<Bytes>>;
}

/// The stored key of the lock `name` (`<namespace>:<entity>:<id>`).
pub fn lock_key(name: &[u8]) -> Bytes {
    crate::space::system_key_of(b"lock:", name)
}

/// Until when the holder of a lock may rely on it that was asked for at `sent`: a tenth earlier than
/// the store ends it, because clocks go at different speeds, and what the holder does next takes its
/// time.
pub fn relied_until(sent: Mono, ttl: Duration) -> Mono {
    sent.after(ttl - ttl / 10)
}

/// When a lock of this ttl that is renewed is renewed next: early enough for one more try.
pub fn renewed_after(ttl: Duration) -> Duration {
    ttl / 3
}

/// The first, and the longest, pause of who waits for a lock and hears nothing.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));

/// How long to wait for a lock before looking again, after so many looks, if the holder has it for
/// `remaining` unless it is renewed. Half of it is by lot, so that those who wait do not come
/// together; and it is never longer than half a second, because word of a release may be lost.
pub fn pause(looks: u32, remaining: Duration, random: u64) -> Duration {
    let (first, longest) = PAUSES;
    let most = first.saturating_mul(1 << looks.min(10)).min(longest);
    let share = (random >> 11) as f64 / (1_u64 << 53) as f64;
    let pause = most / 2 + (most / 2).mul_f64(share);
    pause.min(remaining.max(Duration::from_millis(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_rise_whatever_the_clock_does() {
        let last = FencingToken(100);
        assert_eq!(FencingToken::next(50, last, FencingToken::ZERO).get(), 101);
        assert_eq!(FencingToken::next(500, last, FencingToken::ZERO).get(), 500);
        // The store has forgotten, and its clock was set back.
        let forgotten = FencingToken::next(50, FencingToken::ZERO, last);
        assert_eq!(forgotten.get(), 101);
    }

    #[test]
    fn an_owner_comes_back_from_its_text_and_from_nothing_else() {
        let owner = Owner::from_random(3, u64::MAX);
        assert_eq!(owner.to_text(), "0000000000000003ffffffffffffffff");
        assert_eq!(Owner::from_text(&owner.to_text()), Some(owner));
        for text in ["", "3", "+000000000000003ffffffffffffffff"] {
            assert_eq!(Owner::from_text(text), None, "{text}");
        }
        assert_eq!(format!("{owner:?}"), "Owner(..)");
    }

    #[test]
    fn a_holder_relies_on_less_than_the_store_gives() {
        let until = relied_until(Mono(5_000_000_000), Duration::from_secs(10));
        assert_eq!(until, Mono(14_000_000_000));
    }

    #[test]
    fn pauses_grow_and_are_bounded_by_half_a_second_and_by_what_remains() {
        let hour = Duration::from_secs(3_600);
        for looks in 0..40 {
            let (least, most) = (pause(looks, hour, 0), pause(looks, hour, u64::MAX));
            assert!(Duration::from_millis(5) <= least && least < most);
            assert!(most <= Duration::from_millis(500));
        }
        assert!(pause(0, hour, u64::MAX) < pause(8, hour, 0));
        let short = Duration::from_millis(3);
        assert_eq!(pause(9, short, 0), short);
        assert_eq!(pause(9, Duration::ZERO, 0), Duration::from_millis(1));
    }
}
