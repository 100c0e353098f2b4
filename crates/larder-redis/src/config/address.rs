//! The address of a server, from a URL.

use std::fmt;
use std::path::PathBuf;

use larder_core::error::{Error, ErrorKind, Result};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::secret::Secret;

const DEFAULT_PORT: u16 = 6379;

/// Where to connect, as whom, and to which database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    pub(crate) endpoint: Endpoint,
    pub(crate) tls: Tls,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) database: u16,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Endpoint {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

/// Whether and whom to trust.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Tls {
    Off,
    System,
    Authority(PathBuf),
    AcceptAny,
}

impl Address {
    pub(crate) fn parse(text: &str) -> Result<Address> {
        let url = Url::parse(text).map_err(|error| {
            invalid(match error {
                url::ParseError::InvalidPort => "the port is not a number below 65536",
                url::ParseError::EmptyHost => "the host is missing",
                url::ParseError::RelativeUrlWithoutBase => {
                    "it must begin with redis://, rediss:// or unix://"
                }
                _ => {
                    "the host cannot be read (are special characters of the password \
                      percent-encoded?)"
                }
            })
        })?;
        match url.scheme() {
            "redis" | "valkey" => Address::tcp(&url, false),
            "rediss" | "valkeys" => Address::tcp(&url, true),
            "unix" | "redis+unix" | "valkey+unix" => Address::unix(&url),
            other => Err(invalid(format!(
                "{other}:// is not known; use redis://, rediss:// or unix://"
            ))),
        }
    }

    fn tcp(url: &Url, tls: bool) -> Result<Address> {
        let host = match url.host() {
            Some(url::Host::Ipv6(address)) => address.to_string(),
            Some(host) => decode(&host.to_string(), "host")?,
            None => return Err(invalid("the host is missing")),
        };
        let mut trust = if tls { Tls::System } else { Tls::Off };
        for (name, value) in url.query_pairs() {
            match &*name {
                "ca_file" if tls => trust = Tls::Authority(PathBuf::from(&*value)),
                other => return Err(unknown_option(other, if tls { "ca_file" } else { "none" })),
            }
        }
        match url.fragment() {
            Some("insecure") if tls => trust = Tls::AcceptAny,
            Some(_) => {
                return Err(invalid(
                    "behind # only `insecure` is known, and only for rediss://",
                ));
            }
            None => {}
        }
        let user = Some(decode(url.username(), "user")?).filter(|user| !user.is_empty());
        let password = url.password().map(|word| decode(word, "password"));
        Ok(Address {
            endpoint: Endpoint::Tcp {
                host,
                port: url.port().unwrap_or(DEFAULT_PORT),
            },
            tls: trust,
            user,
            password: password.transpose()?.map(Secret::new),
            database: database(url.path().trim_start_matches('/'))?,
        })
    }

    fn unix(url: &Url) -> Result<Address> {
        if url.host_str().is_some_and(|host| !host.is_empty()) || url.path().len() < 2 {
            return Err(invalid(
                "the socket's path must be absolute: unix:///run/redis.sock",
            ));
        }
        if url.fragment().is_some() {
            return Err(invalid("behind # nothing is known for a socket"));
        }
        let mut address = Address {
            endpoint: Endpoint::Unix(decode(url.path(), "path")?.into()),
            tls: Tls::Off,
            user: None,
            password: None,
            database: 0,
        };
        for (name, value) in url.query_pairs() {
            match &*name {
                "db" => address.database = database(&value)?,
                "user" => address.user = Some(value.into_owned()),
                "password" | "pass" => address.password = Some(Secret::new(value.into_owned())),
                other => return Err(unknown_option(other, "db, user and password")),
            }
        }
        Ok(address)
    }
}

/// For people, without user and password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls == Tls::Off {
            "redis"
        } else {
            "rediss"
        };
        match &self.endpoint {
            Endpoint::Tcp { host, port } if host.contains(':') => {
                write!(f, "{scheme}://[{host}]:{port}/{}", self.database)
            }
            Endpoint::Tcp { host, port } => {
                write!(f, "{scheme}://{host}:{port}/{}", self.database)
            }
            Endpoint::Unix(path) => write!(f, "unix://{}?db={}", path.display(), self.database),
        }
    }
}

fn database(text: &str) -> Result<u16> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse()
        .map_err(|_| invalid(format!("the database is {text:?}, not a number such as 0")))
}

fn decode(text: &str, part: &str) -> Result<String> {
    let decoded = percent_decode_str(text).decode_utf8();
    Ok(decoded
        .map_err(|_| invalid(format!("the {part} is not UTF-8")))?
        .into_owned())
}

fn unknown_option(name: &str, known: &str) -> Error {
    invalid(format!(
        "the option {name:?} is not known here (known: {known})"
    ))
}

fn invalid(what: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Config, format!("the Redis URL: {what}"))
}
