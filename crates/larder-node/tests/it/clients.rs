//! Clients as people use them: what they do on connect, and the commands of every day.

use std::process::Command;

use larder_testkit::servers::{node_with_ioredis, python, redis_cli, require};

use crate::node::Node;

/// Runs a client to its end and gives what it printed.
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .replace("\r\n", "\n")
}

#[test]
fn redis_cli_works_in_both_protocols() {
    let Some(program) = require(redis_cli()) else {
        return;
    };
    let node = Node::start(&[], &[]);
    let port = node.resp.port().to_string();
    let cli = |words: &[&str]| output(Command::new(&program).args(["-p", &port]).args(words));
    assert_eq!(cli(&["SET", "hello", "world", "EX", "60"]), "OK");
    assert_eq!(cli(&["-3", "GET", "hello"]), "world");
    assert_eq!(cli(&["-n", "3", "EXISTS", "hello"]), "0");
    assert_eq!(cli(&["--scan", "--pattern", "h*"]), "hello");
    assert!(cli(&["-3", "INFO", "server"]).contains("redis_mode:standalone"));
    assert!(cli(&["--bigkeys"]).contains("1 strings with 5 bytes"));
}

/// The everyday commands through redis-py; the protocol is the first argument.
const PYTHON: &str = r#"
import sys, redis
port, protocol = int(sys.argv[1]), int(sys.argv[2])
r = redis.Redis(port=port, protocol=protocol, client_name="tested")
assert r.ping()
assert r.client_getname() in ("tested", b"tested"), r.client_getname()
assert r.set("k", b"\x00\xff", ex=100) and r.get("k") == b"\x00\xff"
assert 90 < r.ttl("k") <= 100 and r.type("k") == b"string"
assert r.mset({"a": 1, "b": 2}) and r.mget("a", "b", "c") == [b"1", b"2", None]
assert r.incr("n", 5) == 5 and r.incrbyfloat("n", 0.5) == 5.5
assert r.set("lock", "me", nx=True, px=5000) and r.set("lock", "you", nx=True) is None
assert sorted(r.scan_iter("[ab]")) == [b"a", b"b"]
with r.pipeline(transaction=False) as pipe:
    for i in range(1000):
        pipe.set(f"p:{i}", i)
    assert all(pipe.execute())
assert r.dbsize() == 1005, r.dbsize()
assert r.config_get("databases")["databases"] == "16"
assert r.info()["redis_mode"] == "standalone"
assert r.command_count() > 50 and "get" in r.command()
assert any(c["name"] == "tested" for c in r.client_list())
try:
    r.execute_command("XADD", "s", "*", "f", "v")
    raise SystemExit("XADD should be unknown")
except redis.ResponseError as error:
    assert "unknown command" in str(error), error
assert r.delete("a", "b", "c") == 2
assert r.flushall() and r.dbsize() == 0
print("ok", redis.__version__)
"#;

#[test]
fn redis_py_works_in_both_protocols() {
    let Some(program) = require(python()) else {
        return;
    };
    let node = Node::start(&[], &[]);
    let port = node.resp.port().to_string();
    for protocol in ["2", "3"] {
        let printed = output(Command::new(&program).args(["-c", PYTHON, &port, protocol]));
        assert!(printed.starts_with("ok "), "{printed}");
    }
}

/// The same through ioredis, whose ready check reads `INFO`.
const NODE: &str = r#"
const Redis = require("ioredis");
const assert = require("assert");
(async () => {
  const r = new Redis({ port: Number(process.argv[1]), maxRetriesPerRequest: 1 });
  await new Promise((resolve, reject) => { r.on("ready", resolve); r.on("error", reject); });
  assert.equal(await r.set("k", "v", "EX", 100), "OK");
  assert.equal(await r.get("k"), "v");
  assert.deepEqual(await r.mget("k", "absent"), ["v", null]);
  assert.equal(await r.incrby("n", 7), 7);
  const replies = await r.pipeline().set("a", 1).incr("a").get("a").exec();
  assert.deepEqual(replies.map(([error, reply]) => reply), ["OK", 2, "2"]);
  const found = [];
  for await (const keys of r.scanStream({ match: "[ak]" })) found.push(...keys);
  assert.deepEqual(found.sort(), ["a", "k"]);
  assert.equal(await r.flushall(), "OK");
  await r.quit();
  console.log("ok");
})().catch((error) => { console.error(error); process.exit(1); });
"#;

#[test]
fn ioredis_becomes_ready_and_works() {
    let Some(tool) = require(node_with_ioredis()) else {
        return;
    };
    let node = Node::start(&[], &[]);
    let port = node.resp.port().to_string();
    assert_eq!(output(tool.command().args(["-e", NODE, &port])), "ok");
}
