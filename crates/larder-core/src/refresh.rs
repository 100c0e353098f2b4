//! When is a value loaded again, although it is still fresh? The only place that decides.

use std::time::Duration;

use crate::runtime::Mono;

/// A number drawn for [`Early::Chance`] gives at most this many times the load time: a random
/// number has 53 bits here, and the logarithm of the smallest one above zero is 53 ln 2.
const REACH: f64 = 36.75;

/// From when on reads of a fresh value begin a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum Early {
    /// Never: a value is loaded again once it is no longer fresh.
    #[default]
    Never,
    /// From so long after it was stored.
    After(Duration),
    /// From this part of its fresh life on: 0 is its beginning, 1 its end.
    Part(f64),
    /// By chance, the more likely the closer the end of the fresh life is and the longer the load
    /// takes: at a read `t` before the end it is `e^(-t / (load time × beta))`. This is XFetch, of
    /// Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache Stampede Prevention",
    /// PVLDB 8(8), 2015.
    Chance {
        /// 1 is what the paper shows to be best; more is earlier.
        beta: f64,
    },
}

impl Early {
    /// The first instant at which a read can begin a refresh; [`Mono::MAX`] for never. The value
    /// was stored at `created`, is fresh until `fresh_until` (`None`: for ever), and took `cost` to
    /// load, zero if that is not known.
    pub fn begins(self, created: Mono, fresh_until: Option<Mono>, cost: Duration) -> Mono {
        let end = fresh_until.unwrap_or(Mono::MAX);
        let begins = match self {
            Early::Never => return Mono::MAX,
            Early::After(after) => created.after(after),
            Early::Part(part) if fresh_until.is_some() => {
                let fresh_life = end.since(created).as_secs_f64();
                created.after(Duration::from_nanos(nanos(fresh_life * part)))
            }
            Early::Chance { beta } if fresh_until.is_some() && !cost.is_zero() => {
                Mono(end.0.saturating_sub(nanos(reach(cost, beta) * REACH)))
            }
            Early::Part(_) | Early::Chance { .. } => Mono::MAX,
        };
        // Reads after the end load anyway.
        if begins < end { begins } else { Mono::MAX }
    }

    /// Whether a read at `now` begins a refresh of a value for which [`Early::begins`] said `begins`.
    /// `random` is uniform over `u64`, and drawn only if it is needed.
    pub fn is_due(
        self,
        begins: Mono,
        cost: Duration,
        now: Mono,
        random: impl FnOnce() -> u64,
    ) -> bool {
        if now < begins || begins == Mono::MAX {
            return false;
        }
        match self {
            Early::Never => false,
            Early::After(_) | Early::Part(_) => true,
            Early::Chance { beta } => {
                // Above zero, and up to one.
                let drawn = ((random() >> 11) + 1) as f64 / (1u64 << 53) as f64;
                // The paper's rule is now - cost × beta × ln(drawn) >= end, where the end is
                // `REACH` times cost × beta after `begins`.
                now.since(begins).as_secs_f64() >= reach(cost, beta) * (REACH + drawn.ln())
            }
        }
    }
}

/// The load time, stretched, in seconds.
fn reach(cost: Duration, beta: f64) -> f64 {
    cost.as_secs_f64() * beta
}

fn nanos(seconds: f64) -> u64 {
    // Saturates, and takes what is no number for zero.
    (seconds * 1e9) as u64
}

#[cfg(test)]
mod tests;
