//! The library as its users see it, one topic a file.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

mod acknowledged;
mod answers;
mod api;
mod areas;
mod bus;
mod compute;
mod costs;
mod dependencies;
mod events;
mod guards;
mod links;
mod loads;
mod locks;
mod many;
mod meshed;
mod modes;
mod near;
mod nodes;
mod processes;
mod protect;
mod races;
mod redis;
mod refresh;
mod restarts;
mod room;
mod rules;
mod scenarios;
mod spared;
mod stale;
mod stress;
mod tags;
mod tickets;
mod trouble;
mod updates;
mod values;
mod verbs;
mod watched;
