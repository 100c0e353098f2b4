//! The one error type: what went wrong, and what a caller can do about it.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// `Result` with Larder's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about an error. Match on this, not on the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller gave something that can never work (a name, a key, an option). Do not retry.
    Invalid,
    /// Settings do not fit together, or one is out of range. Fix the configuration.
    Config,
    /// A server could not be reached or broke the connection. Whether a change took effect is
    /// unknown; changes may be repeated.
    Unavailable,
    /// No answer within the limit. Whether a change took effect is unknown.
    Timeout,
    /// A local limit (commands in flight, pool, concurrent loads) is reached. Retry later.
    Overloaded,
    /// A key or value is larger than the configured limit.
    TooLarge,
    /// A value could not be turned into bytes or back.
    Codec,
    /// Others changed the same keys again and again. Retry.
    Conflict,
    /// A fencing token is older than one that was seen, or nobody can vouch for it any more. Nothing
    /// was done. Do not retry: who has the token has lost its lock.
    Fenced,
    /// The server refused the command (permissions, wrong type, out of memory).
    Refused,
    /// The loader failed; [`Error::source`](StdError::source) is the loader's error.
    Load,
    /// The cache was closed.
    Closed,
}

impl ErrorKind {
    /// The kind as a metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Invalid => "invalid",
            ErrorKind::Config => "config",
            ErrorKind::Unavailable => "connection",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Overloaded => "overloaded",
            ErrorKind::TooLarge => "capacity",
            ErrorKind::Codec => "codec",
            ErrorKind::Conflict => "conflict",
            ErrorKind::Fenced => "fenced",
            ErrorKind::Refused => "refused",
            ErrorKind::Load => "loader",
            ErrorKind::Closed => "closed",
        }
    }
}

/// Why an operation failed. Cheap to clone; never holds a key's value or a secret.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; `message` says what, where and what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error(Arc::new(Inner {
            kind,
            message: message.into(),
            source: None,
        }))
    }

    /// The same with the error that caused it.
    pub fn with_source(
        kind: ErrorKind,
        message: impl Into<String>,
        source: Arc<dyn StdError + Send + Sync>,
    ) -> Error {
        Error(Arc::new(Inner {
            kind,
            message: message.into(),
            source: Some(source),
        }))
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What went wrong, without the cause.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match &self.0.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_ref()
            .map(|source| &**source as &(dyn StdError + 'static))
    }
}
