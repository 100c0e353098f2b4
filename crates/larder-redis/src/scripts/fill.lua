-- Stores a loaded record if the lease taken before its load stands.
-- KEYS: key, shard | ARGV: token kind mode at stale_for origin cost payload
-- Answer: ms, 'S' version (stored) | 'R' (revoked) | 'L' (lost)
local key = KEYS[1]
local r = read(key)
-- Absence refuses: evicted, flushed, restarted empty or removed are all the same here.
if not r then return {ms, 'L'} end
if r.token ~= tonumber(ARGV[1]) then return {ms, 'R'} end
if r.lease <= ms then return {ms, 'L'} end
local version = next_version(KEYS[2], r)
local fresh, expires = ends(ARGV[3], ARGV[4], ARGV[5], nil)
store(key, {kind = tonumber(ARGV[2]), flags = 0, key_id = 0, version = version,
  origin = tonumber(ARGV[6]), cost = tonumber(ARGV[7]), created = us, fresh = fresh, token = 0,
  lease = 0, generation = 0, expires = expires}, ARGV[8])
keep_high_water()
return {ms, 'S', version}
