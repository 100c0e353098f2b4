-- Reads plain values with what is left of their lives, as one moment.
-- KEYS: keys | Answer: ms, then per key: bytes or nil or 'no string' as 0, ms left (-1: for ever)
local time = redis.call('TIME')
local answer = {math.floor((time[1] * 1000000 + time[2]) / 1000)}
for i = 1, #KEYS do
  local bytes = redis.pcall('GET', KEYS[i])
  if type(bytes) == 'table' then bytes = 0 end
  answer[#answer + 1] = bytes
  answer[#answer + 1] = bytes and bytes ~= 0 and redis.call('PTTL', KEYS[i]) or -2
end
return answer
