//! Errors of the client and the server, as [`Error`]s that say what to do.

use std::fmt;

use larder_core::error::{Error, ErrorKind};
use redis::{RedisError, Value};

/// The value, or the error that it stands for.
pub(crate) fn checked(server: &str, value: Value) -> Result<Value, Error> {
    match value {
        Value::ServerError(error) => Err(refused(
            server,
            error.code(),
            error.details().unwrap_or_default(),
        )),
        value => Ok(value),
    }
}

/// Whether the server refused a command on a key that holds no string.
pub(crate) fn is_wrong_type(value: &Value) -> bool {
    matches!(value, Value::ServerError(error) if error.code() == "WRONGTYPE")
}

/// Whether the server does not have the script.
pub(crate) fn is_unknown_script(value: &Value) -> bool {
    matches!(value, Value::ServerError(error) if error.code() == "NOSCRIPT")
}

/// Whether the server says that it cannot serve now, whatever it is asked. In an array, by its first
/// answer.
pub(crate) fn is_unable(value: &Value) -> bool {
    match value {
        Value::ServerError(error) => advice(error.code()).0 == ErrorKind::Unavailable,
        Value::Array(answers) => answers.first().is_some_and(is_unable),
        _ => false,
    }
}

/// An error of the client library.
pub(crate) fn from_client(server: &str, error: &RedisError) -> Error {
    if error.kind() == redis::ErrorKind::AuthenticationFailed {
        return login(server);
    }
    if error.is_timeout() {
        return timeout(server, "it did not answer in time");
    }
    match error.code() {
        Some(code) => refused(server, code, error.detail().unwrap_or_default()),
        None => unavailable(server, error),
    }
}

/// The server cannot be reached or broke the connection.
pub(crate) fn unavailable(server: &str, why: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{server}: {why}"))
}

/// No answer in time.
pub(crate) fn timeout(server: &str, why: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Timeout, format!("{server}: {why}"))
}

/// Too much is under way here.
pub(crate) fn overloaded(server: &str, why: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Overloaded, format!("{server}: {why}"))
}

fn login(server: &str) -> Error {
    let advice = "WRONGPASS: user or password is wrong, or the user is switched off";
    Error::new(ErrorKind::Refused, format!("{server}: {advice}"))
}

/// An error answer. `code` is its first word.
fn refused(server: &str, code: &str, text: &str) -> Error {
    let code = inner_code(code, text);
    let (kind, advice) = advice(code);
    let said = if text.is_empty() { "" } else { " (it said: " };
    let end = if text.is_empty() { "" } else { ")" };
    Error::new(kind, format!("{server}: {code}: {advice}{said}{text}{end}"))
}

/// Servers before 7 wrap the error of a command inside a script into `ERR ...: CODE ...`; those of 7.0
/// say without a code that its user has no rights.
fn inner_code<'a>(code: &'a str, text: &'a str) -> &'a str {
    if code == "ERR" && text.starts_with("The user executing the script") {
        return "NOPERM";
    }
    let wrapped = [
        "WRONGTYPE",
        "OOM",
        "READONLY",
        "NOREPLICAS",
        "NOPERM",
        "MISCONF",
    ];
    let found = wrapped.into_iter().find(|inner| text.contains(inner));
    match found {
        Some(inner) if code == "ERR" => inner,
        _ => code,
    }
}

fn advice(code: &str) -> (ErrorKind, &'static str) {
    use ErrorKind::{Refused, Unavailable};
    match code {
        "NOAUTH" => (
            Refused,
            "the server asks for a password; put it into the URL",
        ),
        "WRONGPASS" => (
            Refused,
            "user or password is wrong, or the user is switched off",
        ),
        "NOPERM" => (Refused, "the user may not do this; widen its ACL rules"),
        "WRONGTYPE" => (
            Refused,
            "the key holds another type than a string; another program uses it, so choose \
             another key prefix",
        ),
        "OOM" => (
            Refused,
            "the server is full (maxmemory); give it more, or an eviction policy",
        ),
        "READONLY" => (Refused, "the server is a replica; connect to its primary"),
        "MISCONF" => (
            Refused,
            "the server cannot write to its disk and takes no changes",
        ),
        "MOVED" | "ASK" | "CROSSSLOT" => (Refused, "the server is part of a cluster"),
        "LOADING" => (Unavailable, "the server is still loading its data"),
        "BUSY" => (Unavailable, "the server is busy with a long script"),
        "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "NOREPLICAS" | "UNBLOCKED" => {
            (Unavailable, "the server cannot serve now")
        }
        _ => (Refused, "the server refused the command"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_to_do() {
        for (code, text, kind, word) in [
            (
                "NOAUTH",
                "Authentication required.",
                ErrorKind::Refused,
                "password",
            ),
            (
                "OOM",
                "command not allowed",
                ErrorKind::Refused,
                "maxmemory",
            ),
            ("LOADING", "", ErrorKind::Unavailable, "loading"),
            (
                "ERR",
                "The user executing the script can't run this command or subcommand script: 1",
                ErrorKind::Refused,
                "ACL",
            ),
            (
                "ERR",
                "Error running script: @user_script:1: WRONGTYPE Operation",
                ErrorKind::Refused,
                "another type",
            ),
        ] {
            let error = refused("redis://cache:6379/0", code, text);
            assert_eq!(error.kind(), kind);
            assert!(error.to_string().contains(word), "{error}");
            assert!(error.to_string().starts_with("redis://cache:6379/0: "));
        }
    }
}
