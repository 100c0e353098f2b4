-- Tags, dependencies and areas, and their numbers on the tag clock.
--
-- A tag's number is in decimal under a key of its own; a dependency's too, and its key tells the key
-- that it stands for. The areas of a cache are two fields of the shard's hash, so that they cannot
-- be lost without it: `last:` and the cache's name is the number of the newest, `area:` and the name
-- is all of them, as `larder_core::area` describes it.

-- A number that nobody has used for so long may go: then the tag counts as invalidated just now.
local TAG_LIFE = 30 * 86400000
local LOST = NUMBERS_END
local MAX_AREAS = 64
local DEPENDENCY, AREA = '\0sdep:', '\0sarea:'

local function is_dependency(key, prefix)
  return string.sub(key, prefix + 1, prefix + #DEPENDENCY) == DEPENDENCY
end

local function dependency_on(key, prefix)
  return string.sub(key, 1, prefix) .. DEPENDENCY .. string.sub(key, prefix + 1)
end

local function depended_on(key, prefix)
  return string.sub(key, 1, prefix) .. string.sub(key, prefix + #DEPENDENCY + 1)
end

-- The cache whose areas a key stands for, or nil.
local function cache_of(key, prefix)
  if string.sub(key, prefix + 1, prefix + #AREA) == AREA then
    return string.sub(key, prefix + #AREA + 1)
  end
end

-- The number of whatever this key stands for. That of a dependency from before the shard lost its
-- memory says nothing: that somebody watches the key was forgotten, too. `look` says how to read it:
-- what holds another type ends a script that `call`s, and is unknown to one that `pcall`s.
local function number_of(shard_key, key, prefix, look)
  local cache = cache_of(key, prefix)
  if cache then
    present_cut(shard_key)
    return tonumber(redis.call('HGET', shard_key, 'last:' .. cache)) or base
  end
  local held = look('GET', key)
  local number = type(held) == 'string' and tonumber(held)
  if is_dependency(key, prefix) then
    present_cut(shard_key)
    return number and number >= base and number or LOST
  end
  return number or present_cut(shard_key)
end

-- Invalidates a tag; gives its new number.
local function bump(shard_key, tag)
  local number = next_number(shard_key)
  redis.call('SET', tag, decimal(number), 'PX', TAG_LIFE)
  return number
end

-- A key was changed: whatever depends on it is void. Nothing happens while nobody watches the key.
local function changed(shard_key, key, prefix)
  open_shard(shard_key)
  if not has_dependencies then return end
  local dependency = dependency_on(key, prefix)
  if redis.call('PTTL', dependency) ~= -2 then bump(shard_key, dependency) end
end

-- Keeps the number of what an entry is going to name. A tag that is not known gets the present one,
-- for good: if it went on to count as invalidated just now, each invalidation of any other tag would
-- make the entry void, and a load that takes longer than the time between two of them could never
-- be stored. A dependency that is not known gets the next one: changes of its key have not been
-- noted, so whatever named it before is void.
local function remember(shard_key, tag, prefix)
  if cache_of(tag, prefix) then return end
  local left, is_new = redis.call('PTTL', tag), false
  if is_dependency(tag, prefix) then
    present_cut(shard_key)
    local held = redis.pcall('GET', tag)
    local number = type(held) == 'string' and tonumber(held)
    is_new = left == -2 or (number and number < base)
    if not has_dependencies then
      redis.call('HSET', shard_key, 'deps', '1')
      has_dependencies = '1'
    end
  end
  if is_new then
    bump(shard_key, tag)
  elseif left ~= -2 then
    if left < TAG_LIFE / 2 then redis.call('PEXPIRE', tag, TAG_LIFE) end
  else
    redis.call('SET', tag, decimal(present_cut(shard_key)), 'PX', TAG_LIFE)
  end
end

-- Whether what this key stands for has not been invalidated since `cut`. A dependency holds, too,
-- while the record that was read is still the same.
local function holds(shard_key, key, prefix, cut, version)
  if version ~= 0 and is_dependency(key, prefix) then
    local r = read(depended_on(key, prefix))
    if r and r.version == version then return true end
  end
  return number_of(shard_key, key, prefix, redis.call) <= cut
end

-- Voids an area of a cache; gives its number. Of two that are the same the newer one counts.
local function void(shard_key, cache, kind, bytes)
  local number = next_number(shard_key)
  local known = redis.call('HGET', shard_key, 'area:' .. cache)
  local stamp = string.format('%016.0f', number)
  local floor = known and string.sub(known, 17, 32) or string.format('%016.0f', base)
  local area, kept = kind .. string.format('%04d', #bytes) .. bytes, {}
  local rest, at = known and string.sub(known, 33) or '', 1
  while at <= #rest do
    local last = at + 20 + tonumber(string.sub(rest, at + 17, at + 20))
    if string.sub(rest, at + 16, last) ~= area then kept[#kept + 1] = string.sub(rest, at, last) end
    at = last + 1
  end
  if #kept >= MAX_AREAS or (kind == 'p' and bytes == '') then
    floor, kept = stamp, {}
  else
    kept[#kept + 1] = stamp .. area
  end
  redis.call('HSET', shard_key, 'last:' .. cache, stamp, 'area:' .. cache,
    stamp .. floor .. table.concat(kept))
  return number
end
