-- Reads records again.
-- KEYS: shard, log | ARGV: first and last number, most records, most bytes
-- Answer: ms, incarnation (0: there is no log), number of the newest record, number of the oldest
--         (0: the log is empty), 1 if cut short or 0, then per record: number, bytes
local shard, log = KEYS[1], KEYS[2]
local most, room = tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local incarnation, seq = unpack(redis.call('HMGET', shard, 'inc', 'seq'))

-- Ids are `number-0`.
local function number(entry)
  return string.match(entry[1], '^%d+')
end

local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
local entries = redis.call('XRANGE', log, ARGV[1], ARGV[2], 'COUNT', most)
local answer = {time[1] * 1000 + math.floor(time[2] / 1000), incarnation or 0, seq or 0,
  oldest and number(oldest) or 0, #entries == most and 1 or 0}
for _, entry in ipairs(entries) do
  local record = entry[2][2]
  answer[#answer + 1] = number(entry)
  answer[#answer + 1] = record
  room = room - #record
  if room <= 0 then
    answer[5] = 1
    break
  end
end
return answer
