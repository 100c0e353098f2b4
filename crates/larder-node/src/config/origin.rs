//! Where a value comes from, for people.

use std::fmt;

/// The source of a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    Default,
    /// A line of the configuration file.
    File {
        name: String,
        line: usize,
    },
    /// A variable of the environment.
    Env(String),
    /// A flag, with its dashes.
    Flag(String),
    /// Follows from another setting.
    Follows(&'static str),
}

impl Origin {
    /// How an error begins that is about `path`, with `value` as it may be shown.
    pub(crate) fn blames(&self, path: &str, value: &str) -> String {
        match self {
            Origin::File { .. } => format!("{self}: {path} = {value}"),
            Origin::Env(name) => format!("{name}={value}"),
            Origin::Flag(flag) => format!("{flag} {value}"),
            Origin::Default | Origin::Follows(_) => format!("{path} = {value} ({self})"),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { name, line } => write!(f, "{name}:{line}"),
            Origin::Env(name) => write!(f, "env {name}"),
            Origin::Flag(flag) => write!(f, "flag {flag}"),
            Origin::Follows(path) => write!(f, "because {path} is set"),
        }
    }
}
