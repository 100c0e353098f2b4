-- Checks, then writes, all of them or none, on values without a header.
-- KEYS: the key of each check, then the key of each write
-- ARGV: checks, then per check: kind version
--       then per write: P mode at payload | R | T mode at
-- Answer: ms, index of the failed check or -1, then per write: existed (0 or 1)
local time = redis.call('TIME')
local ms = math.floor((time[1] * 1000000 + time[2]) / 1000)

-- All lengths are read before the first write: a key of another type ends the script here.
local exists = {}
for i = 1, #KEYS do
  redis.call('STRLEN', KEYS[i])
  exists[KEYS[i]] = redis.call('EXISTS', KEYS[i]) == 1
end

-- The weak version of a value: 52 bits of its SHA-1, above 0.
local function version(key)
  local bytes = redis.call('GET', key)
  if not bytes then return 0 end
  return tonumber(string.sub(redis.sha1hex(bytes), 1, 13), 16) + 1
end

local checks, arg = tonumber(ARGV[1]), 2
for i = 1, checks do
  local expect, holds = ARGV[arg], nil
  if expect == 'A' then holds = not exists[KEYS[i]]
  elseif expect == 'P' then holds = exists[KEYS[i]]
  else holds = version(KEYS[i]) == tonumber(ARGV[arg + 1]) end
  if not holds then return {ms, i - 1} end
  arg = arg + 2
end

-- The end of a life as text; false is never, nil is over already.
local function ends(mode, at)
  if mode == 'N' then return false end
  at = tonumber(at)
  if mode == 'I' then at = at + ms end
  at = math.min(at, 9007199254740991)
  if at <= ms then return nil end
  return string.format('%.0f', at)
end

local function put(key)
  local mode, at, payload = ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3]
  arg = arg + 4
  if mode == 'K' then
    redis.call('SET', key, payload, 'KEEPTTL')
    return true
  end
  local expires = ends(mode, at)
  if expires == nil then redis.call('UNLINK', key)
  elseif expires then
    -- Not PXAT, which Redis 6.0 does not know.
    redis.call('SET', key, payload, 'PX', string.format('%.0f', tonumber(expires) - ms))
  else redis.call('SET', key, payload) end
  return expires ~= nil
end

local function remove(key)
  arg = arg + 1
  redis.call('UNLINK', key)
  return false
end

local function touch(key)
  local mode, at = ARGV[arg + 1], ARGV[arg + 2]
  arg = arg + 3
  if not exists[key] or mode == 'K' then return exists[key] end
  local expires = ends(mode, at)
  if expires == nil then redis.call('UNLINK', key)
  elseif expires then redis.call('PEXPIREAT', key, expires)
  else redis.call('PERSIST', key) end
  return expires ~= nil
end

local apply = {P = put, R = remove, T = touch}
local answer = {ms, -1}
for i = checks + 1, #KEYS do
  local key = KEYS[i]
  answer[#answer + 1] = exists[key] and 1 or 0
  exists[key] = apply[ARGV[arg]](key)
end
return answer
