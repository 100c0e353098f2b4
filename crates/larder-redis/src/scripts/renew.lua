-- Makes a standing lease last longer.
-- KEYS: key | ARGV: token, ttl in ms | Answer: ms, 1 or 0
local key, ttl = KEYS[1], tonumber(ARGV[2])
local r = read(key)
if not is_leased(r) or r.token ~= tonumber(ARGV[1]) then return {ms, 0} end
r.lease = ms + ttl
rewrite(key, r)
outlive(key, ttl)
return {ms, 1}
