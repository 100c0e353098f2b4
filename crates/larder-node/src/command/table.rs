//! The one table of commands: names, arities, flags, key positions and handlers.
//!
//! Everything that depends on "which commands are there" is made from it: the lookup, the
//! dispatch, `COMMAND` in all its forms, and the labels of the metrics. A new command is a new
//! file and a new row.

use super::{
    Call, Outcome, append, auth, client, config, dbsize, del, delifeq, echo, eval, event, exists,
    expire, flush, get, getdel, getex, getrange, getset, hello, incr, incrbyfloat, info,
    introspect, invalidate, keys, limit, lock, mget, mset, msetnx, nodes, persist, ping, quit,
    randomkey, rename, reset, role, scan, select, set, setex, setnx, setrange, strlen, time, ttl,
    type_of,
};
use crate::metrics::Op;

/// What a command works on; clients know it as group and as ACL category.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Family {
    Connection,
    Server,
    Keyspace,
    String,
    Scripting,
    /// What Redis has no word for.
    Cache,
}

/// One command as clients are told about it.
pub(crate) struct Spec {
    pub(crate) id: Id,
    pub(crate) name: &'static str,
    /// Number of arguments with the name; negative means "at least".
    pub(crate) arity: i8,
    pub(crate) flags: &'static [&'static str],
    /// First key, last key (negative from the end), and the step between keys; 0 for none.
    pub(crate) keys: (i8, i8, i8),
    pub(crate) family: Family,
    pub(crate) op: Op,
    pub(crate) since: &'static str,
    pub(crate) complexity: &'static str,
    pub(crate) summary: &'static str,
}

impl Spec {
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.flags.contains(&flag)
    }

    pub(crate) fn accepts(&self, argc: usize) -> bool {
        let wanted = usize::from(self.arity.unsigned_abs());
        if self.arity < 0 {
            argc >= wanted
        } else {
            argc == wanted
        }
    }
}

/// Longer names are no command.
const LONGEST: usize = 16;

/// The command with this name, in any case.
pub(crate) fn find(name: &[u8]) -> Option<&'static Spec> {
    let mut upper = [0; LONGEST];
    let upper = upper.get_mut(..name.len())?;
    upper.copy_from_slice(name);
    upper.make_ascii_uppercase();
    find_upper(upper).map(|id| &SPECS[id as usize])
}

macro_rules! commands {
    ($($id:ident $upper:literal $name:literal $module:ident::$run:ident
       $arity:literal [$($flag:ident)*] ($first:literal $last:literal $step:literal)
       $family:ident $op:ident $since:literal $complexity:literal $summary:literal;)*) => {
        /// A command's place in the table.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub(crate) enum Id { $($id),* }

        /// All commands, by [`Id`].
        pub(crate) static SPECS: &[Spec] = &[$(Spec {
            id: Id::$id,
            name: $name,
            arity: $arity,
            flags: &[$(stringify!($flag)),*],
            keys: ($first, $last, $step),
            family: Family::$family,
            op: Op::$op,
            since: $since,
            complexity: $complexity,
            summary: $summary,
        }),*];

        /// The names of all commands, by [`Id`].
        pub(crate) static NAMES: &[&str] = &[$($name),*];

        fn find_upper(upper: &[u8]) -> Option<Id> {
            match upper {
                $($upper => Some(Id::$id),)*
                _ => None,
            }
        }

        /// Runs a command.
        #[inline]
        pub(super) async fn dispatch(id: Id, call: &mut Call<'_>) -> Outcome {
            match id {
                $(Id::$id => $module::$run(call).await,)*
            }
        }
    };
}

