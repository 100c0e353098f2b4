//! Larder: a coherent, multi-tier distributed cache.
