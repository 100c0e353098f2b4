//! How the near caches of several nodes are kept together.

/// What other nodes do when this cache changes a value, and what it does when they do. Choose the
/// same for all nodes that share a cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// A change makes the near copies of other nodes void; whoever needs the value asks the remote
    /// tier.
    #[default]
    Invalidate,
    /// An inserted value travels to the other nodes with the word of its change, and takes the place
    /// of their near copies: they have it without asking. For values that are read on every node
    /// soon after they were written. Every inserted value then takes room in every near cache.
    ///
    /// Values of more than 64 KiB with their header, what does not fit into that together with
    /// others of the same call, values with tags, and loaded values do not travel: they are treated
    /// as by [`Mode::Invalidate`]. So is a value whose message was lost or overtaken.
    Update,
    /// The near cache follows nobody. A near copy is used until its near ttl has ended, whatever
    /// other nodes do meanwhile; what is changed through this very cache shows at once. Changes
    /// reach the remote tier, its log and the other nodes as usual. For values that may be stale, on
    /// nodes that shall not ask the remote tier four times a second.
    None,
}
