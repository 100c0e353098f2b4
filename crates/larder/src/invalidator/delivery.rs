//! What became of the notices of one transaction.

use larder_core::error::{Error, Result};
use larder_core::outbox::{Notice, Outbox};

/// What became of notices that a writer carried out itself. The change of the source was committed
/// before; do not repeat it because of this.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Delivery {
    /// Everything is invalidated, and the notices are deleted.
    Done,
    /// Everything is invalidated, but the notices could not be deleted: somebody will carry them out
    /// once more.
    Lingers(Error),
    /// Something could not be invalidated, for this reason. Its notices are in the outbox, and
    /// whoever takes notices from it goes on trying. Until then readers may see the old value.
    Left(Error),
}

impl Delivery {
    /// Whether everything is invalidated: no later read through the caches of this process gives
    /// what the transaction has replaced.
    pub fn is_invalidated(&self) -> bool {
        !matches!(self, Delivery::Left(_))
    }
}

/// Deletes the notices that were carried out.
pub(super) async fn conclude(
    outbox: &dyn Outbox,
    notices: &[Notice],
    outcome: impl Fn(&Notice) -> Result<()>,
) -> Delivery {
    let mut done = Vec::with_capacity(notices.len());
    let mut left = None;
    for notice in notices {
        match outcome(notice) {
            Ok(()) => done.push(notice.id),
            Err(error) => left = left.or(Some(error)),
        }
    }
    let deleted = match done.is_empty() {
        true => Ok(()),
        false => outbox.done(&done).await,
    };
    match (left, deleted) {
        (Some(error), _) => Delivery::Left(error),
        (None, Err(error)) => Delivery::Lingers(error),
        (None, Ok(())) => Delivery::Done,
    }
}
