//! The pure centre of Larder: words and decisions, without I/O, clock reads or randomness.
