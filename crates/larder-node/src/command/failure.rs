//! Why a command was refused, in the words that clients act upon.
//!
//! The first word is an interface: clients retry on some, give up on others and fall back to
//! RESP2 on a third kind. The texts are those of Redis wherever Redis has one.

use std::borrow::Cow;

use larder_core::error::{Error, ErrorKind};
use larder_resp::Request;

use crate::session::Session;

/// What a command comes to.
pub(crate) type Outcome = Result<(), Failure>;

/// How much of a command's name and of its arguments an error repeats.
const ECHOED: usize = 128;

/// An error reply: a code, a blank and a text, without the leading `-`.
#[derive(Debug)]
pub(crate) struct Failure {
    text: Cow<'static, [u8]>,
    /// Set when the cache could not do what it was asked.
    cause: Option<ErrorKind>,
}

impl Failure {
    pub(crate) const SYNTAX: Failure = Failure::fixed("ERR syntax error");
    pub(crate) const INTEGER: Failure =
        Failure::fixed("ERR value is not an integer or out of range");
    pub(crate) const FLOAT: Failure = Failure::fixed("ERR value is not a valid float");
    pub(crate) const TOO_LONG: Failure =
        Failure::fixed("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    pub(crate) const NOAUTH: Failure = Failure::fixed("NOAUTH Authentication required.");
    pub(crate) const WRONGPASS: Failure =
        Failure::fixed("WRONGPASS invalid username-password pair or user is disabled.");

    /// A text that is known beforehand.
    pub(crate) const fn fixed(text: &'static str) -> Failure {
        Failure {
            text: Cow::Borrowed(text.as_bytes()),
            cause: None,
        }
    }

    /// A text with something of the request in it.
    pub(crate) fn new(text: impl Into<Vec<u8>>) -> Failure {
        Failure {
            text: Cow::Owned(text.into()),
            cause: None,
        }
    }

    /// The error line without `-` and line end.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// What the engine said, if it was the engine that failed.
    pub(crate) fn cause(&self) -> Option<ErrorKind> {
        self.cause
    }
}

/// The engine's errors. Those that pass by themselves get codes on which clients retry.
impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let message = error.message();
        let text = match error.kind() {
            ErrorKind::Unavailable => {
                format!("MASTERDOWN Link with the store is down: {message}")
            }
            ErrorKind::Timeout | ErrorKind::Overloaded | ErrorKind::Conflict => {
                format!("TRYAGAIN {message}")
            }
            ErrorKind::Fenced => format!("LEASELOST {message}"),
            _ if ["WRONGTYPE ", "OOM "]
                .iter()
                .any(|code| message.starts_with(code)) =>
            {
                message.to_owned()
            }
            _ => format!("ERR {message}"),
        };
        Failure {
            text: Cow::Owned(text.into_bytes()),
            cause: Some(error.kind()),
        }
    }
}

/// `name` is the command's, with `|subcommand` where there is one.
pub(super) fn wrong_arity(name: &str) -> Failure {
    Failure::new(format!(
        "ERR wrong number of arguments for '{name}' command"
    ))
}

/// For a subcommand that its command, here in upper case, does not have.
pub(super) fn unknown_subcommand(parent: &str, sent: &[u8]) -> Failure {
    let mut text = b"ERR unknown subcommand '".to_vec();
    text.extend_from_slice(printable(sent, ECHOED));
    text.extend_from_slice(format!("'. Try {parent} HELP.").as_bytes());
    Failure::new(text)
}

/// Repeats the beginning of the request, so that the culprit is found in any log.
#[cold]
pub(super) fn unknown_command(session: &Session, request: &Request) -> Failure {
    if !session.is_authenticated() {
        return Failure::NOAUTH;
    }
    let mut args = Vec::new();
    for argument in request.iter().skip(1) {
        if args.len() >= ECHOED {
            break;
        }
        let room = ECHOED - args.len();
        args.push(b'\'');
        args.extend_from_slice(printable(argument, room));
        args.extend_from_slice(b"' ");
    }
    let mut text = b"ERR unknown command '".to_vec();
    text.extend_from_slice(printable(request.name(), ECHOED));
    text.extend_from_slice(b"', with args beginning with: ");
    text.extend_from_slice(&args);
    Failure::new(text)
}

/// What C would print of it: at most `most` bytes and nothing from a zero on.
pub(super) fn printable(text: &[u8], most: usize) -> &[u8] {
    let text = &text[..text.len().min(most)];
    let end = text.iter().position(|&byte| byte == 0);
    &text[..end.unwrap_or(text.len())]
}
