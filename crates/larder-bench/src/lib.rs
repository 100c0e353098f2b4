//! Larder benchmarks and the competitors they are measured against.
