//! Near caches behind bad links to a real server. A writer on a sound link changes rows; readers
//! behind a [`larder_testkit::proxy::Proxy`] are held against what was acknowledged when.

mod dropped;
mod half_open;
mod late;
mod ledger;
mod reader;
mod slow;
mod torn;
