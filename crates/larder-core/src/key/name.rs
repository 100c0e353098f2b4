//! Names of namespaces and entities: checked, because programmers choose them.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::limits::MAX_NAME_BYTES;

/// The name of a cache: a namespace and, usually, an entity, joined by `:` (`app:users`).
///
/// Segments consist of ASCII letters, digits, `_`, `-` and `.`, and none is empty.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// Checks a name. The error says which character is wrong and where.
    pub fn new(name: &str) -> Result<Name> {
        let fail = |problem: String| {
            Err(Error::new(
                ErrorKind::Invalid,
                format!(
                    "the cache name {name:?} {problem}; a name is <namespace>:<entity>, each of \
                     letters, digits, '_', '-' and '.'"
                ),
            ))
        };
        if name.len() > MAX_NAME_BYTES {
            return fail(format!(
                "has {} bytes, more than {MAX_NAME_BYTES}",
                name.len()
            ));
        }
        if let Some((at, wrong)) = name
            .char_indices()
            .find(|(_, c)| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':')))
        {
            return fail(format!(
                "has the character {wrong:?} at position {}",
                at + 1
            ));
        }
        let mut at = 0;
        for segment in name.split(':') {
            if segment.is_empty() {
                return fail(format!("has an empty segment at position {}", at + 1));
            }
            at += segment.len() + 1;
        }
        Ok(Name(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
