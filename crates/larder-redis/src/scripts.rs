//! The scripts that run on the server.
//!
//! A call names a script by its hash; a server that does not have it (first use, restart, `SCRIPT
//! FLUSH`) says so before it does anything, and the call is repeated with the text.

use std::sync::LazyLock;

use redis::{Arg, Cmd};

/// A script's text with its hash.
pub(crate) struct Script {
    text: String,
    hash: String,
}

macro_rules! script {
    ($(#[$doc:meta])* $name:ident, $($file:literal),+) => {
        $(#[$doc])*
        pub(crate) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(concat!($(include_str!(concat!("scripts/", $file))),+)));
    };
}

script!(
    /// Checks and writes.
    COMMIT, "common.lua", "log.lua", "tag.lua", "commit.lua"
);
script!(
    /// Asks for a lease.
    LEASE, "common.lua", "lease.lua"
);
script!(
    /// Prolongs a lease.
    RENEW, "common.lua", "renew.lua"
);
script!(
    /// Stores under a lease.
    FILL, "common.lua", "tag.lua", "fill.lua"
);
script!(
    /// Gives a lease back.
    RELEASE, "common.lua", "release.lua"
);
script!(
    /// Removes whatever Larder wrote.
    CLEAR, "common.lua", "log.lua", "tag.lua", "clear.lua"
);
script!(
    /// Says that a space was cleared.
    CLEARED, "common.lua", "log.lua", "cleared.lua"
);
script!(
    /// Reads the numbers of tags.
    TAGS, "common.lua", "tag.lua", "tags.lua"
);
script!(
    /// Removes void records.
    RECLAIM, "common.lua", "reclaim.lua"
);
script!(
    /// Where the log stands.
    POLL, "registry.lua", "poll.lua"
);
script!(
    /// Who reads the log.
    READERS, "registry.lua", "readers.lua"
);
script!(
    /// Reads the log.
    REPLAY, "replay.lua"
);
script!(
    /// Asks for a lock.
    ACQUIRE, "common.lua", "lock.lua", "acquire.lua"
);
script!(
    /// Prolongs a lock.
    PROLONG, "common.lua", "lock.lua", "prolong.lua"
);
script!(
    /// Gives a lock back.
    UNLOCK, "common.lua", "lock.lua", "unlock.lua"
);
script!(
    /// Writes under a fencing token.
    FENCED, "common.lua", "log.lua", "tag.lua", "lock.lua", "fenced.lua", "commit.lua"
);
script!(
    /// Asks whether a request is within a limit.
    RATE, "rate.lua"
);
script!(
    /// Adds to a counter.
    COUNT, "count.lua"
);
script!(
    /// Takes a counter away.
    TAKE, "take.lua"
);
script!(
    /// Reads plain values.
    PLAIN_GET, "plain_get.lua"
);
script!(
    /// Checks and writes plain values.
    PLAIN_COMMIT, "plain_commit.lua"
);

/// Every script with its name.
#[cfg(feature = "wire")]
pub(crate) fn all() -> [(&'static str, &'static Script); 21] {
    [
        ("commit", &COMMIT),
        ("lease", &LEASE),
        ("renew", &RENEW),
        ("fill", &FILL),
        ("release", &RELEASE),
        ("clear", &CLEAR),
        ("cleared", &CLEARED),
        ("tags", &TAGS),
        ("reclaim", &RECLAIM),
        ("poll", &POLL),
        ("readers", &READERS),
        ("replay", &REPLAY),
        ("acquire", &ACQUIRE),
        ("prolong", &PROLONG),
        ("unlock", &UNLOCK),
        ("fenced", &FENCED),
        ("rate", &RATE),
        ("count", &COUNT),
        ("take", &TAKE),
        ("plain get", &PLAIN_GET),
        ("plain commit", &PLAIN_COMMIT),
    ]
}

/// The name of the script with this hash.
#[cfg(feature = "wire")]
pub(crate) fn name(hash: &[u8]) -> Option<&'static str> {
    let mut found = all().into_iter();
    let found = found.find(|(_, script)| script.hash.as_bytes() == hash);
    found.map(|(name, _)| name)
}

#[cfg(feature = "wire")]
macro_rules! files {
    ($($file:literal),+ $(,)?) => {
        /// The text of a file that scripts are made of.
        pub(crate) fn file(name: &str) -> Option<&'static str> {
            match name {
                $($file => Some(include_str!(concat!("scripts/", $file))),)+
                _ => None,
            }
        }
    };
}

#[cfg(feature = "wire")]
files!(
    "acquire.lua",
    "clear.lua",
    "cleared.lua",
    "commit.lua",
    "common.lua",
    "count.lua",
    "fenced.lua",
    "fill.lua",
    "lease.lua",
    "lock.lua",
    "log.lua",
    "plain_commit.lua",
    "plain_get.lua",
    "poll.lua",
    "prolong.lua",
    "rate.lua",
    "readers.lua",
    "reclaim.lua",
    "registry.lua",
    "release.lua",
    "renew.lua",
    "replay.lua",
    "tag.lua",
    "tags.lua",
    "take.lua",
    "unlock.lua",
);

impl Script {
    fn new(text: &str) -> Script {
        Script {
            hash: redis::Script::new(text).get_hash().to_owned(),
            text: text.to_owned(),
        }
    }

    /// Its text.
    #[cfg(feature = "wire")]
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// A call by hash; the caller adds `keys` keys and then the arguments.
    pub(crate) fn call(&self, keys: usize) -> Cmd {
        let mut call = redis::cmd("EVALSHA");
        call.arg(&self.hash).arg(keys);
        call
    }

    /// The same call with the text.
    pub(crate) fn with_text(&self, call: &Cmd) -> Cmd {
        let mut full = redis::cmd("EVAL");
        full.arg(&self.text);
        for arg in call.args_iter().skip(2) {
            if let Arg::Simple(bytes) = arg {
                full.arg(bytes);
            }
        }
        full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_as_long_as_readers_are_told() {
        let length = format!("LOG_LENGTH = {}\n", larder_core::bus::LOG_LENGTH);
        assert!(COMMIT.text.contains(&length), "{length}");
    }

    #[test]
    fn scripts_and_readers_agree_about_tags_and_areas() {
        use larder_core::{area, tag};
        let text = [
            format!("MAX_AREAS = {}\n", area::MAX_AREAS),
            format!("'\\0s{}', '\\0s{}'", tag::DEPENDENCY, area::AREA),
            format!("NUMBERS_END = {}\n", tag::Cut::LOST.0),
        ];
        for text in text {
            assert!(COMMIT.text.contains(&text), "{text}");
        }
    }

    #[test]
    fn as_many_fences_are_kept_as_callers_are_told() {
        let most = format!("FENCES = {}\n", larder_core::lock::FENCES);
        assert!(FENCED.text.contains(&most), "{most}");
    }

    #[test]
    fn as_many_readers_are_kept_and_for_as_long_as_they_are_told() {
        let (most, life) = (
            larder_core::bus::MAX_READERS,
            larder_core::bus::READER_LIFE_MS,
        );
        for script in [&POLL, &READERS] {
            assert!(script.text.contains(&format!("READERS = {most}\n")));
            assert!(script.text.contains(&format!("LIFE = {life}\n")));
        }
    }
}
