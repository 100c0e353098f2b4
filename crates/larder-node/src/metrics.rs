//! What the node counts, and how it is exported.