commands! {
    Get b"GET" "get" get::get 2 [readonly fast] (1 1 1) String Get
        "1.0.0" "O(1)" "Returns the value of a key";
    Set b"SET" "set" set::set -3 [write denyoom] (1 1 1) String Set
        "1.0.0" "O(1)" "Sets the value of a key";
    Ping b"PING" "ping" ping::ping -1 [fast] (0 0 0) Connection Other
        "1.0.0" "O(1)" "Answers PONG, or the argument";
    Echo b"ECHO" "echo" echo::echo 2 [loading stale fast] (0 0 0) Connection Other
        "1.0.0" "O(1)" "Returns the argument";
    Hello b"HELLO" "hello" hello::hello -1 [noscript loading stale fast no_auth allow_busy] (0 0 0)
        Connection Other "6.0.0" "O(1)" "Chooses the protocol; may authenticate and name";
    Auth b"AUTH" "auth" auth::auth -2 [noscript loading stale fast no_auth allow_busy] (0 0 0)
        Connection Other "1.0.0" "O(1)" "Authenticates the connection";
    Select b"SELECT" "select" select::select 2 [loading stale fast] (0 0 0) Connection Other
        "1.0.0" "O(1)" "Chooses the database";
    Quit b"QUIT" "quit" quit::quit -1 [noscript loading stale fast no_auth allow_busy] (0 0 0)
        Connection Other "1.0.0" "O(1)" "Closes the connection";
    Reset b"RESET" "reset" reset::reset 1 [noscript loading stale fast no_auth allow_busy] (0 0 0)
        Connection Other "6.2.0" "O(1)" "Returns the connection to its first state";
    Client b"CLIENT" "client" client::client -2 [loading stale] (0 0 0) Connection Other
        "2.4.0" "Depends on subcommand." "Commands about connections";
    Command b"COMMAND" "command" introspect::command -1 [loading stale] (0 0 0) Connection Other
        "2.8.13" "O(N) with N commands" "Describes the commands";
    Info b"INFO" "info" info::info -1 [loading stale] (0 0 0) Server Other
        "1.0.0" "O(1)" "Returns counts and facts about the node";
    Config b"CONFIG" "config" config::config -2 [admin noscript loading stale] (0 0 0) Server Other
        "2.0.0" "Depends on subcommand." "Shows settings";
    Role b"ROLE" "role" role::role 1 [noscript loading stale fast] (0 0 0) Server Other
        "2.8.12" "O(1)" "Returns the role in replication";
    Time b"TIME" "time" time::time 1 [loading stale fast] (0 0 0) Server Other
        "2.6.0" "O(1)" "Returns the wall clock";
    Setex b"SETEX" "setex" setex::setex 4 [write denyoom] (1 1 1) String Set
        "2.0.0" "O(1)" "Sets a value and its life in seconds";
    Psetex b"PSETEX" "psetex" setex::psetex 4 [write denyoom] (1 1 1) String Set
        "2.6.0" "O(1)" "Sets a value and its life in milliseconds";
    Setnx b"SETNX" "setnx" setnx::setnx 3 [write denyoom fast] (1 1 1) String Set
        "1.0.0" "O(1)" "Sets a value if the key is absent";
    Getset b"GETSET" "getset" getset::getset 3 [write denyoom fast] (1 1 1) String Set
        "1.0.0" "O(1)" "Sets a value and returns the old one";
    Getdel b"GETDEL" "getdel" getdel::getdel 2 [write fast] (1 1 1) String Delete
        "6.2.0" "O(1)" "Returns a value and removes it";
    Getex b"GETEX" "getex" getex::getex -2 [write fast] (1 1 1) String Get
        "6.2.0" "O(1)" "Returns a value and changes its life";
    Mget b"MGET" "mget" mget::mget -2 [readonly fast] (1 -1 1) String Get
        "1.0.0" "O(N) with N keys" "Returns the values of several keys";
    Mset b"MSET" "mset" mset::mset -3 [write denyoom] (1 -1 2) String Set
        "1.0.1" "O(N) with N keys" "Sets several keys";
    Msetnx b"MSETNX" "msetnx" msetnx::msetnx -3 [write denyoom] (1 -1 2) String Set
        "1.0.1" "O(N) with N keys" "Sets several keys if all are absent";
    Append b"APPEND" "append" append::append 3 [write denyoom fast] (1 1 1) String Set
        "2.0.0" "O(N) with the length of the value" "Appends to a value";
    Strlen b"STRLEN" "strlen" strlen::strlen 2 [readonly fast] (1 1 1) String Get
        "2.2.0" "O(1)" "Returns the length of a value";
    Getrange b"GETRANGE" "getrange" getrange::getrange 4 [readonly] (1 1 1) String Get
        "2.4.0" "O(N) with the length returned" "Returns a part of a value";
    Substr b"SUBSTR" "substr" getrange::getrange 4 [readonly] (1 1 1) String Get
        "1.0.0" "O(N) with the length returned" "Returns a part of a value; the old GETRANGE";
    Setrange b"SETRANGE" "setrange" setrange::setrange 4 [write denyoom] (1 1 1) String Set
        "2.2.0" "O(N) with the length of the value" "Overwrites a part of a value";
    Incr b"INCR" "incr" incr::incr 2 [write denyoom fast] (1 1 1) String Incr
        "1.0.0" "O(1)" "Adds one to an integer";
    Incrby b"INCRBY" "incrby" incr::incrby 3 [write denyoom fast] (1 1 1) String Incr
        "1.0.0" "O(1)" "Adds to an integer";
    Decr b"DECR" "decr" incr::decr 2 [write denyoom fast] (1 1 1) String Incr
        "1.0.0" "O(1)" "Takes one from an integer";
    Decrby b"DECRBY" "decrby" incr::decrby 3 [write denyoom fast] (1 1 1) String Incr
        "1.0.0" "O(1)" "Takes from an integer";
    Incrbyfloat b"INCRBYFLOAT" "incrbyfloat" incrbyfloat::incrbyfloat 3 [write denyoom fast]
        (1 1 1) String Incr "2.6.0" "O(1)" "Adds to a decimal number";
    Del b"DEL" "del" del::del -2 [write] (1 -1 1) Keyspace Delete
        "1.0.0" "O(N) with N keys" "Removes keys";
    Unlink b"UNLINK" "unlink" del::del -2 [write fast] (1 -1 1) Keyspace Delete
        "4.0.0" "O(N) with N keys" "Removes keys; the same as DEL here";
    Delifeq b"DELIFEQ" "delifeq" delifeq::delifeq 3 [write fast] (1 1 1) String Delete
        "9.0.0" "O(1)" "Removes a key that holds this value";
    Eval b"EVAL" "eval" eval::eval -3 [noscript stale skip_monitor no_mandatory_keys movablekeys]
        (0 0 0) Scripting Other "2.6.0" "O(N) with N keys"
        "Carries out a script of a lock library";
    Evalsha b"EVALSHA" "evalsha" eval::evalsha -3
        [noscript stale skip_monitor no_mandatory_keys movablekeys] (0 0 0) Scripting Other
        "2.6.0" "O(N) with N keys" "The same by the hash of a script that was sent before";
    Script b"SCRIPT" "script" eval::script -2 [] (0 0 0) Scripting Other
        "2.6.0" "Depends on subcommand." "Remembers scripts of lock libraries";
    Exists b"EXISTS" "exists" exists::exists -2 [readonly fast] (1 -1 1) Keyspace Get
        "1.0.0" "O(N) with N keys" "Counts the keys that are there";
    Touch b"TOUCH" "touch" exists::exists -2 [readonly fast] (1 -1 1) Keyspace Get
        "3.2.1" "O(N) with N keys" "Counts the keys that are there; the same as EXISTS here";
    Type b"TYPE" "type" type_of::type_of 2 [readonly fast] (1 1 1) Keyspace Get
        "1.0.0" "O(1)" "Returns the type of a value";
    Expire b"EXPIRE" "expire" expire::expire -3 [write fast] (1 1 1) Keyspace Expire
        "1.0.0" "O(1)" "Sets a life in seconds";
    Pexpire b"PEXPIRE" "pexpire" expire::pexpire -3 [write fast] (1 1 1) Keyspace Expire
        "2.6.0" "O(1)" "Sets a life in milliseconds";
    Expireat b"EXPIREAT" "expireat" expire::expireat -3 [write fast] (1 1 1) Keyspace Expire
        "1.2.0" "O(1)" "Sets the end of a life, in Unix seconds";
    Pexpireat b"PEXPIREAT" "pexpireat" expire::pexpireat -3 [write fast] (1 1 1) Keyspace Expire
        "2.6.0" "O(1)" "Sets the end of a life, in Unix milliseconds";
    Expiretime b"EXPIRETIME" "expiretime" ttl::expiretime 2 [readonly fast] (1 1 1) Keyspace Expire
        "7.0.0" "O(1)" "Returns the end of a life, in Unix seconds";
    Pexpiretime b"PEXPIRETIME" "pexpiretime" ttl::pexpiretime 2 [readonly fast] (1 1 1) Keyspace
        Expire "7.0.0" "O(1)" "Returns the end of a life, in Unix milliseconds";
    Ttl b"TTL" "ttl" ttl::ttl 2 [readonly fast] (1 1 1) Keyspace Expire
        "1.0.0" "O(1)" "Returns what is left of a life, in seconds";
    Pttl b"PTTL" "pttl" ttl::pttl 2 [readonly fast] (1 1 1) Keyspace Expire
        "2.6.0" "O(1)" "Returns what is left of a life, in milliseconds";
    Persist b"PERSIST" "persist" persist::persist 2 [write fast] (1 1 1) Keyspace Expire
        "2.2.0" "O(1)" "Lets a key live for ever";
    Scan b"SCAN" "scan" scan::scan -2 [readonly] (0 0 0) Keyspace Scan
        "2.8.0" "O(1) a call, O(N) a whole round" "Walks over the keys in steps";
    Keys b"KEYS" "keys" keys::keys 2 [readonly] (0 0 0) Keyspace Scan
        "1.0.0" "O(N) with N keys" "Returns the keys that match a pattern";
    Dbsize b"DBSIZE" "dbsize" dbsize::dbsize 1 [readonly fast] (0 0 0) Keyspace Scan
        "1.0.0" "O(N) with N keys" "Returns the number of keys";
    Randomkey b"RANDOMKEY" "randomkey" randomkey::randomkey 1 [readonly] (0 0 0) Keyspace Scan
        "1.0.0" "O(1)" "Returns some key";
    Rename b"RENAME" "rename" rename::rename 3 [write] (1 2 1) Keyspace Set
        "1.0.0" "O(1)" "Gives a value another key";
    Renamenx b"RENAMENX" "renamenx" rename::renamenx 3 [write fast] (1 2 1) Keyspace Set
        "1.0.0" "O(1)" "Gives a value another key if that is absent";
    Flushdb b"FLUSHDB" "flushdb" flush::flushdb -1 [write] (0 0 0) Keyspace Delete
        "1.0.0" "O(N) with N keys" "Removes all keys of the database";
    Flushall b"FLUSHALL" "flushall" flush::flushall -1 [write] (0 0 0) Keyspace Delete
        "1.0.0" "O(N) with N keys" "Removes all keys of all databases";
    CacheInvalidate b"CACHE.INVALIDATE" "cache.invalidate" invalidate::invalidate -3 [write] (0 0 0)
        Cache Delete "0.1.0" "O(1), O(N) with N keys or tags"
        "Makes keys, tags, parts of a cache or dependents unusable on all nodes";
    CacheEvent b"CACHE.EVENT" "cache.event" event::event -2 [write] (0 0 0) Cache Delete
        "0.1.0" "O(N) with N orders of its rule" "Invalidates what the rules say of an event";
    CacheSet b"CACHE.SET" "cache.set" set::set_tagged -3 [write denyoom] (1 1 1) Cache Set
        "0.1.0" "O(N) with N tags" "Sets the value of a key, with tags to invalidate it by";
    CacheLock b"CACHE.LOCK" "cache.lock" lock::lock -3 [write denyoom blocking] (1 1 1) Cache Other
        "0.1.0" "O(1)" "Takes a lock, and gives its owner and its fencing token";
    CacheRenew b"CACHE.RENEW" "cache.renew" lock::renew 4 [write fast] (1 1 1) Cache Other
        "0.1.0" "O(1)" "Makes a lock last longer";
    CacheUnlock b"CACHE.UNLOCK" "cache.unlock" lock::unlock 3 [write fast] (1 1 1) Cache Other
        "0.1.0" "O(1)" "Gives a lock back";
    CacheLimit b"CACHE.LIMIT" "cache.limit" limit::limit -5 [write denyoom fast] (1 1 1) Cache Other
        "0.1.0" "O(1)" "Asks whether a request is within a limit of rates";
    CacheNodes b"CACHE.NODES" "cache.nodes" nodes::nodes -1 [admin loading stale] (0 0 0) Cache Other
        "0.1.0" "O(N) with N nodes" "Lists the nodes of the mesh, or connects to one more";
}
