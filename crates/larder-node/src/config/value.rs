//! Values of settings: read from text, and shown again without secrets.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use larder_core::key::Name;
use larder_core::units::{parse_bytes, parse_duration, show_bytes, show_duration};
use secrecy::{ExposeSecret, SecretString};

use super::mask::mask_url;
use super::mesh;
use super::table::{Bare, Kind, Times};

/// What a store in memory may be limited to.
const LEAST_MEMORY: u64 = 1 << 20;
const MOST_MEMORY: u64 = 1 << 50;

/// A value that its setting accepts.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Absent,
    Bool(bool),
    Choice(&'static str),
    Addr(SocketAddr),
    Duration(Duration),
    Size(u64),
    Count(u64),
    Word(String),
    Url(SecretString),
    Secret(SecretString),
}

/// Whether a number without a unit is accepted where a unit belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Units {
    /// In files, which people read.
    Required,
    /// In variables and flags, where the requirement's names hold plain numbers.
    Optional,
}

impl Kind {
    /// Reads a value. The error says what is wrong, after the value: "is not a number".
    pub(crate) fn parse(self, text: &str, units: Units) -> Result<Value, String> {
        let text = text.trim();
        match self {
            Kind::Bool => parse_bool(text).map(Value::Bool).ok_or("is neither"),
            Kind::Choice(words) => {
                let word = words.iter().find(|word| word.eq_ignore_ascii_case(text));
                word.map(|word| Value::Choice(word))
                    .ok_or("is none of them")
            }
            Kind::Addr => parse_addr(text).map(Value::Addr).ok_or("is not an address"),
            Kind::OptionalAddr | Kind::Hosts | Kind::DnsNames | Kind::Members
                if text.is_empty() =>
            {
                Ok(Value::Absent)
            }
            Kind::OptionalAddr => return Kind::Addr.parse(text, units),
            Kind::Hosts => return parse_list(text, |host| mesh::address_of(host).map(drop)),
            Kind::DnsNames => return parse_list(text, |name| mesh::dns_name(name).map(drop)),
            Kind::Members => return parse_list(text, |seat| mesh::seat(seat).map(drop)),
            Kind::Duration(times) => return times.parse(text, units),
            Kind::Size(min, max) => return parse_size(text, units, min, max),
            Kind::Memory if text.eq_ignore_ascii_case("none") => Ok(Value::Absent),
            Kind::Memory if text.eq_ignore_ascii_case("auto") => Ok(Value::Word("auto".to_owned())),
            Kind::Memory => return parse_size(text, units, LEAST_MEMORY, MOST_MEMORY),
            Kind::Count(min, max) => match text.replace('_', "").parse() {
                Ok(count) if (min..=max).contains(&count) => Ok(Value::Count(count)),
                Ok(_) => Err("is out of range"),
                Err(_) => Err("is not a whole number"),
            },
            Kind::Word if text.is_empty() => Ok(Value::Absent),
            Kind::Word => match text.chars().all(|c| c.is_ascii_graphic()) && text.len() <= 64 {
                true => Ok(Value::Word(text.to_owned())),
                false => Err("is not a word"),
            },
            Kind::Names | Kind::Outbox if text.is_empty() => Ok(Value::Absent),
            Kind::Names => return parse_names(text),
            Kind::Outbox => match text.strip_prefix("sqlite:") {
                Some(path) if !path.is_empty() => Ok(Value::Word(text.to_owned())),
                _ => Err("is not the place of an outbox"),
            },
            Kind::Url | Kind::Secret if text.is_empty() => Ok(Value::Absent),
            Kind::Url => Ok(Value::Url(text.into())),
            Kind::Secret => Ok(Value::Secret(text.into())),
        }
        .map_err(str::to_owned)
    }

    /// What is accepted, for people.
    pub(crate) fn accepted(self) -> String {
        match self {
            Kind::Bool => "true or false".into(),
            Kind::Choice(words) => words.join(", "),
            Kind::Addr | Kind::OptionalAddr => {
                "an IP address and a port, such as 127.0.0.1:6380 or [::1]:6380".into()
            }
            Kind::Hosts => "hosts and ports with commas between them".into(),
            Kind::DnsNames => {
                "names and ports, or srv: and a name, with commas between them".into()
            }
            Kind::Members => "node1=host1:port,node2=host2:port and so on".into(),
            Kind::Duration(times) => times.accepted(),
            Kind::Size(min, max) => format!(
                "{} to {}, written as 512KiB, 64MiB or 2GiB",
                show_bytes(min),
                show_bytes(max)
            ),
            Kind::Memory => format!(
                "auto, none, or {} to {}, written as 64MiB or 2GiB",
                show_bytes(LEAST_MEMORY),
                show_bytes(MOST_MEMORY)
            ),
            Kind::Count(min, max) => format!("{min} to {max}"),
            Kind::Word => "up to 64 visible ASCII characters".into(),
            Kind::Names => "names of caches with commas between them".into(),
            Kind::Outbox => "sqlite: and the path of a file".into(),
            Kind::Url => "redis://host:6379/0, rediss://… for TLS, or unix:///path".into(),
            Kind::Secret => "any text".into(),
        }
    }

