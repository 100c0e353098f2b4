//! `larder nodes`: who belongs to the mesh of a running node.

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{Action, ServeArgs, configured, help, serve_args};

/// What is asked of a running node.
#[derive(Debug)]
pub(crate) struct NodesArgs {
    /// The node's configuration: it says where the node is.
    pub(crate) node: ServeArgs,
    /// For programs.
    pub(crate) json: bool,
    /// An address that it is to dial, instead of a list.
    pub(crate) connect: Option<String>,
}

pub(super) fn command() -> Command {
    let json = Arg::new("json")
        .long("json")
        .action(ArgAction::SetTrue)
        .help("Print one JSON object");
    let address = Arg::new("address")
        .value_name("ADDR")
        .required(true)
        .help("Where another node listens for others");
    let connect = Command::new("connect")
        .about("Let the node dial one more address, now and again until somebody is there")
        .help_template(help::TEMPLATE)
        .before_help(help::NODES_EXAMPLES)
        .arg(address);
    configured(Command::new("nodes"))
        .about("Show the nodes of the mesh, as the running node sees them")
        .help_template(help::TEMPLATE)
        .before_help(help::NODES_EXAMPLES)
        .after_help(help::NODES_RESULT)
        .disable_help_subcommand(true)
        .args_conflicts_with_subcommands(true)
        .arg(json)
        .subcommand(configured(connect))
}

pub(super) fn action(matches: &ArgMatches) -> Action {
    Action::Nodes(match matches.subcommand() {
        Some((_, connect)) => NodesArgs {
            node: serve_args(connect),
            json: false,
            connect: connect.get_one::<String>("address").cloned(),
        },
        None => NodesArgs {
            node: serve_args(matches),
            json: matches.get_flag("json"),
            connect: None,
        },
    })
}
