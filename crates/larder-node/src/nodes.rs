//! The nodes of the mesh as this one sees them: for the command, the HTTP port and the terminal.

mod ask;

use larder::mesh::{MeshStore, Standing};

pub(crate) use ask::nodes;

/// One node.
pub(crate) struct NodeRow {
    pub(crate) name: String,
    pub(crate) address: String,
    /// `self`, `alive`, `suspect` or `gone`.
    pub(crate) state: &'static str,
    /// The number of its newest change that is applied here.
    pub(crate) applied: u64,
    /// How many more of its changes are known to exist.
    pub(crate) lag: u64,
}

/// All nodes: this one first, then the others by name.
pub(crate) fn rows(mesh: &MeshStore) -> Vec<NodeRow> {
    let log = mesh.log();
    let links = log.mesh();
    let own = NodeRow {
        name: links.name().to_string(),
        address: links.address().to_string(),
        state: "self",
        applied: log.newest(),
        lag: 0,
    };
    let row = |standing: Standing| NodeRow {
        name: standing.member.name.to_string(),
        address: standing.member.address.to_string(),
        state: standing.member.state.as_str(),
        applied: standing.applied,
        lag: standing.lag,
    };
    let others = mesh.members().into_iter().map(row);
    std::iter::once(own).chain(others).collect()
}
