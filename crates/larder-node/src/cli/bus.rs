//! `larder bus`: looking at the log by which near caches are kept together.

use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};
use larder_core::units::parse_duration;

use super::{Action, ServeArgs, configured, help, serve_args};

/// How to show who reads the log.
#[derive(Debug)]
pub(crate) struct PingArgs {
    /// The node's configuration: it says where the log is.
    pub(crate) node: ServeArgs,
    /// For programs.
    pub(crate) json: bool,
    /// How long readers may take.
    pub(crate) wait: Duration,
}

pub(super) fn command() -> Command {
    let json = Arg::new("json")
        .long("json")
        .action(ArgAction::SetTrue)
        .help("Print one JSON object");
    let wait = Arg::new("wait")
        .long("wait")
        .value_name("TIME")
        .default_value("2s")
        .hide_default_value(true)
        .help("How long readers may take [default: 2s]");
    let ping = Command::new("ping")
        .about("Write a probe into the log, and show which near caches have applied it")
        .help_template(help::TEMPLATE)
        .before_help(help::PING_EXAMPLES)
        .after_help(help::PING_RESULT)
        .args([json, wait]);
    Command::new("bus")
        .about("Look at the log by which near caches are kept together")
        .help_template(help::TEMPLATE)
        .before_help(help::PING_EXAMPLES)
        .disable_help_subcommand(true)
        .subcommand_required(true)
        .subcommand(configured(ping))
}

pub(super) fn action(matches: &ArgMatches) -> Result<Action, String> {
    let Some((_, ping)) = matches.subcommand() else {
        return Err("larder bus needs a command – try larder bus ping".into());
    };
    let wait = ping.get_one::<String>("wait").map_or("2s", String::as_str);
    let wait = parse_duration(wait)
        .map_err(|problem| format!("--wait {wait:?} is no time – {problem}"))?;
    Ok(Action::Ping(PingArgs {
        node: serve_args(ping),
        json: ping.get_flag("json"),
        wait,
    }))
}
