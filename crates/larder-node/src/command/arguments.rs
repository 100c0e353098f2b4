//! Arguments of a command, read as what they stand for.

use std::time::Duration;

use bytes::Bytes;
use larder::bytes::Database;
use larder_core::limits::MAX_KEY_BYTES;
use larder_core::record::Life;
use larder_resp::number;

use super::{Call, Failure};

impl<'a> Call<'a> {
    pub(super) fn argc(&self) -> usize {
        self.request.argc()
    }

    /// An argument that the arity, or a check of `argc`, says is there.
    pub(super) fn argument(&self, at: usize) -> &'a [u8] {
        &self.request[at]
    }

    /// An argument that may be missing.
    pub(super) fn argument_at(&self, at: usize) -> Option<&'a [u8]> {
        (at < self.argc()).then(|| self.argument(at))
    }

    /// One that is there, to be kept beyond the command.
    pub(super) fn value(&self, at: usize) -> Bytes {
        self.request.bytes(at).unwrap_or_default()
    }

    pub(super) fn key(&self, at: usize) -> Result<Bytes, Failure> {
        let key = self.value(at);
        if key.len() > MAX_KEY_BYTES {
            return Err(Failure::new(format!(
                "ERR key is longer than {MAX_KEY_BYTES} bytes"
            )));
        }
        Ok(key)
    }

    /// Keys from `first` to the end, every `step`th argument.
    pub(super) fn keys(&self, first: usize, step: usize) -> Result<Vec<Bytes>, Failure> {
        (first..self.argc())
            .step_by(step)
            .map(|at| self.key(at))
            .collect()
    }

    pub(super) fn integer(&self, at: usize) -> Result<i64, Failure> {
        number::parse_i64(self.argument(at)).ok_or(Failure::INTEGER)
    }

    /// A time in milliseconds.
    pub(super) fn millis(&self, at: usize) -> Result<Duration, Failure> {
        let ms = u64::try_from(self.integer(at)?);
        ms.map(Duration::from_millis).map_err(|_| Failure::INTEGER)
    }

    /// The number in an argument that says how many others follow it.
    pub(super) fn count_of(&self, at: usize, what: &str) -> Result<usize, Failure> {
        let left = self.argc() - at - 1;
        let count = usize::try_from(self.integer(at)?).unwrap_or(0);
        if count == 0 || count > left {
            return Err(Failure::new(format!(
                "ERR the number of {what} must be at least 1, and as many must follow; {left} do"
            )));
        }
        Ok(count)
    }

    /// An argument that is text.
    pub(super) fn text(&self, at: usize, what: &str) -> Result<String, Failure> {
        let text = std::str::from_utf8(self.argument(at));
        let refuse = |_| Failure::new(format!("ERR {what} must be UTF-8"));
        text.map(str::to_owned).map_err(refuse)
    }

    /// Whether an argument is this word, in any case.
    pub(super) fn is(&self, at: usize, word: &str) -> bool {
        self.argument(at).eq_ignore_ascii_case(word.as_bytes())
    }

    /// The database that the connection has selected.
    pub(super) fn database(&self) -> &Database {
        self.session.database()
    }

    /// The life of a plain write.
    pub(super) fn life_of(&self, key: &[u8]) -> Life {
        self.session.shared.lives.of(key)
    }

    /// Counts lookups for values.
    pub(super) fn count_reads(&self, hits: u64, misses: u64) {
        let metrics = &self.session.shared.node.metrics;
        metrics.reads(hits, misses);
    }
}
