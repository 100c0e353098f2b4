//! The options of `SET` and `GETEX`, and which of them go together.

use super::super::expiry::Unit;
use super::super::{Call, Failure};

/// What must be true of the key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Condition {
    Always,
    Absent,
    Present,
}

/// What becomes of the life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    Unsaid,
    Keep,
    Persist,
    /// The number is in this argument.
    At {
        argument: usize,
        unit: Unit,
    },
}

/// All options of one command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Options {
    pub(crate) condition: Condition,
    pub(crate) get: bool,
    pub(crate) ending: Ending,
}

impl Options {
    /// Reads the options of `SET`, which begin behind the value.
    pub(crate) fn read_set(call: &Call<'_>) -> Result<Options, Failure> {
        let mut options = Options::none();
        let mut at = 3;
        while at < call.argc() {
            let word = call.argument(at);
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            if is("NX") && options.condition != Condition::Present {
                options.condition = Condition::Absent;
            } else if is("XX") && options.condition != Condition::Absent {
                options.condition = Condition::Present;
            } else if is("GET") {
                options.get = true;
            } else if is("KEEPTTL") && matches!(options.ending, Ending::Unsaid | Ending::Keep) {
                options.ending = Ending::Keep;
            } else {
                at = options.read_ending(call, at)?;
            }
            at += 1;
        }
        Ok(options)
    }

    /// Reads the options of `GETEX`, which begin behind the key.
    pub(crate) fn read_getex(call: &Call<'_>) -> Result<Options, Failure> {
        let mut options = Options::none();
        let mut at = 2;
        while at < call.argc() {
            let persists = matches!(options.ending, Ending::Unsaid | Ending::Persist);
            if call.is(at, "PERSIST") && persists {
                options.ending = Ending::Persist;
            } else {
                at = options.read_ending(call, at)?;
            }
            at += 1;
        }
        Ok(options)
    }

    fn none() -> Options {
        Options {
            condition: Condition::Always,
            get: false,
            ending: Ending::Unsaid,
        }
    }

    /// Reads `EX`, `PX`, `EXAT` or `PXAT` and gives the place of its number. The same one may
    /// come twice, as in Redis; two different ones may not.
    fn read_ending(&mut self, call: &Call<'_>, at: usize) -> Result<usize, Failure> {
        let unit = match call.argument(at).to_ascii_uppercase().as_slice() {
            b"EX" => Unit::EX,
            b"PX" => Unit::PX,
            b"EXAT" => Unit::EXAT,
            b"PXAT" => Unit::PXAT,
            _ => return Err(Failure::SYNTAX),
        };
        let fits = match self.ending {
            Ending::Unsaid => true,
            Ending::At { unit: before, .. } => before == unit,
            Ending::Keep | Ending::Persist => false,
        };
        let argument = at + 1;
        if !fits || argument >= call.argc() {
            return Err(Failure::SYNTAX);
        }
        self.ending = Ending::At { argument, unit };
        Ok(argument)
    }
}
