-- The numbers of tags.
-- KEYS: shard, then tags | Answer: ms, then per tag: number
local answer = {ms}
for i, number in ipairs(redis.call('MGET', unpack(KEYS, 2))) do
  answer[i + 1] = tonumber(number) or present_cut(KEYS[1])
end
-- A full server may refuse this. No harm: until it is kept, the clock is what the time is.
pcall(keep_clocks)
return answer
