//! Whether a user may do what the stores do: every command is tried on keys of no meaning, in the
//! part of the key space where Larder's own keys are. They are removed again, and end by themselves
//! within seconds if that fails.

use bytes::Bytes;
use larder_core::error::Result;
use larder_core::space::system_key;

use super::{Answer, Inspector};
use crate::connect;

/// How long a key lives that could not be removed, in milliseconds.
const LIFE_MS: &[u8] = b"10000";

const SCRIPT: &[u8] = b"return 1";
/// The hash of that text.
const SCRIPT_HASH: &[u8] = b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db";

/// What a command is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Purpose {
    /// Reading and writing values: nothing works without it.
    Values,
    /// Scripts, by which values are changed: nothing works without it.
    Scripts,
    /// Listing, counting and clearing.
    Listing,
    /// Hearing of changes that others make, and telling them.
    Bus,
}

/// A command that the user may not use, or not on these keys or this channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The command.
    pub command: &'static str,
    /// What it is needed for.
    pub purpose: Purpose,
    /// What the server said.
    pub said: String,
}

/// A command on keys of no meaning.
struct Step<'a>(Purpose, &'static str, Vec<&'a [u8]>);

impl Inspector {
    /// Tries every command that the enveloped layout needs. About 25 round trips, and a connection
    /// for the subscription. Changes nothing, and tells readers of the bus nothing.
    ///
    /// Only refusals for want of rights are returned. Others, such as those of a replica or of a
    /// full server, say nothing about the user.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn denied(&self) -> Result<Vec<Denied>> {
        let random = self.runtime.random();
        let name = |kind: &str| system_key(&format!("doctor:{kind}:{random:x}"));
        let [key, hash, log] = ["key", "hash", "log"].map(|kind| self.keys.wire(&name(kind)));
        let mut denied = Vec::new();
        for Step(purpose, command, arguments) in steps(&key, &hash, &log) {
            let said = self.refusal(command, &arguments).await?;
            note(&mut denied, purpose, command, said);
        }
        note(&mut denied, Purpose::Bus, "PUBLISH", self.publish().await?);
        let said = self.subscribe().await?;
        note(&mut denied, Purpose::Bus, "SUBSCRIBE", said);
        denied.sort_by_key(|denied| (denied.purpose, denied.command));
        denied.dedup_by_key(|denied| denied.command);
        Ok(denied)
    }

    /// On a channel to which nobody listens; if that is refused, as a command of a transaction that
    /// is thrown away, on the very one.
    async fn publish(&self) -> Result<Option<String>> {
        let channel = self.channel();
        let beside = [&channel[..], b":doctor"].concat();
        let said = self.refusal("PUBLISH", &[&beside, b"x"]).await?;
        if said.is_none() {
            return Ok(None);
        }
        if let Answer::Refused(_) = self.ask(&["MULTI"]).await? {
            return Ok(said);
        }
        let queued = self.refusal("PUBLISH", &[&channel, b"x"]).await?;
        self.ask(&["DISCARD"]).await?;
        Ok(queued)
    }

    async fn subscribe(&self) -> Result<Option<String>> {
        match connect::subscribe(&self.dialer, &self.channel()).await {
            Ok(_) => Ok(None),
            Err(error) if is_denied(error.message()) => Ok(Some(error.message().to_owned())),
            Err(error) => Err(error),
        }
    }

    fn channel(&self) -> Bytes {
        self.keys.channel(self.dialer.redis.address.database)
    }

    /// What the server says if the user may not do this.
    async fn refusal(&self, command: &str, arguments: &[&[u8]]) -> Result<Option<String>> {
        let words: Vec<&[u8]> = std::iter::once(command.as_bytes())
            .chain(arguments.iter().copied())
            .collect();
        Ok(match self.ask(&words).await? {
            Answer::Refused(said) if is_denied(&said) => Some(said),
            _ => None,
        })
    }
}

/// In this order nothing stays that does not end by itself, whichever of them is refused.
fn steps<'a>(key: &'a [u8], hash: &'a [u8], log: &'a [u8]) -> Vec<Step<'a>> {
    use Purpose::{Bus, Listing, Scripts, Values};
    let step = |purpose, command, arguments: &[&'a [u8]]| Step(purpose, command, arguments.into());
    vec![
        step(Values, "TIME", &[]),
        step(Values, "PERSIST", &[key]),
        step(Values, "SET", &[key, b"x", b"PX", LIFE_MS]),
        step(Values, "GET", &[key]),
        step(Values, "MGET", &[key]),
        step(Values, "GETRANGE", &[key, b"0", b"0"]),
        step(Values, "SETRANGE", &[key, b"0", b"y"]),
        step(Values, "PTTL", &[key]),
        step(Values, "PEXPIRE", &[key, LIFE_MS]),
        // In the past: then the key is gone, which is as good.
        step(Values, "PEXPIREAT", &[key, b"1"]),
        step(Values, "UNLINK", &[key]),
        step(Values, "HSET", &[hash, b"f", b"1"]),
        step(Values, "PEXPIRE", &[hash, LIFE_MS]),
        step(Values, "HGET", &[hash, b"f"]),
        step(Values, "HMGET", &[hash, b"f"]),
        step(Bus, "HLEN", &[hash]),
        step(Bus, "HGETALL", &[hash]),
        step(Bus, "HINCRBY", &[hash, b"f", b"1"]),
        step(Values, "HDEL", &[hash, b"f"]),
        step(Scripts, "EVAL", &[SCRIPT, b"0"]),
        step(Scripts, "EVALSHA", &[SCRIPT_HASH, b"0"]),
        step(Listing, "SCAN", &[b"0", b"COUNT", b"1"]),
        step(Listing, "RANDOMKEY", &[]),
        step(Bus, "PING", &[]),
        step(Bus, "INFO", &[b"server"]),
        step(
            Bus,
            "XADD",
            &[log, b"MAXLEN", b"~", b"10", b"1-1", b"r", b"x"],
        ),
        step(Values, "PEXPIRE", &[log, LIFE_MS]),
        step(Bus, "XRANGE", &[log, b"-", b"+"]),
        step(Values, "UNLINK", &[log]),
        step(Values, "UNLINK", &[hash]),
    ]
}

fn note(denied: &mut Vec<Denied>, purpose: Purpose, command: &'static str, said: Option<String>) {
    denied.extend(said.map(|said| Denied {
        command,
        purpose,
        said,
    }));
}

/// Whether the server speaks of rights. Commands that were renamed away are none to the user.
fn is_denied(said: &str) -> bool {
    said.contains("NOPERM") || said.contains("unknown command")
}
