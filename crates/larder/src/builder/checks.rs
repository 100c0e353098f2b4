//! What is wrong with settings, all at once.

use std::sync::Arc;

use larder_core::error::{Error, ErrorKind};
use larder_core::store::Store;

use crate::epoch::Epoch;
use crate::mode::Mode;
use crate::near::View;
use crate::options::{Refresh, RefreshPolicy};

pub(super) fn check_leases(
    refresh: Option<RefreshPolicy>,
    remote: Option<&Option<Arc<dyn Store>>>,
    wrong: &mut Wrong,
) {
    let store = refresh.and(remote).and_then(Option::as_ref);
    if store.is_some_and(|store| store.describe().leases.is_none()) {
        wrong.add("refresh needs leases, which the plain layout does not have");
    }
}

pub(super) fn refresh_setting(refresh: &Refresh, wrong: &mut Wrong) -> Option<RefreshPolicy> {
    let early = wrong.unwrap(refresh.early.clone().map_err(named("refresh")));
    let retry = wrong.positive("refresh retry", refresh.retry.clone());
    if refresh.limit == 0 {
        wrong.add("refresh limit: must be more than zero");
    }
    Some(RefreshPolicy {
        early: early?,
        serves_stale: refresh.serves_stale,
        retry: retry?,
        limit: refresh.limit,
    })
}

pub(super) fn named(setting: &'static str) -> impl Fn(String) -> String {
    move |error| format!("{setting}: {error}")
}

/// The errors found so far.
#[derive(Default)]
pub(super) struct Wrong(pub(super) Vec<String>);

impl Wrong {
    pub(super) fn add(&mut self, message: impl Into<String>) {
        self.0.push(message.into());
    }

    pub(super) fn unwrap<T>(&mut self, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.add(message)).ok()
    }

    pub(super) fn positive<T: Default + PartialEq>(
        &mut self,
        setting: &'static str,
        value: Result<T, String>,
    ) -> Option<T> {
        let value = self.unwrap(value.map_err(named(setting)))?;
        if value == T::default() {
            self.add(format!("{setting}: must be more than zero"));
        }
        Some(value)
    }

    pub(super) fn error(self, name: &str) -> Error {
        Error::new(
            ErrorKind::Config,
            format!("the cache {name:?} cannot be built: {}", self.0.join("; ")),
        )
    }
}

/// Whether near copies need somebody to vouch for them.
pub(super) fn view(remote: Option<&dyn Store>, mode: Mode) -> View {
    let on_bus = remote.is_some_and(|store| store.describe().bus.is_some());
    let epoch = Epoch::of(remote.is_some());
    if on_bus && mode != Mode::None {
        View::fenced(epoch)
    } else {
        View::unfenced(epoch)
    }
}
