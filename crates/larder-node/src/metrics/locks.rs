//! What came of locks.

use larder::LockStats;

use super::export::CACHE;
use super::text::{Text, Type};

pub(super) fn export(stats: &LockStats, text: &mut Text) {
    let help = "Locks by what came of them: acquired, taken (somebody else had it all the time), \
                waited (for one, however that ended), renewed, released, lost (it was over before).";
    let mut family = text.family("cache_locks_total", Type::Counter, help);
    for (outcome, count) in [
        ("acquired", stats.acquired),
        ("taken", stats.taken),
        ("waited", stats.waited),
        ("renewed", stats.renewed),
        ("released", stats.released),
        ("lost", stats.lost),
    ] {
        family.sample(&[CACHE, ("outcome", outcome)], count);
    }
}
