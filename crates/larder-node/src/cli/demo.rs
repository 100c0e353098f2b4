//! `larder demo`: what is shown, for how long, and over what.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};
use secrecy::SecretString;

use super::help;

/// The command by which the demo starts itself as one of its nodes.
pub(crate) const NODE: &str = "demo-node";

/// How long it runs, in seconds, if nothing is said, and what may be said. In less a node cannot be
/// killed, come back, and be seen to be right.
const SECONDS: u64 = 20;
const LEAST: u64 = 3;
const MOST: u64 = 3_600;

/// How the demo is run.
#[derive(Debug)]
pub(crate) struct DemoArgs {
    pub(crate) bus: DemoBus,
    pub(crate) seconds: u64,
    /// `None`: as fits what it is shown on.
    pub(crate) shown: Option<Shown>,
    /// Where the database and the logs stay.
    pub(crate) keep: Option<PathBuf>,
}

/// By what nodes hear of each other.
#[derive(Debug)]
pub(crate) enum DemoBus {
    Mesh,
    Redis(SecretString),
    Off,
}

/// How it is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shown {
    /// A table that is drawn again each second.
    Live,
    /// A line for each node and second.
    Plain,
    /// A JSON object for each second, and one in the end.
    Json,
}

pub(super) fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .action(ArgAction::SetTrue)
            .help(help)
    };
    let value = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Command::new("demo")
        .about("Show three nodes that keep their copies right, and check that they do")
        .help_template(help::TEMPLATE)
        .before_help(help::DEMO_EXAMPLES)
        .after_help(help::DEMO_RESULT)
        .args([
            value(
                "bus",
                "WORD",
                "How nodes hear of changes: mesh, or off [default: mesh]",
            ),
            value(
                "redis",
                "URL",
                "A Redis or Valkey server instead; its keys are removed in the end",
            ),
            value(
                "seconds",
                "N",
                "How long it runs, from 3 to 3600 [default: 20]",
            ),
            flag("plain", "Print a line for each node and second"),
            flag("json", "Print one JSON object each second, and a summary"),
            value(
                "keep",
                "DIR",
                "A new or empty folder in which the database and the logs stay",
            )
            .value_parser(clap::value_parser!(PathBuf)),
        ])
}

/// Not for people.
pub(super) fn node() -> Command {
    Command::new(NODE).hide(true)
}

pub(super) fn args(matches: &ArgMatches) -> Result<DemoArgs, String> {
    let text = |name| matches.get_one::<String>(name).map(String::as_str);
    let bus = match (text("bus"), text("redis")) {
        (Some(_), Some(_)) => {
            return Err("--redis is a bus of its own – leave out --bus".into());
        }
        (None | Some("mesh"), None) => DemoBus::Mesh,
        (Some("off"), None) => DemoBus::Off,
        (Some(other), None) => {
            return Err(format!("--bus {other:?} is unknown – write mesh or off"));
        }
        (None, Some(url)) => {
            crate::store::check_url(url).map_err(|problem| format!("--redis: {problem}"))?;
            DemoBus::Redis(url.into())
        }
    };
    let shown = match (matches.get_flag("plain"), matches.get_flag("json")) {
        (true, true) => return Err("--plain and --json exclude each other – keep one".into()),
        (true, false) => Some(Shown::Plain),
        (false, true) => Some(Shown::Json),
        (false, false) => None,
    };
    Ok(DemoArgs {
        bus,
        seconds: text("seconds").map_or(Ok(SECONDS), seconds)?,
        shown,
        keep: matches.get_one::<PathBuf>("keep").cloned(),
    })
}

fn seconds(text: &str) -> Result<u64, String> {
    let seconds = text.parse().ok();
    seconds
        .filter(|seconds| (LEAST..=MOST).contains(seconds))
        .ok_or_else(|| format!("--seconds {text:?} is no number from {LEAST} to {MOST}"))
}
