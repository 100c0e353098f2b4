//! What can be the remote tier of a cache.

use std::sync::Arc;

use larder_core::codec::CodecId;
use larder_core::error::{Error, ErrorKind, Result};
use larder_core::runtime::Runtime;
use larder_core::store::Store;

use crate::embedded::Embedded;

/// How values lie in the remote tier.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Layout {
    /// In an envelope with version, lease and checksum: every promise of Larder holds.
    #[default]
    Enveloped,
    /// As they are, so that programs in other languages can read and write them (choose JSON as
    /// the codec). There are no versions and no leases: a load that races a change in another
    /// process, or ends while a change in its own is under way, may put the old value back until
    /// its ttl ends; nothing stale is kept for fail-safe in the remote tier; and a damaged value
    /// is noticed only if it does not decode.
    Plain,
}

/// What a store is opened for.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Opening<'a> {
    /// How values are to lie there.
    pub layout: Layout,
    /// What they are encoded with; in the plain layout, nothing there says so.
    pub codec: CodecId,
    /// The surroundings.
    pub runtime: &'a Arc<dyn Runtime>,
}

impl<'a> Opening<'a> {
    /// Opens for values of `codec` in `layout`.
    pub fn new(layout: Layout, codec: CodecId, runtime: &'a Arc<dyn Runtime>) -> Opening<'a> {
        Opening {
            layout,
            codec,
            runtime,
        }
    }
}

/// Something that a cache can store into: a server's address, or a store.
pub trait Remote: Send {
    /// Opens the store. Does no I/O: connections are made when they are needed, so that a dead
    /// server never blocks a start.
    fn open(self: Box<Self>, how: Opening<'_>) -> Result<Arc<dyn Store>>;
}

impl Remote for Embedded {
    fn open(self: Box<Self>, how: Opening<'_>) -> Result<Arc<dyn Store>> {
        enveloped_only("the embedded store", how.layout)?;
        Ok(Arc::new(*self))
    }
}

impl Remote for Arc<dyn Store> {
    fn open(self: Box<Self>, how: Opening<'_>) -> Result<Arc<dyn Store>> {
        enveloped_only("a store that is open already", how.layout)?;
        Ok(*self)
    }
}

#[cfg(feature = "redis")]
impl Remote for larder_redis::Redis {
    fn open(self: Box<Self>, how: Opening<'_>) -> Result<Arc<dyn Store>> {
        let runtime = how.runtime.clone();
        Ok(match how.layout {
            Layout::Enveloped => Arc::new(self.store(runtime)),
            Layout::Plain => Arc::new(self.plain_store(runtime, how.codec)),
        })
    }
}

pub(crate) fn enveloped_only(what: &str, layout: Layout) -> Result<()> {
    match layout {
        Layout::Enveloped => Ok(()),
        Layout::Plain => Err(Error::new(
            ErrorKind::Config,
            format!("{what} has no plain layout; only a server that others use has one"),
        )),
    }
}
