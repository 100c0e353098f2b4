-- The list of those who read the log: a hash, with one field for each reader that says when it last
-- polled and how far it had read, and the field `since`: when the list was begun. Where the list is
-- lost (eviction, FLUSHALL), those who were on it enter again, and nobody relies on it before all of
-- them must have.
local READERS = 4096
local LIFE = 60000

-- Forgets readers that have not polled for so long, or have polled in the future: then the clock
-- was stepped back.
local function forget_silent(readers, ms)
  local fields = redis.call('HGETALL', readers)
  for i = 1, #fields, 2 do
    local polled = tonumber(string.match(fields[i + 1], '^%d+'))
    if fields[i] ~= 'since' and (not polled or math.abs(ms - polled) > LIFE) then
      redis.call('HDEL', readers, fields[i])
    end
  end
end

-- Enters a reader; false if there are too many. A reader that is not on the list must not rely on
-- the log.
local function enter(readers, reader, read, ms)
  local polled = string.format('%.0f', ms)
  if redis.call('HSET', readers, reader, polled .. ' ' .. read) == 0 then return true end
  if not redis.call('HMGET', readers, 'since')[1] then
    redis.call('HSET', readers, 'since', polled)
  end
  if redis.call('HLEN', readers) <= READERS + 1 then return true end
  forget_silent(readers, ms)
  if redis.call('HLEN', readers) <= READERS + 1 then return true end
  redis.call('HDEL', readers, reader)
  return false
end
