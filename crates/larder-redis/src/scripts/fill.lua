-- Stores a loaded record if the lease taken before its load stands, and none of its tags was
-- invalidated since.
-- KEYS: key, shard, then tags | ARGV: token kind mode at stale_for origin cost cut payload
-- Answer: ms, 'S' version (stored) | 'R' (revoked) | 'L' (lost) | 'T' (a tag was invalidated)
local key = KEYS[1]
local r = read(key)
-- Absence refuses: evicted, flushed, restarted empty or removed are all the same here.
if not r then return {ms, 'L'} end
if r.token ~= tonumber(ARGV[1]) then return {ms, 'R'} end
if r.lease <= ms then return {ms, 'L'} end

local cut, raced = tonumber(ARGV[8]), false
for i = 3, #KEYS do
  local number = tonumber(redis.call('GET', KEYS[i])) or present_cut(KEYS[2])
  if number > cut then raced = true end
end
for i = 3, #KEYS do remember(KEYS[2], KEYS[i]) end
if raced then
  give_back(key, r)
  keep_clocks()
  return {ms, 'T'}
end

local version = next_version(KEYS[2], r)
local fresh, expires = ends(ARGV[3], ARGV[4], ARGV[5], nil)
store(key, {kind = tonumber(ARGV[2]), flags = 0, key_id = 0, version = version,
  origin = tonumber(ARGV[6]), cost = tonumber(ARGV[7]), created = us, fresh = fresh, token = 0,
  lease = 0, cut = #KEYS > 2 and cut or 0, expires = expires}, ARGV[9])
keep_clocks()
return {ms, 'S', version}
