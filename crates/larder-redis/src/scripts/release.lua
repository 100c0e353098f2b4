-- Gives a lease back without a value.
-- KEYS: key | ARGV: token | Answer: ms
local key = KEYS[1]
local r = read(key)
if r and r.token == tonumber(ARGV[1]) then give_back(key, r) end
return {ms}
