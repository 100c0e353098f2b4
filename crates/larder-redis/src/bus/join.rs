//! Whether the log of the shard is one of this server: asked by every connection before its first
//! command, and by every poll.

use std::sync::Arc;

use bytes::Bytes;
use larder_core::bus::Reader;
use larder_core::runtime::Runtime;
use redis::Cmd;

use super::registry;
use crate::keys::Keys;
use crate::scripts::POLL;

/// Makes the question.
pub(crate) struct Join {
    shard: Bytes,
    log: Bytes,
    readers: Bytes,
    runtime: Arc<dyn Runtime>,
}

impl Join {
    pub(crate) fn new(keys: &Keys, runtime: Arc<dyn Runtime>) -> Join {
        Join {
            shard: keys.shard(),
            log: keys.log(),
            readers: keys.readers(),
            runtime,
        }
    }

    /// Begins the log if the shard has none.
    pub(crate) fn poll(&self, reader: &Reader) -> Cmd {
        let mut call = self.ask(POLL.call(3), true);
        call.arg(registry::name(reader));
        call.arg(if reader.leaves {
            String::new()
        } else {
            registry::read(reader)
        });
        call
    }

    /// With the text, because nobody reads the answer. A server that was started from a dump goes
    /// on with the dump's numbers: a change that is written after this has a new incarnation, and
    /// so its record is not mistaken for one that was lost with the old process. A refusal is no
    /// harm, for then polls are refused too.
    pub(crate) fn on_connect(&self) -> Cmd {
        let mut call = self.ask(POLL.call(3), false);
        call.arg("").arg("");
        POLL.with_text(&call)
    }

    fn ask(&self, mut call: Cmd, begin: bool) -> Cmd {
        // Below 2^53, so that scripts hold it exactly.
        let incarnation = (self.runtime.random() >> 11).max(1);
        call.arg(&self.shard[..]).arg(&self.log[..]);
        call.arg(&self.readers[..]);
        call.arg(incarnation).arg(u8::from(begin));
        call
    }
}
