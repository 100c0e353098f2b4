//! Mistakes on the command line, each on one line: what, why, what to do.

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Action;
use crate::config::nearest;

const COMMANDS: [&str; 4] = ["serve", "doctor", "bus ping", "version"];

const HELP: &str = "larder serve --help lists all flags";

/// Turns what clap says into one line, or into the help that was asked for.
pub(super) fn explain(error: &Error) -> Result<Action, String> {
    let context = |kind| error.get(kind).map(ContextValue::to_string);
    let argument = context(ContextKind::InvalidArg).unwrap_or_default();
    Err(match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let text = error.render().to_string();
            return Ok(Action::Print(format!("{}\n", text.trim_end())));
        }
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            let hint = suggestion(&argument).unwrap_or_else(|| HELP.into());
            format!("unknown flag {argument} – {hint}")
        }
        ErrorKind::UnknownArgument => format!("unexpected argument {argument:?} – {HELP}"),
        ErrorKind::InvalidSubcommand => {
            let name = context(ContextKind::InvalidSubcommand).unwrap_or_default();
            let hint =
                nearest(&name, COMMANDS).map(|meant| format!("did you mean larder {meant}?"));
            let hint = hint.unwrap_or_else(|| format!("the commands are {}", COMMANDS.join(", ")));
            format!("unknown command {name:?} – {hint}")
        }
        ErrorKind::MissingSubcommand => {
            return Err("larder bus needs a command – try larder bus ping".into());
        }
        ErrorKind::InvalidValue | ErrorKind::WrongNumberOfValues => {
            format!("{argument} needs a value – {HELP}")
        }
        ErrorKind::ArgumentConflict => {
            format!("{argument} is given more than once – keep one of them")
        }
        _ => first_line(error),
    })
}

fn suggestion(argument: &str) -> Option<String> {
    let (serve, doctor) = (super::serve(), super::doctor());
    let flags = serve.get_arguments().chain(doctor.get_arguments());
    let name = argument.trim_start_matches('-').split('=').next()?;
    // A flag of another command is no mistyped one.
    let flags = flags
        .filter_map(|flag| flag.get_long())
        .filter(|flag| *flag != name);
    // Named by others and in other caches; the same thing here.
    let meant = match name {
        "bind" | "host" | "port" | "addr" => Some("resp"),
        "password" | "requirepass" => Some("password-file"),
        name => nearest(name, flags.chain(["help"])),
    };
    meant.map(|meant| format!("did you mean --{meant}?"))
}

fn first_line(error: &Error) -> String {
    let text = error.render().to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    format!("{line} – {HELP}")
}
