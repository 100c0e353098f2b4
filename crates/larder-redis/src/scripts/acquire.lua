-- Asks for a lock.
-- KEYS: lock, shard, the two halves of the fences | ARGV: owner, ttl in ms, greatest token that the
--       caller has seen
-- Answer: ms, 'H' token (held) | 'T' remaining (taken)
local key, halves, ttl = KEYS[1], {KEYS[3], KEYS[4]}, ARGV[2]
local owner, token = holder_of(key)
if owner and owner ~= ARGV[1] then return {ms, 'T', redis.call('PTTL', key)} end
local failed = open_fences(KEYS[2], halves)
if failed then return failed end
if owner and token >= floor then
  redis.call('PEXPIRE', key, ttl)
  return {ms, 'H', token}
end
token = next_version(KEYS[2], {version = tonumber(ARGV[3])})
redis.call('SET', key, ARGV[1] .. ' ' .. decimal(token), 'PX', ttl)
keep_clocks()
return {ms, 'H', token}
