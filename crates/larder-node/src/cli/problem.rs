//! Mistakes on the command line, each on one line: what, why, what to do.

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Action;
use crate::config::nearest;

const COMMANDS: [&str; 5] = ["serve", "doctor", "bus ping", "demo", "version"];

/// Turns what clap says into one line, or into the help that was asked for. `name` is the first
/// argument: the command, if there is such a one.
pub(super) fn explain(error: &Error, name: &str) -> Result<Action, String> {
    let own_help = format!("larder {name} --help lists all flags");
    let help = match name {
        "demo" => &own_help,
        _ => "larder serve --help lists all flags",
    };
    let context = |kind| error.get(kind).map(ContextValue::to_string);
    let argument = context(ContextKind::InvalidArg).unwrap_or_default();
    Err(match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let text = error.render().to_string();
            return Ok(Action::Print(format!("{}\n", text.trim_end())));
        }
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            let hint = suggestion(&argument, name).unwrap_or_else(|| help.into());
            format!("unknown flag {argument} – {hint}")
        }
        ErrorKind::UnknownArgument => format!("unexpected argument {argument:?} – {help}"),
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
            format!("{argument} needs a value – {help}")
        }
        ErrorKind::ArgumentConflict => {
            format!("{argument} is given more than once – keep one of them")
        }
        _ => first_line(error, help),
    })
}

fn suggestion(argument: &str, command: &str) -> Option<String> {
    let (serve, doctor) = (super::serve(), super::doctor());
    let all = super::command();
    let own = all.find_subcommand(command).filter(|_| command == "demo");
    let flags: Vec<_> = match own {
        Some(own) => own.get_arguments().collect(),
        None => serve
            .get_arguments()
            .chain(doctor.get_arguments())
            .collect(),
    };
    let name = argument.trim_start_matches('-').split('=').next()?;
    // A flag of another command is no mistyped one.
    let flags = flags
        .iter()
        .filter_map(|flag| flag.get_long())
        .filter(|flag| *flag != name);
    // Named by others and in other caches; the same thing here.
    let meant = match name {
        "bind" | "host" | "port" | "addr" if own.is_none() => Some("resp"),
        "password" | "requirepass" if own.is_none() => Some("password-file"),
        name => nearest(name, flags.chain(["help"])),
    };
    meant.map(|meant| format!("did you mean --{meant}?"))
}

fn first_line(error: &Error, help: &str) -> String {
    let text = error.render().to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    format!("{line} – {help}")
}
