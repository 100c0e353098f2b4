//! The texts of the help.

/// Arguments that ask about the program instead of starting it.
pub(super) const ABOUT_ITSELF: [&str; 4] = ["-h", "--help", "-V", "--version"];

/// Examples first: most people who ask for help want a line to start from.
pub(super) const TEMPLATE: &str = "\
{before-help}{about-with-newline}
{usage-heading} {usage}

{all-args}{after-help}
";

pub(super) const EXAMPLES: &str = "\
Examples:
  larder serve                                        a node with defaults, on this machine only
  larder serve --type redis --url redis://cache:6379  a node in front of a Redis server
  larder serve --config larder.toml --check           validate a configuration and print it";

pub(super) const DOCTOR_EXAMPLES: &str = "\
Examples:
  larder doctor --url redis://cache:6379              look at this server
  larder doctor --config larder.toml                  look at the one that a node would use
  larder doctor --json                                the same for programs";

pub(super) const DOCTOR_CODES: &str = "\
Exit codes: 0 nothing is wrong, 1 a problem was found, 2 a mistake in the arguments or the
configuration, 5 the server cannot be reached. Takes all settings that `larder serve` takes.";
pub(super) const PING_EXAMPLES: &str = "\
Examples:
  larder bus ping                                     as larder.toml and the environment say
  larder bus ping --url redis://cache:6379            the log of this server
  larder bus ping --json --wait 5s                    for programs, with more patience";

pub(super) const PING_RESULT: &str = "\
Ends with 0 if all readers have applied the probe, 3 if some have not, 4 if the server refuses,
5 if it cannot be reached, and 2 after a mistake in the arguments or the configuration.";

pub(super) const NODES_EXAMPLES: &str = "\
Examples:
  larder nodes                                        of the node on port 6380 of this machine
  larder nodes --resp 127.0.0.1:6390 --json           of another one, for programs
  larder nodes connect 10.0.0.7:7400                  let it look for others there, too";

pub(super) const NODES_RESULT: &str = "\
seq is the newest change of each node that is applied by the one that is asked, lag how many more it
knows of. Ends with 0, 4 if the node refuses, 5 if it cannot be reached, and 2 after a mistake in the
arguments or the configuration.";

#[cfg(feature = "sqlite")]
pub(super) const DEMO_EXAMPLES: &str = "\
Examples:
  larder demo                                         three nodes, a mesh, twenty seconds
  larder demo --redis redis://127.0.0.1:6379          the same over a Redis server
  larder demo --bus off                               the control: nobody tells the others";

#[cfg(feature = "sqlite")]
pub(super) const DEMO_RESULT: &str = "\
Ends with 0 if no read was stale, every copy agrees with the database, near hits were 80 % or more
and enough happened to mean something; with 1 otherwise, 4 if the server refuses, 5 if it cannot be
reached, 130 when interrupted, and 2 after a mistake in the arguments.";

pub(super) const PRECEDENCE: &str = "\
Every setting is also a key of the file and a variable: --resp-max-clients is max_clients in
[resp] and CACHE_RESP_MAX_CLIENTS. Flags win over the environment, which wins over the file.";

pub(super) const NAMED_TTL: &str =
    "Life of keys NAME:… and …:NAME:…, also as CACHE_TTL_<NAME>; may be repeated";

pub(super) const NAMED_PATTERN: &str =
    "The keys that NAME covers instead, as a glob such as app:session:*; may be repeated";

pub(super) fn version() -> String {
    format!("larder {}\n", env!("CARGO_PKG_VERSION"))
}
