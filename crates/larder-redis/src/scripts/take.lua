-- Takes a counter away.
-- KEYS: counter | Answer: ms, the number that it had in decimal | ms (it was not there)
local time = redis.call('TIME')
local ms = math.floor((time[1] * 1000000 + time[2]) / 1000)
local number = redis.call('GET', KEYS[1])
if not number then return {ms} end
redis.call('UNLINK', KEYS[1])
return {ms, number}
