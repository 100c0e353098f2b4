//! Larder's remote tier on one Redis or Valkey server.
