//! Lock libraries as people use them.

use std::process::Command;

use larder_testkit::servers::{node_with_ioredis, python, require};

use super::nodes;
use crate::clients::output;

/// The lock of redis-py, whole: taken, refused, extended, taken anew, lost, waited for.
const PYTHON: &str = r#"
import sys, threading, redis
from redis.exceptions import LockError, LockNotOwnedError
r = redis.Redis(port=int(sys.argv[1]), protocol=int(sys.argv[2]))
one = r.lock("lock:job", timeout=30, blocking_timeout=20)
other = r.lock("lock:job", timeout=30, blocking=False)
assert one.acquire() and one.locked() and one.owned()
assert not other.acquire() and not other.owned()
assert one.extend(30) and 50_000 < r.pttl("lock:job") <= 60_000, r.pttl("lock:job")
assert one.extend(10, replace_ttl=True) and r.pttl("lock:job") <= 10_000
assert one.reacquire() and 20_000 < r.pttl("lock:job") <= 30_000
waited = []
def wait():
    with r.lock("lock:job", timeout=30, sleep=0.01, blocking_timeout=20):
        waited.append(r.get("lock:job"))
thread = threading.Thread(target=wait)
thread.start()
one.release()
thread.join()
assert len(waited) == 1 and r.get("lock:job") is None
try:
    one.release()
    raise SystemExit("it was released already")
except LockError:
    pass
assert one.acquire()
r.set("lock:job", "of another one")
for late in (one.release, lambda: one.extend(5), one.reacquire):
    one.local.token = one.local.token or b"lost"
    try:
        late()
        raise SystemExit("it is the lock of another one")
    except LockNotOwnedError:
        pass
assert r.get("lock:job") == b"of another one"
r.delete("lock:job")
print("ok")
"#;

#[test]
fn the_lock_of_redis_py_works() {
    let Some(program) = require(python()) else {
        return;
    };
    for (node, _redis) in nodes() {
        let port = node.resp.port().to_string();
        for protocol in ["2", "3"] {
            let mut command = Command::new(&program);
            command.args(["-c", PYTHON, &port, protocol]);
            assert_eq!(output(&mut command), "ok");
        }
    }
}

/// Redlock over ioredis: one and several resources, taken, refused, extended, given back.
const NODE: &str = r#"
const Redis = require("ioredis");
const { default: Redlock } = require("redlock");
const assert = require("assert");
(async () => {
  const r = new Redis({ port: Number(process.argv[1]), maxRetriesPerRequest: 1 });
  const redlock = new Redlock([r], { retryCount: 0 });
  const patient = new Redlock([r], { retryCount: 200, retryDelay: 10 });
  redlock.on("error", () => {});
  patient.on("error", () => {});
  let lock = await redlock.acquire(["a", "b"], 60000);
  assert.equal(await r.get("a"), await r.get("b"));
  await assert.rejects(redlock.acquire(["b"], 60000));
  lock = await lock.extend(90000);
  assert.ok((await r.pttl("b")) > 60000);
  const waiting = patient.acquire(["b"], 60000);
  await lock.release();
  const next = await waiting;
  assert.equal(await r.exists("a"), 0);
  assert.equal(await r.get("b"), next.value);
  await assert.rejects(lock.extend(1000));
  assert.equal(await r.get("b"), next.value);
  await next.release();
  assert.equal(await r.exists("b"), 0);
  r.defineCommand("unlock", {
    numberOfKeys: 1,
    lua: 'if redis.call("get",KEYS[1]) == ARGV[1]\nthen\n return redis.call("del",KEYS[1])\nelse\n return 0\nend',
  });
  await r.set("c", "me", "PX", 60000, "NX");
  assert.equal(await r.unlock("c", "you"), 0);
  assert.equal(await r.unlock("c", "me"), 1);
  await r.quit();
  console.log("ok");
})().catch((error) => { console.error(error); process.exit(1); });
"#;

#[test]
fn redlock_works() {
    let Some(tool) = require(node_with_ioredis()) else {
        return;
    };
    for (node, _redis) in nodes() {
        let port = node.resp.port().to_string();
        assert_eq!(output(tool.command().args(["-e", NODE, &port])), "ok");
    }
}
