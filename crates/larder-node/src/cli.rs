//! The command line: what is to be done, with which flags.
//!
//! Flags are not declared here but read from the table of settings, and their values are judged
//! by the configuration, so that a mistake in a flag reads like one in a file or a variable.

mod bus;
#[cfg(feature = "sqlite")]
mod demo;
mod help;
mod nodes;
mod problem;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::config::table::{Kind, Setting, TABLE};
use crate::config::{Flags, NAMED_PATTERN, NAMED_TTL};
pub(crate) use bus::PingArgs;
#[cfg(feature = "sqlite")]
pub(crate) use demo::{DemoArgs, DemoBus, NODE as DEMO_NODE, Shown};
pub(crate) use nodes::NodesArgs;

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Action {
    Serve(ServeArgs),
    Doctor(DoctorArgs),
    /// Show who reads the log.
    Ping(PingArgs),
    /// Show the nodes of the mesh.
    Nodes(NodesArgs),
    /// Show on this machine what all of it is good for.
    #[cfg(feature = "sqlite")]
    Demo(DemoArgs),
    /// Be one node of that.
    #[cfg(feature = "sqlite")]
    DemoNode,
    /// To be printed.
    Print(String),
}

/// How to serve.
#[derive(Debug, Default)]
pub(crate) struct ServeArgs {
    pub(crate) config: Option<PathBuf>,
    /// Only validate and print the configuration.
    pub(crate) check: bool,
    pub(crate) flags: Flags,
}

/// How to look at the server.
#[derive(Debug, Default)]
pub(crate) struct DoctorArgs {
    /// What `serve` would be given.
    pub(crate) serve: ServeArgs,
    /// For programs.
    pub(crate) json: bool,
}

/// Reads the arguments, the program's name included. The error is one line.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Action, String> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    // `larder --resp :7000` is `larder serve --resp :7000`.
    let first = arguments.get(1).and_then(|first| first.to_str());
    let is_flag = |first: &str| first.starts_with('-') && !help::ABOUT_ITSELF.contains(&first);
    if arguments.len() < 2 || first.is_some_and(is_flag) {
        arguments.insert(1.min(arguments.len()), "serve".into());
    }
    let name = arguments.get(1).cloned().unwrap_or_default();
    match command().try_get_matches_from(arguments) {
        Ok(matches) => action(&matches),
        Err(error) => problem::explain(&error, &name.to_string_lossy()),
    }
}

fn action(matches: &ArgMatches) -> Result<Action, String> {
    Ok(match matches.subcommand() {
        Some(("version", _)) => Action::Print(help::version()),
        Some(("doctor", doctor)) => Action::Doctor(DoctorArgs {
            serve: serve_args(doctor),
            json: doctor.get_flag("json"),
        }),
        Some(("bus", bus)) => bus::action(bus)?,
        Some(("nodes", nodes)) => nodes::action(nodes),
        #[cfg(feature = "sqlite")]
        Some(("demo", demo)) => Action::Demo(demo::args(demo)?),
        #[cfg(feature = "sqlite")]
        Some((demo::NODE, _)) => Action::DemoNode,
        Some((_, serve)) => Action::Serve(serve_args(serve)),
        None => Action::Serve(ServeArgs::default()),
    })
}

fn serve_args(matches: &ArgMatches) -> ServeArgs {
    let check = matches.try_get_one::<bool>("check").ok().flatten();
    ServeArgs {
        config: matches.get_one::<PathBuf>("config").cloned(),
        check: check.is_some_and(|check| *check),
        flags: flags(matches),
    }
}

/// The flags that were given, in the order of the table.
fn flags(matches: &ArgMatches) -> Flags {
    let names = TABLE.iter().map(|setting| setting.flag);
    let mut flags = Flags::new();
    for name in names.chain([NAMED_TTL, NAMED_PATTERN]) {
        let values = matches.get_many::<String>(name).into_iter().flatten();
        flags.extend(values.map(|value| (name.to_owned(), value.clone())));
    }
    flags
}

fn command() -> Command {
    let command = Command::new("larder")
        .bin_name("larder")
        .about("A coherent cache that Redis clients can talk to")
        .version(env!("CARGO_PKG_VERSION"))
        .help_template(help::TEMPLATE)
        .before_help(help::EXAMPLES)
        .disable_help_subcommand(true)
        .subcommand(serve())
        .subcommand(doctor())
        .subcommand(bus::command())
        .subcommand(nodes::command())
        .subcommand(
            Command::new("version")
                .about("Print the version")
                .help_template(help::TEMPLATE),
        );
    #[cfg(feature = "sqlite")]
    let command = command.subcommands([demo::command(), demo::node()]);
    command
}

fn config() -> Arg {
    Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help("Configuration file [default: larder.toml, if it exists]")
}

fn serve() -> Command {
    let check = Arg::new("check")
        .long("check")
        .action(ArgAction::SetTrue)
        .help("Validate the configuration, print it and exit");
    let serve = Command::new("serve")
        .about("Run a node (what `larder` alone does)")
        .help_template(help::TEMPLATE)
        .before_help(help::EXAMPLES)
        .after_help(help::PRECEDENCE);
    configured(serve).arg(check)
}

/// Adds everything by which a node is configured.
fn configured(command: Command) -> Command {
    let ttl = named(NAMED_TTL, "NAME=TIME", help::NAMED_TTL);
    let pattern = named(NAMED_PATTERN, "NAME=PATTERN", help::NAMED_PATTERN);
    command
        .arg(config())
        .args(TABLE.iter().map(flag))
        .args([ttl, pattern])
}

/// Takes every setting, so that the line that starts a node can be looked at; shows those that
/// matter to it.
fn doctor() -> Command {
    let json = Arg::new("json")
        .long("json")
        .action(ArgAction::SetTrue)
        .help("Print one JSON object instead of lines for people");
    let shown = |setting: &Setting| matches!(setting.flag, "type" | "url" | "pool-max-size");
    let hidden = [NAMED_TTL, NAMED_PATTERN].map(|name| named(name, "NAME=…", "").hide(true));
    Command::new("doctor")
        .about("Look at the configured server and say what to change")
        .help_template(help::TEMPLATE)
        .before_help(help::DOCTOR_EXAMPLES)
        .after_help(help::DOCTOR_CODES)
        .args([config(), json])
        .args(
            TABLE
                .iter()
                .map(|setting| flag(setting).hide(!shown(setting))),
        )
        .args(hidden)
}

fn flag(setting: &'static Setting) -> Arg {
    let value = match setting.kind {
        Kind::Bool => "BOOL",
        Kind::Choice(_) | Kind::Word => "WORD",
        Kind::Addr | Kind::OptionalAddr => "ADDR",
        Kind::Hosts | Kind::DnsNames => "HOSTS",
        Kind::Members => "LIST",
        Kind::Duration(_) => "TIME",
        Kind::Size(..) | Kind::Memory => "SIZE",
        Kind::Count(..) => "N",
        Kind::Names => "NAMES",
        Kind::Url | Kind::Outbox => "URL",
        Kind::Secret => "FILE",
    };
    let default = match setting.default {
        "" => String::new(),
        default => format!(" [default: {default}]"),
    };
    Arg::new(setting.flag)
        .long(setting.flag)
        .value_name(value)
        .allow_hyphen_values(false)
        .help(format!("{}{default}", setting.doc))
}

fn named(name: &'static str, value: &'static str, doc: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name(value)
        .action(ArgAction::Append)
        .help(doc)
}
