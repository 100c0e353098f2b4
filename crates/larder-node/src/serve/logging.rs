//! Logs: one line per change of state, on stderr. Never keys, values or secrets.

use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;

use crate::settings::{LogFormat, LogSettings};

/// Sends what is traced to stderr. Called once.
pub(crate) fn start(settings: &LogSettings) {
    let level: LevelFilter = settings.level.parse().unwrap_or(LevelFilter::INFO);
    let lines = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(stderr);
    let is_json = match settings.format {
        LogFormat::Auto => !stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    // Fails only if there is a subscriber already, which then receives everything.
    let _ = if is_json {
        lines.json().flatten_event(true).try_init()
    } else {
        lines.with_target(false).try_init()
    };
}

/// Says something to people, or to the programs that read in their place.
pub(super) fn say(settings: &LogSettings, line: &str) {
    if is_for_programs(settings) {
        tracing::info!("{line}");
    } else {
        eprintln!("larder: {line}");
    }
}

/// Whether only programs read what is logged: then the banner is a log line too.
pub(super) fn is_for_programs(settings: &LogSettings) -> bool {
    settings.format == LogFormat::Json
}
