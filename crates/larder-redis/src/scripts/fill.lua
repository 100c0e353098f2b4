-- Stores a loaded record if the lease taken before its load stands, and all that it depends on.
-- KEYS: key, shard, then what it depends on: tags, dependencies, areas
-- ARGV: token kind mode at stale_for origin cost cut payload, length of the key prefix, version of the
--       record whose kind and payload stay (0: those given here take their place), channel, then for
--       each of what it depends on: cut, version of the record that was read (0 if it is no dependency)
-- Answer: ms, 'S' version cut (stored) | 'R' (revoked) | 'L' (lost)
--         | 'T' indexes (these do not hold; the lease stands)
--         | 'G' (what is to stay is not there; the lease stands)
local key, prefix, stays = KEYS[1], tonumber(ARGV[10]), tonumber(ARGV[11])
local r = read(key)
-- Absence refuses: evicted, flushed, restarted empty or removed are all the same here.
if not r then return {ms, 'L'} end
if r.token ~= tonumber(ARGV[1]) then return {ms, 'R'} end
if r.lease <= ms then return {ms, 'L'} end
-- A lease of before the shard lost its memory, and with it whatever would have revoked this one.
present_cut(KEYS[2])
if base > tonumber(ARGV[8]) then return {ms, 'L'} end
if stays ~= 0 and not (is_live(r) and r.version == stays) then
  keep_clocks()
  return {ms, 'G'}
end

local answer = {ms, 'T'}
for i = 3, #KEYS do
  local at = 13 + 2 * (i - 3)
  if not holds(KEYS[2], KEYS[i], prefix, tonumber(ARGV[at]), tonumber(ARGV[at + 1])) then
    answer[#answer + 1] = i - 3
  end
end
for i = 3, #KEYS do remember(KEYS[2], KEYS[i], prefix) end
if #answer > 2 then
  keep_clocks()
  return answer
end

-- All of it holds at this moment.
local version, cut = next_version(KEYS[2], r), present_cut(KEYS[2])
local fresh, expires = ends(ARGV[3], ARGV[4], ARGV[5], nil)
local new = {kind = tonumber(ARGV[2]), flags = 0, key_id = 0, version = version,
  origin = tonumber(ARGV[6]), cost = tonumber(ARGV[7]), created = us, fresh = fresh, token = 0,
  lease = 0, cut = cut, expires = expires}
if stays == 0 then
  store(key, new, ARGV[9])
else
  new.kind, new.key_id = r.kind, r.key_id
  prolong(key, new)
end
keep_clocks()
if is_awaited(r) and incarnation then free(ARGV[12], key, prefix) end
return {ms, 'S', version, cut}
