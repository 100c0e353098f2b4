//! Stories that end well, and would not without a rule.

use std::panic::{AssertUnwindSafe, catch_unwind};

use larder::core::mutant::{Mutant, activate};

use super::{Network, on_a_network};

/// The story ends well under every seed, and under some of them not without the rule.
pub(crate) fn needs<F>(rule: Mutant, story: fn(Network) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    on_a_network(story);
    let _out = activate(Some(rule));
    let told = catch_unwind(AssertUnwindSafe(|| on_a_network(story)));
    assert!(told.is_err(), "nobody missed {rule:?}");
}

/// The same with a story that takes place in one order, on this thread.
pub(crate) fn needs_alone<F>(rule: Mutant, story: fn() -> F)
where
    F: Future<Output = ()>,
{
    let tell = || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().build().unwrap();
        runtime.block_on(async { story().await });
    };
    tell();
    let _out = activate(Some(rule));
    assert!(catch_unwind(tell).is_err(), "nobody missed {rule:?}");
}
