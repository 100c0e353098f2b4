-- Makes a lock last longer.
-- KEYS: lock, shard, the two halves of the fences | ARGV: owner, ttl in ms | Answer: ms, 1 or 0
local owner, token = holder_of(KEYS[1])
if owner ~= ARGV[1] then return {ms, 0} end
local failed = open_fences(KEYS[2], {KEYS[3], KEYS[4]})
if failed then return failed end
-- A lock whose token is refused protects nothing.
if token < floor then return {ms, 0} end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {ms, 1}