    /// The text of a value as an error may show it.
    pub(crate) fn shown(self, text: &str) -> String {
        match self {
            Kind::Secret => "\"***\"".into(),
            Kind::Url => format!("{:?}", mask_url(text)),
            _ => format!("{text:?}"),
        }
    }
}

impl Times {
    fn parse(self, text: &str, units: Units) -> Result<Value, String> {
        if self.optional && text.eq_ignore_ascii_case("none") {
            return Ok(Value::Absent);
        }
        let is_bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let unit = if self.bare == Bare::Seconds {
            "s"
        } else {
            "ms"
        };
        if is_bare && units == Units::Required {
            return Err(format!("has no unit; write \"{text}{unit}\""));
        }
        let with_unit = if is_bare { unit } else { "" };
        let duration = parse_duration(&format!("{text}{with_unit}"));
        match duration {
            Ok(duration) if (self.min..=self.max).contains(&duration) => {
                Ok(Value::Duration(duration))
            }
            Ok(_) => Err("is out of range".into()),
            Err(_) => Err("is not a duration".into()),
        }
    }

    fn accepted(self) -> String {
        let none = if self.optional { ", or none" } else { "" };
        let bare = match self.bare {
            Bare::Seconds => "seconds",
            Bare::Milliseconds => "milliseconds",
        };
        format!(
            "{} to {}{none}, written as 250ms, 30s, 5m, 1h or 7d (a number alone in a variable or \
             flag: {bare})",
            show_duration(self.min),
            show_duration(self.max)
        )
    }
}

impl Value {
    /// For people, secrets hidden.
    pub(crate) fn shown(&self) -> String {
        match self {
            Value::Absent => "none".into(),
            Value::Bool(value) => value.to_string(),
            Value::Choice(word) => (*word).into(),
            Value::Addr(addr) => addr.to_string(),
            Value::Duration(duration) => show_duration(*duration),
            Value::Size(bytes) => show_bytes(*bytes),
            Value::Count(count) => count.to_string(),
            Value::Word(word) => word.clone(),
            Value::Url(url) => mask_url(url.expose_secret()),
            Value::Secret(_) => "***".into(),
        }
    }
}

fn parse_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// An address; a port alone, or behind `localhost`, is on loopback, the address that exposes
/// nothing.
fn parse_addr(text: &str) -> Option<SocketAddr> {
    let port = text.strip_prefix("localhost:").unwrap_or(text);
    let on_loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    text.parse()
        .ok()
        .or_else(|| port.parse().ok().map(on_loopback))
}

fn parse_list(text: &str, check: impl Fn(&str) -> Result<(), String>) -> Result<Value, String> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    for part in &parts {
        check(part).map_err(|problem| format!("has {part:?}: {problem}"))?;
    }
    Ok(Value::Word(parts.join(",")))
}

fn parse_names(text: &str) -> Result<Value, String> {
    let names: Vec<&str> = text.split(',').map(str::trim).collect();
    match names.iter().find(|name| Name::new(name).is_err()) {
        Some(wrong) => Err(format!("has {wrong:?}, which is no name of a cache")),
        None => Ok(Value::Word(names.join(","))),
    }
}

fn parse_size(text: &str, units: Units, min: u64, max: u64) -> Result<Value, String> {
    let is_bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // Nothing is nothing, whatever the unit.
    if is_bare && units == Units::Required && text != "0" {
        return Err(format!("has no unit; write \"{text}B\""));
    }
    match parse_bytes(&format!("{text}{}", if is_bare { "B" } else { "" })) {
        Ok(bytes) if (min..=max).contains(&bytes) => Ok(Value::Size(bytes)),
        Ok(_) => Err("is out of range".into()),
        Err(_) => Err("is not a size".into()),
    }
}
