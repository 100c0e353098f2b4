-- Who reads the log.
-- KEYS: shard, readers
-- Answer: ms, incarnation (0: there is no log), number of the newest record, since when the shard
--         remembers whether it has a log (0: nobody knows), since when the list is kept (0: there is
--         none), then per reader: its name, `polled incarnation number`
local shard, readers = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local ms = time[1] * 1000 + math.floor(time[2] / 1000)
-- A server that takes no changes refuses this, which does no harm.
pcall(forget_silent, readers, ms)
local incarnation, seq, base = unpack(redis.call('HMGET', shard, 'inc', 'seq', 'base'))
local since = redis.call('HMGET', readers, 'since')[1]
local answer = {ms, incarnation or 0, seq or 0, math.ceil((base or 0) / 1000), since or 0}
local fields = redis.call('HGETALL', readers)
for i = 1, #fields, 2 do
  if fields[i] ~= 'since' then
    answer[#answer + 1] = fields[i]
    answer[#answer + 1] = fields[i + 1]
  end
end
return answer
