-- Shared beginning of every script: the header of a record, the shard's clock, versions.
-- Offsets and meanings are those of docs/wire-format.md. Numbers stay below 2^53, where Lua's
-- doubles are exact. Strings of bytes are unpacked before they are compared: Lua compares
-- strings by the locale.
local HEADER = '>c2BBI2I2I8I4I4I8I8I8I8I8I8'
local LENGTH = 72
local NUMBERS_END = 9007199254740991
local VALUE, TOMBSTONE, LEASE, NEGATIVE = 0, 1, 2, 3

local time = redis.call('TIME')
local us = time[1] * 1000000 + time[2]
local ms = math.floor(us / 1000)

-- The record under a key, or nil where there is none: absent, or bytes of another format.
-- A key that holds no string ends the script here, before anything is written.
local function read(key)
  local bytes = redis.call('GETRANGE', key, 0, LENGTH - 1)
  if #bytes < LENGTH then return nil end
  local magic, format, kind, flags, key_id, version, origin, cost, created, fresh, token, lease,
    cut, expires = struct.unpack(HEADER, bytes)
  if magic ~= 'C1' or format ~= 1 or kind > NEGATIVE then return nil end
  return {kind = kind, flags = flags, key_id = key_id, version = version, origin = origin,
    cost = cost, created = created, fresh = fresh, token = token, lease = lease,
    cut = cut, expires = expires}
end

local function pack(r)
  return struct.pack(HEADER, 'C1', 1, r.kind, r.flags, r.key_id, r.version, r.origin, r.cost,
    r.created, r.fresh, r.token, r.lease, r.cut, r.expires)
end

-- A value or negative entry that has not ended by this shard's clock.
local function is_live(r)
  return r and (r.kind == VALUE or r.kind == NEGATIVE) and (r.expires == 0 or r.expires > ms)
end

local function is_stale(r)
  return r.flags % 2 == 1 or (r.fresh ~= 0 and r.fresh <= ms)
end

local function mark_stale(r)
  if r.flags % 2 == 0 then r.flags = r.flags + 1 end
end

-- Whether somebody was refused the lease of `r`, and waits to hear that it is free.
local AWAITED = 2

local function is_awaited(r)
  return math.floor(r.flags / AWAITED) % 2 == 1
end

local function forget_waiters(r)
  if is_awaited(r) then r.flags = r.flags - AWAITED end
end

local function revoke(r)
  r.token = 0
  r.lease = 0
  forget_waiters(r)
end

-- Tells those who wait that the lease of a key is free. They ask again by themselves, only later.
local function free(channel, key, prefix)
  redis.pcall('PUBLISH', channel, '\0\1' .. string.sub(key, prefix + 1))
end

-- Whether somebody holds a lease now. (Token 0 with time left is a hold: nobody may have one.)
local function is_leased(r)
  return r and r.lease > ms
end

-- The end of the fresh life and of all life; 0 is never. `kept` is the record that is replaced.
local function ends(mode, at, stale_for, kept)
  if mode == 'N' then return 0, 0 end
  if mode == 'K' then
    if kept then return kept.fresh, kept.expires end
    return 0, 0
  end
  local fresh = tonumber(at)
  if mode == 'I' then fresh = fresh + ms end
  fresh = math.max(1, math.min(fresh, NUMBERS_END))
  return fresh, math.min(fresh + tonumber(stale_for), NUMBERS_END)
end

-- A number as text, exactly.
local function decimal(number)
  return string.format('%.0f', number)
end

-- What the shard remembers: the highest version that it gave; the life of its log, false while
-- nobody reads the log; its tag clock, nil until somebody asks for it; where that clock began, at
-- which everything older is void; whether it knows any dependency.
local shard, high_water, incarnation, tag_clock, base, has_dependencies
local high_water_rose, tag_clock_rose, base_rose = false, false, false

local function open_shard(key)
  if shard then return end
  shard = key
  high_water, incarnation, tag_clock, base, has_dependencies =
    unpack(redis.call('HMGET', key, 'high_water', 'inc', 'tags', 'base', 'deps'))
  high_water, tag_clock, base = tonumber(high_water or 0), tonumber(tag_clock), tonumber(base)
end

-- Versions: above the shard's clock in microseconds, above every version that this shard ever
-- gave (so that neither eviction nor a clock that steps back lowers one), above the key's own.
local function next_version(shard_key, r)
  open_shard(shard_key)
  local version = math.max(us, high_water + 1)
  if r and r.version >= version then version = r.version + 1 end
  high_water, high_water_rose = version, true
  return version
end

local function set_tag_clock(number)
  tag_clock, tag_clock_rose = number, true
  if number > high_water then high_water, high_water_rose = number, true end
end

-- Where the tag clock stands: the number of every tag that is not known. Where it is lost, it goes
-- on from the time, which lies beyond all that it gave, so that loss makes entries void.
local function present_cut(shard_key)
  open_shard(shard_key)
  if not tag_clock then set_tag_clock(math.max(us, high_water)) end
  if not base then base, base_rose = tag_clock, true end
  return tag_clock
end

-- The next number of the tag clock, for something that makes older values void.
local function next_number(shard_key)
  local number = math.max(present_cut(shard_key) + 1, high_water + 1, us)
  set_tag_clock(number)
  return number
end

local function keep_clocks()
  if high_water_rose then redis.call('HSET', shard, 'high_water', decimal(high_water)) end
  if tag_clock_rose then redis.call('HSET', shard, 'tags', decimal(tag_clock)) end
  if base_rose then redis.call('HSET', shard, 'base', decimal(base)) end
end

-- Stores a whole record; gives it back, or nil if its life is over already.
local function store(key, r, payload)
  if r.expires ~= 0 and r.expires <= ms then
    redis.call('UNLINK', key)
    return nil
  end
  if r.expires == 0 then
    redis.call('SET', key, pack(r) .. payload)
  else
    -- Not PXAT, which Redis 6.0 does not know; the script's clock is that of `ms`.
    redis.call('SET', key, pack(r) .. payload, 'PX', decimal(r.expires - ms))
  end
  return r
end

-- Rewrites the header in place, whatever the size of the value; keeps the key's own expiry.
local function rewrite(key, r)
  redis.call('SETRANGE', key, 0, pack(r))
end

-- The same with another end of all life; gives the record back, or nil if that is over already.
local function prolong(key, r)
  if r.expires ~= 0 and r.expires <= ms then
    redis.call('UNLINK', key)
    return nil
  end
  rewrite(key, r)
  if r.expires == 0 then redis.call('PERSIST', key)
  else redis.call('PEXPIREAT', key, decimal(r.expires)) end
  return r
end

-- Ends the lease that `r` holds. A lease without a value leaves nothing; nor does a value that only
-- the lease kept.
local function give_back(key, r)
  if r.kind == TOMBSTONE or is_live(r) then
    revoke(r)
    rewrite(key, r)
  else
    redis.call('UNLINK', key)
  end
end

-- Keeps a key long enough for a lease of `ttl` ms and its last fill.
local function outlive(key, ttl)
  local left = redis.call('PTTL', key)
  if left >= 0 and left < 2 * ttl then redis.call('PEXPIRE', key, 2 * ttl) end
end
