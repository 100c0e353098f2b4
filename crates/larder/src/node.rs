//! What a cache is called among those that share its remote tier.

use std::sync::Arc;

use larder_core::runtime::Runtime;

/// Longest name of a node, in bytes: each poll carries it.
pub(crate) const MAX_NODE_NAME: usize = 64;

/// Who makes changes and follows the log: one cache of one process.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Drawn once for each cache; never 0, which stands for nobody.
    pub(crate) number: u32,
    /// What people call it.
    pub(crate) name: Arc<str>,
}

impl Node {
    /// A node with the name that was given, or else one that tells processes apart.
    pub(crate) fn new(name: Option<&str>, runtime: &dyn Runtime) -> Node {
        let number = node_number(runtime);
        let name = match name {
            Some(name) => name.into(),
            None => format!("{}-{number:08x}", std::process::id()).into(),
        };
        Node { number, name }
    }
}

/// A number for a node.
pub(crate) fn node_number(runtime: &dyn Runtime) -> u32 {
    // The upper half: where the lower bits are weaker, these are not.
    u32::try_from(runtime.random() >> 32).map_or(1, |number| number.max(1))
}

/// What is wrong with a name, if anything is.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > MAX_NODE_NAME {
        return Err(format!(
            "node: the name has {} bytes; it must have 1 to {MAX_NODE_NAME}",
            name.len()
        ));
    }
    match name.chars().find(|c| c.is_control()) {
        Some(wrong) => Err(format!("node: the name has the character {wrong:?}")),
        None => Ok(()),
    }
}
