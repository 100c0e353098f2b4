-- The numbers of tags, dependencies and areas.
-- KEYS: shard, then tags | ARGV: length of the key prefix, 1 to remember them from now on
-- Answer: ms, then per tag: number
local answer, prefix = {ms}, tonumber(ARGV[1])
for i = 2, #KEYS do
  if ARGV[2] == '1' then remember(KEYS[1], KEYS[i], prefix) end
  answer[i] = number_of(KEYS[1], KEYS[i], prefix, redis.pcall)
end
if ARGV[2] == '1' then
  keep_clocks()
else
  -- A full server may refuse this. No harm: until it is kept, the clock is what the time is.
  pcall(keep_clocks)
end
return answer
