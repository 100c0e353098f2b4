//! The configuration: defaults, then `larder.toml`, then the environment, then flags.
//!
//! One table ([`table`]) knows all settings. Each layer turns its own names into those of the
//! table and puts values into a [`Draft`](draft::Draft), which remembers where each came from;
//! [`check`] looks at the whole, and [`build`] makes [`Settings`] of it. All mistakes are
//! reported at once, each on one line that says where it is, what it is and what is accepted.

mod available;
mod build;
mod check;
mod draft;
mod env;
mod file;
mod flags;
mod mask;
mod mesh;
mod origin;
mod show;
pub(crate) mod table;
#[cfg(test)]
mod tests;
mod value;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::settings::Settings;
use draft::Draft;
pub(crate) use env::Variable;
pub(crate) use file::File;
pub(crate) use flags::{Flags, NAMED_PATTERN, NAMED_TTL};
pub(crate) use larder_core::nearest::nearest;

/// The file that is read from the working directory if it is there.
const FILE: &str = "larder.toml";

/// What configures a node, from the weakest to the strongest.
#[derive(Default)]
pub(crate) struct Sources {
    pub(crate) file: Option<File>,
    pub(crate) environment: Vec<Variable>,
    pub(crate) flags: Flags,
}

/// A configuration without mistakes.
pub(crate) struct Loaded {
    pub(crate) settings: Settings,
    /// One line each.
    pub(crate) warnings: Vec<String>,
    /// Every setting with its value and origin, secrets hidden.
    pub(crate) effective: String,
}

/// What is wrong with a configuration; one line each.
#[derive(Debug)]
pub(crate) struct Problems {
    pub(crate) errors: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// Reads the configuration file: the given one, or the one in the working directory if it exists.
pub(crate) fn read_file(given: Option<PathBuf>) -> Result<Option<File>, String> {
    let path = given.as_deref().unwrap_or(Path::new(FILE));
    let name = path.display().to_string();
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(File { name, text })),
        Err(error) if error.kind() == ErrorKind::NotFound && given.is_none() => Ok(None),
        Err(error) => Err(format!(
            "the configuration file {name} cannot be read – {error} – name a readable file with \
             --config FILE"
        )),
    }
}

/// Puts the layers together.
pub(crate) fn load(sources: &Sources) -> Result<Loaded, Problems> {
    let mut draft = Draft::new();
    if let Some(file) = &sources.file {
        file::apply(&mut draft, file);
    }
    env::apply(&mut draft, &sources.environment);
    flags::apply(&mut draft, &sources.flags);
    check::complete(&mut draft, &sources.environment);
    check::check(&mut draft);
    if draft.errors.is_empty() {
        Ok(Loaded {
            settings: build::build(&draft),
            effective: show::show(&draft),
            warnings: draft.warnings,
        })
    } else {
        Err(Problems {
            errors: draft.errors,
            warnings: draft.warnings,
        })
    }
}
