//! Names and numbers of nodes: cluster, node, id, incarnation, and the versions that a node reads.
//!
//! A name says who a node is and stays over restarts; an incarnation says which life of it. What
//! comes over the wire is checked here before anything else looks at it.

use std::fmt;

use aws_lc_rs::digest;
use larder_core::error::{Error, ErrorKind, Result};

/// Longest name of a node or a cluster, in bytes: the longest that DNS has.
pub const MAX_NAME_BYTES: usize = 253;

/// The name of a node: unique in its cluster, the same after a restart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeName(Box<str>);

/// The name of a cluster. Nodes of other clusters are refused.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClusterName(Box<str>);

impl NodeName {
    /// Takes `name` if it is one: 1 to 253 of the characters `a-z A-Z 0-9 . _ - @`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], with what is wrong.
    pub fn new(name: &str) -> Result<NodeName> {
        checked("node", name).map(NodeName)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number that stands for this name: the same on every node and in every life.
    pub fn id(&self) -> NodeId {
        let hash = digest::digest(&digest::SHA256, self.0.as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&hash.as_ref()[..8]);
        NodeId(u64::from_be_bytes(first))
    }
}

impl ClusterName {
    /// Takes `name` if it is one, by the rules of [`NodeName::new`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], with what is wrong.
    pub fn new(name: &str) -> Result<ClusterName> {
        checked("cluster", name).map(ClusterName)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn checked(what: &str, name: &str) -> Result<Box<str>> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.chars().all(is_allowed) {
        let message = format!(
            "{name:.64?} is no name of a {what}: 1 to {MAX_NAME_BYTES} of a-z A-Z 0-9 . _ - @"
        );
        return Err(Error::new(ErrorKind::Config, message));
    }
    Ok(name.into())
}

/// A node as a number: the first 64 bits of the SHA-256 of its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

/// Which life of a node: drawn at random when it starts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {:016x}", self.0)
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "incarnation {:016x}", self.0)
    }
}

/// The versions of messages that a node reads, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Versions {
    /// The oldest.
    pub oldest: u16,
    /// The newest, which it also writes if the other reads it.
    pub newest: u16,
}

impl Versions {
    /// What this build reads.
    pub const OURS: Versions = Versions {
        oldest: 1,
        newest: 1,
    };

    /// The newest version that both read; none if there is none.
    pub fn common(self, other: Versions) -> Option<u16> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest.max(other.oldest)).then_some(newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for good in ["a", "node-1", "kantox@10.0.0.1", &"x".repeat(253)] {
            assert_eq!(NodeName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "ä", "a\n", "a/b", &"x".repeat(254)] {
            let error = ClusterName::new(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
        }
    }

    #[test]
    fn the_id_of_a_name_never_changes() {
        // sha256("node1") begins so; other nodes compute the same.
        let id = NodeName::new("node1").unwrap().id();
        assert_eq!(id, NodeId(0xca12_f31b_8cbf_5f29), "{id:?}");
        assert_ne!(id, NodeName::new("node2").unwrap().id());
    }

    #[test]
    fn two_nodes_use_the_newest_version_that_both_read() {
        let of = |oldest, newest| Versions { oldest, newest };
        let rows = [
            (of(1, 1), of(1, 1), Some(1)),
            (of(1, 3), of(2, 5), Some(3)),
            (of(4, 4), of(1, 9), Some(4)),
            (of(1, 2), of(3, 4), None),
            (of(2, 1), of(1, 1), None),
        ];
        for (ours, theirs, common) in rows {
            assert_eq!(ours.common(theirs), common);
            assert_eq!(theirs.common(ours), common);
        }
    }
}
