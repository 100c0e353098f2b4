//! Small scripts that show how scripts run: how values change sides, what errors say, and what is
//! not to be reached. Among them random commands called by a script.

use bytes::Bytes;

use super::client::bytes;
use super::commands;
use crate::sim::Random;

/// Scripts whose arguments are a command.
const CALLERS: &[&str] = &[
    "return redis.call(unpack(ARGV))",
    "return {redis.call(unpack(ARGV))}",
    "local given = redis.call(unpack(ARGV))\nreturn given",
    "return redis.pcall(unpack(ARGV))",
    "local given = redis.pcall(unpack(ARGV))\n\
     if type(given) == 'table' and given.err then return {'failed', given.err} end\nreturn given",
    "local done, given = pcall(redis.call, unpack(ARGV))\n\
     if done then return {'done', given} end\nreturn {'failed', given}",
    "redis.call('SET', 'k1', 'before')\nreturn redis.call(unpack(ARGV))",
    "redis.call('HDEL', 'k1', '')\nreturn redis.call(unpack(ARGV))",
    "local done, given = xpcall(function() return redis.call(unpack(ARGV)) end, \
     function(problem) return problem.err end)\nreturn {tostring(done), given}",
    "local given = redis.pcall(unpack(ARGV))\nredis.call('SET', 'k2', type(given))\nreturn 1",
];

/// Scripts that do something with any bytes.
const ON_BYTES: &[&str] = &[
    "return redis.sha1hex(ARGV[1])",
    "return {struct.unpack('>BI2c0', struct.pack('>BI2c0', 1, #ARGV[1], ARGV[1]))}",
    "return {struct.unpack('>I8', ARGV[1])}",
    "return {#KEYS, #ARGV, KEYS[1], ARGV[2]}",
    "return {#ARGV[1], string.byte(ARGV[1], 1, 5)}",
    "return {struct.unpack('<i3>H!8bi4', ARGV[1] .. string.rep('x', 30))}",
    "return struct.pack('>I2c0', #ARGV[1], ARGV[1]) .. string.sub(ARGV[1], 3)",
    "return {ARGV[1], {ARGV[1] == KEYS[1]}}",
];

/// Scripts that do something with one text or number, and may say in an error what they got.
const OTHERS: &[&str] = &[
    "return tonumber(ARGV[1])",
    "return tonumber(ARGV[1]) / 3",
    "return {tonumber(ARGV[1]), tonumber(ARGV[1]) * 1e10, -0.5, 2.999, 'x', true}",
    "return redis.call('SET', 'k1', tonumber(ARGV[1]))",
    "return redis.call('SET', 'k1', tonumber(ARGV[1]) / 7)",
    "return redis.call('SET', 'k1', tonumber(ARGV[1]) * 1e15)",
    "return redis.call('SET', 'k1', -tonumber(ARGV[1]) / 1e7)",
    "return string.format('%.0f', tonumber(ARGV[1]) * 1e14)",
    "return tostring(tonumber(ARGV[1]) * 1234567890123)",
    "return {1, 2, nil, 4}",
    "return {'a', {'b', {}}, false, 'c'}",
    "return",
    "return {ok = ARGV[1]}",
    "return {err = ARGV[1]}",
    "return {{err = 'INNER ' .. ARGV[1]}, {ok = 'fine'}}",
    "return redis.error_reply(ARGV[1])",
    "return redis.status_reply(ARGV[1])",
    "error(ARGV[1])",
    "error(ARGV[1], 0)",
    "\n\nerror({err = 'MINE ' .. ARGV[1]})",
    "return nothing_of_this_name",
    "a_global = 1",
    "local function inner()\n  return nothing_of_this_name\nend\nlocal x = inner()\nreturn x",
    "local t = nil\nreturn t.x",
    "local done, given = pcall(function() error(ARGV[1]) end)\nreturn given",
    "local done, given = pcall(function() return ARGV[1] .. nil end)\nreturn given",
    "return {pcall(function() return nothing_of_this_name end)}",
    "return {pcall(redis.call)}",
    "return ARGV[1] + 1",
    "return 'a' .. {}",
    "return this is no Lua",
    "return redis.call()",
    "return redis.call({})",
    "return redis.call('GET', true)",
    "return redis.pcall('NOSUCH')",
    "return redis.call('EVAL', 'return 1', 0)",
    "return struct.size('>c2BBI2I2I8I4I4I8')",
    "return {struct.unpack('>I' .. ARGV[1], 'abcdefghijklmnop')}",
    "return {struct.unpack('<i' .. ARGV[1], string.rep('\\200', 40))}",
    "return struct.pack('>I8I4I2B', ARGV[1], ARGV[1], ARGV[1], ARGV[1])",
    "return struct.pack('<i8i3hb', tonumber(ARGV[1]), -1, -2, -3)",
    "return struct.pack('!4 b i8', 1, 2) .. struct.pack('>d', ARGV[1]) .. struct.pack('<f', 0.1)",
    "return {struct.unpack('>d<fs', struct.pack('>d<fs', 0.1, 0.5, ARGV[1]))}",
    "return struct.pack('c' .. ARGV[1], 'abc')",
    "return struct.unpack('>I2', 'abcd', tonumber(ARGV[1]))",
    "return struct.pack('q', 1)",
    "return struct.pack('>I8')",
    "local list = redis.call('MGET', 'k1', 'nobody', 'k2')\nreturn {#list, list[2] == false}",
    "local ttl = redis.call('PTTL', 'k1')\nreturn ttl < 0 and ttl or 'some'",
];

/// A call of one of them.
pub(super) fn call(random: &mut Random) -> Vec<Bytes> {
    let among = [CALLERS, CALLERS, CALLERS, ON_BYTES, OTHERS, OTHERS][random.below(6) as usize];
    let text = among[random.below(among.len() as u64) as usize];
    let mut call = vec![bytes("EVAL"), bytes(text)];
    if among == CALLERS {
        call.push(bytes("0"));
        call.extend(match commands::command(random) {
            // A moment cannot be told from a version in what a script gives.
            ends if ends[0] == "PEXPIRETIME" => vec![bytes("PING")],
            command => command,
        });
        return call;
    }
    const WORDS: [&str; 10] = [
        "",
        "word",
        "two words",
        "-MINUS sign",
        "-x",
        "3",
        "8",
        "-2",
        "0.3",
        "70",
    ];
    let arg = if among == ON_BYTES {
        commands::value(random)
    } else {
        bytes(WORDS[random.below(WORDS.len() as u64) as usize])
    };
    call.extend([bytes("1"), commands::key(random), arg, bytes("second")]);
    call
}
