-- Adds to a counter.
-- KEYS: counter | ARGV: what to add, ttl in ms of one that is not there, 0 for none
-- Answer: ms, the number in decimal | ms (it would have left its range, and nothing was added)
local time = redis.call('TIME')
local ms = math.floor((time[1] * 1000000 + time[2]) / 1000)
local key, is_new = KEYS[1], not redis.call('GET', KEYS[1])
local added = redis.pcall('INCRBY', key, ARGV[1])
if type(added) == 'table' and added.err then
  if string.find(added.err, 'overflow', 1, true) then return {ms} end
  return added
end
if is_new and ARGV[2] ~= '0' then redis.call('PEXPIRE', key, ARGV[2]) end
-- As text: a number that goes through Lua is exact below 2^53 only.
return {ms, redis.call('GET', key)}
