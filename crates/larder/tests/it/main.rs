//! The library as its users see it, one topic a file.

mod support;

mod loads;
mod nodes;
mod races;
mod redis;
mod stale;
mod trouble;
mod verbs;
