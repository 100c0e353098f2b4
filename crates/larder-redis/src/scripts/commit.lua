-- Checks, then writes, all of them or none.
-- KEYS: shard, log, then the key of each check, then the key of each write (repeats are fine), then
--       all tags of records that are put
-- ARGV: checks, frees, channel, length of the key prefix, tags, origin, most bytes of records that
--       travel with the push, 1 to write into the log in any case, then per check: kind version
--       then per write: P kind mode at stale_for origin cost cut payload (cut 0: the present one)
--                       | R tombstone_ms | E | T mode at stale_for | B | A kind area
-- Answer: ms, index of the failed check or -1, then, if none failed, the incarnation and number of
--         the record in the log (0 and 0: there is none), then per write: version, existed (0 or 1)

-- Every header is read before the first write: a key of another type ends the script while
-- nothing has happened yet.
local records = {}
for i = 3, #KEYS do
  if records[KEYS[i]] == nil then records[KEYS[i]] = read(KEYS[i]) or false end
end

local checks, arg = tonumber(ARGV[1]), 9
for i = 1, checks do
  local r, expect = records[KEYS[i + 2]], ARGV[arg]
  local live, holds = is_live(r), nil
  if expect == 'A' then holds = not live
  elseif expect == 'P' then holds = live
  else holds = (live and r.version or 0) == tonumber(ARGV[arg + 1]) end
  if not holds then return {ms, i - 1} end
  arg = arg + 2
end

-- A server that is full refuses the first write of a script if it may need memory, and lets all
-- of them pass after another one. Invalidations must not fail for want of memory.
if ARGV[2] == '1' then redis.call('HDEL', KEYS[1], '') end

local put, remove, expire, touch
local payload

function put(key, r, version)
  local fresh, expires = ends(ARGV[arg + 2], ARGV[arg + 3], ARGV[arg + 4], is_live(r) and r)
  local cut = tonumber(ARGV[arg + 7])
  if cut == 0 then cut = present_cut(KEYS[1]) end
  payload = ARGV[arg + 8]
  local new = {kind = tonumber(ARGV[arg + 1]), flags = 0, key_id = 0, version = version,
    origin = tonumber(ARGV[arg + 5]), cost = tonumber(ARGV[arg + 6]), created = us, fresh = fresh,
    token = 0, lease = 0, cut = cut, expires = expires}
  arg = arg + 9
  return store(key, new, payload)
end

function remove(key, r, version)
  local tombstone = tonumber(ARGV[arg + 1])
  arg = arg + 2
  redis.call('UNLINK', key)
  if tombstone == 0 then return nil end
  local expires = math.min(ms + tombstone, NUMBERS_END)
  return store(key, {kind = TOMBSTONE, flags = 0, key_id = 0, version = version, origin = 0,
    cost = 0, created = us, fresh = 0, token = 0, lease = 0, cut = 0,
    expires = expires}, '')
end

function expire(key, r, version)
  arg = arg + 1
  if not r then return nil end
  -- A lease without a value is ended by removing it: a fill finds nothing and is refused.
  if not is_live(r) and r.kind ~= TOMBSTONE then
    redis.call('UNLINK', key)
    return nil
  end
  if is_live(r) then mark_stale(r) end
  r.version = version
  revoke(r)
  rewrite(key, r)
  return r
end

function touch(key, r, version)
  local mode, at, stale_for = ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3]
  arg = arg + 4
  if not is_live(r) then return r end
  r.fresh, r.expires = ends(mode, at, stale_for, r)
  r.version = version
  revoke(r)
  return prolong(key, r)
end

-- What a write means for copies elsewhere. Removing and expiring are told of absent keys too: the
-- record may have been evicted, and copies of it not. Touching what is absent changes nothing.
local function meaning(write, was_live, after)
  if write == 'R' then return REMOVED end
  if write == 'E' then return EXPIRED end
  if write == 'T' and not was_live then return nil end
  return after and REPLACED or REMOVED
end

local apply = {P = put, R = remove, E = expire, T = touch}
local answer, prefix, room = {ms, -1, 0, 0}, tonumber(ARGV[4]), tonumber(ARGV[7])
local first_tag = #KEYS - tonumber(ARGV[5]) + 1

-- The bytes of a record that was put, if there is still room for it to travel.
local function travels(write, after)
  if write ~= 'P' or not after or LENGTH + #payload > room then return nil end
  room = room - LENGTH - #payload
  return pack(after) .. payload
end

local function change(key, write)
  local r = records[key]
  local version, was_live = next_version(KEYS[1], r), is_live(r)
  -- First, so that a value which replaces another one is newer than what this makes void.
  changed(KEYS[1], key, prefix)
  local after = apply[write](key, r, version)
  records[key] = after or false
  return version, was_live and 1 or 0, meaning(write, was_live, after), nil,
    travels(write, after)
end

local function invalidate(tag)
  arg = arg + 1
  return bump(KEYS[1], tag), 0, TAG_BUMPED
end

local function void_area(key)
  local kind, bytes = ARGV[arg + 1], ARGV[arg + 2]
  arg = arg + 3
  local number = void(KEYS[1], cache_of(key, prefix), kind, bytes)
  return number, 0, VOIDED, key .. '\0' .. kind .. bytes
end

local special = {B = invalidate, A = void_area}
for i = first_tag, #KEYS do remember(KEYS[1], KEYS[i], prefix) end
for i = checks + 3, first_tag - 1 do
  local key, write = KEYS[i], ARGV[arg]
  local version, existed, kind, noted, record = (special[write] or change)(key, write)
  answer[#answer + 1] = version
  answer[#answer + 1] = existed
  if kind then note(kind, version, noted or key, prefix, record) end
end
keep_clocks()
local probes = ARGV[8] == '1'
if probes then open_shard(KEYS[1]) end
answer[3], answer[4] = emit(KEYS[1], KEYS[2], ARGV[3], ARGV[6], probes)
return answer
