-- Asks whether a request is within a limit; `larder_core::rate` says how that is decided, and this
-- is the same in Lua. Every number here is whole and below 2^53, and so exact.
-- KEYS: bucket | ARGV: count, period in us, burst, cost
-- Answer: ms, 1 (allowed) or 0, remaining, retry after in us, reset after in us
local time = redis.call('TIME')
local us = time[1] * 1000000 + time[2]
local key, count, unit = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local room, poured = tonumber(ARGV[3]) * unit, tonumber(ARGV[4]) * unit

local held = redis.call('GET', key)
local at, level = string.match(held or '', '^(%d+) (%d+)$')
at, level = tonumber(at or us), tonumber(level or 0)
local passed = math.max(us - at, 0)
-- Compared before it is multiplied: what has passed may be long.
if passed >= level / count then level = 0 else level = level - passed * count end

-- Rounded up, without a fraction that a double cannot hold.
local function micros(units)
  local rest = units % count
  local whole = (units - rest) / count
  if rest > 0 then whole = whole + 1 end
  return whole
end

local is_allowed = level + poured <= room
local after = is_allowed and level + poured or level
if (is_allowed and poured > 0) or us < at then
  local left = math.ceil(micros(after) / 1000)
  if left < 1 then
    redis.call('UNLINK', key)
  else
    redis.call('SET', key, string.format('%.0f %.0f', us, after), 'PX', string.format('%.0f', left))
  end
end
local remaining = math.floor(math.max(room - after, 0) / unit)
return {math.floor(us / 1000), is_allowed and 1 or 0, remaining,
  micros(math.max(level + poured - room, 0)), micros(after)}
