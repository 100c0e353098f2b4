//! The options of `SET` and `GETEX`, and which of them go together.

use larder::FencingToken;
use larder_resp::number;

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
    pub(crate) tags: Option<Labels>,
    /// The token of the lock under which the value is written.
    pub(crate) fence: Option<FencingToken>,
}

/// Where the tags of a value stand in its command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Labels {
    /// The argument with the name of their cache.
    pub(crate) cache: usize,
    /// The first of them.
    pub(crate) first: usize,
    pub(crate) count: usize,
}

impl Options {
    /// Reads the options of `SET`, which begin behind the value; those of `CACHE.SET` are the same,
    /// and tags, and the token of a lock.
    pub(crate) fn read_set(call: &Call<'_>, takes_tags: bool) -> Result<Options, Failure> {
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
            } else if takes_tags && is("TAGS") && options.tags.is_none() {
                let labels = Labels::read(call, at + 1)?;
                options.tags = Some(labels);
                at = labels.first + labels.count - 1;
            } else if takes_tags && is("FENCE") && options.fence.is_none() {
                at += 1;
                let number = call.argument_at(at).ok_or(Failure::SYNTAX)?;
                let number = number::parse_i64(number).and_then(|number| number.try_into().ok());
                let token = number.map(FencingToken::from_number);
                options.fence = Some(token.ok_or(Failure::INTEGER)?);
            } else {
                at = options.read_ending(call, at)?;
            }
            at += 1;
        }
        options.check_fence()?;
        Ok(options)
    }

    /// A write under a token asks for nothing else.
    fn check_fence(&self) -> Result<(), Failure> {
        let is_plain = self.condition == Condition::Always && !self.get;
        if self.fence.is_some() && !(is_plain && self.ending != Ending::Keep) {
            return Err(Failure::SYNTAX);
        }
        Ok(())
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
            tags: None,
            fence: None,
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

impl Labels {
    /// Reads `cache n tag…`.
    pub(crate) fn read(call: &Call<'_>, at: usize) -> Result<Labels, Failure> {
        if at + 2 >= call.argc() {
            return Err(Failure::SYNTAX);
        }
        let labels = Labels {
            cache: at,
            first: at + 2,
            count: call.count_of(at + 1, "tags")?,
        };
        Ok(labels)
    }

    /// The tags, and the name of their cache.
    pub(crate) fn names(self, call: &Call<'_>) -> Result<(String, Vec<String>), Failure> {
        let cache = call.text(self.cache, "the name of a cache")?;
        let tags = self.first..self.first + self.count;
        let tags: Result<Vec<String>, Failure> = tags.map(|at| call.text(at, "a tag")).collect();
        Ok((cache, tags?))
    }
}
