-- Gives a lease back without a value.
-- KEYS: key | ARGV: token, channel, length of the key prefix | Answer: ms
local key = KEYS[1]
local r = read(key)
if r and r.token == tonumber(ARGV[1]) then
  local waits = is_awaited(r)
  give_back(key, r)
  if waits then free(ARGV[2], key, tonumber(ARGV[3])) end
end
return {ms}
