-- Locks, and the memory of the tokens that were seen for keys.
--
-- A lock is a string `owner token` under its own key, with the lock's life. Tokens are versions of
-- the shard: one sequence for all locks.
--
-- The tokens seen for keys are two hashes, of which one is added to. When that is full, the other one
-- is dropped and added to from then on, and every token from before the moment at which the dropped
-- one was full is refused: the floor. Where any of this is lost, or belongs to another process of the
-- server (which may have started from an old dump, or be a replica that took over), the floor is now:
-- who holds a lock from before is refused, because nobody knows what was seen since.
local FENCES = 65536
local floor, young, top

local function run_id()
  local info = redis.pcall('INFO', 'server')
  return type(info) == 'string' and string.match(info, 'run_id:(%w+)')
end

local function field(hash, name)
  return redis.call('HMGET', hash, name)[1]
end

-- Opens the memory; gives an error if this server cannot have one.
local function open_fences(shard_key, halves)
  open_shard(shard_key)
  local life = run_id()
  if not life then
    return redis.error_reply('NOPERM locks need INFO, to see whether the server was restarted')
  end
  local of, at_floor, at_young, at_top =
    unpack(redis.call('HMGET', shard_key, 'fence_life', 'floor', 'young', 'top'))
  floor, young, top = tonumber(at_floor), tonumber(at_young), tonumber(at_top)
  local is_whole = of == life and floor and young and field(halves[young], 'life') == of
    and (not top or field(halves[3 - young], 'life') == of)
  if is_whole then return nil end
  floor, young, top = next_version(shard_key, nil), 1, nil
  redis.call('UNLINK', halves[1], halves[2])
  redis.call('HDEL', shard_key, 'top')
  redis.call('HSET', shard_key, 'fence_life', life, 'floor', decimal(floor), 'young', 1)
  redis.call('HSET', halves[1], 'life', life)
  keep_clocks()
  return nil
end

-- Remembers that a token was seen for a key, or gives false because a greater one was.
local function pass_fence(shard_key, halves, key, token)
  local seen = field(halves[young], 'of:' .. key) or field(halves[3 - young], 'of:' .. key)
  if token < floor or token > high_water or token < tonumber(seen or 0) then return false end
  if redis.call('HLEN', halves[young]) > FENCES then
    if top then floor = math.max(floor, top) end
    young, top = 3 - young, high_water
    redis.call('UNLINK', halves[young])
    redis.call('HSET', halves[young], 'life', field(shard_key, 'fence_life'))
    redis.call('HSET', shard_key, 'floor', decimal(floor), 'young', young, 'top', decimal(top))
    if token < floor then return false end
  end
  redis.call('HSET', halves[young], 'of:' .. key, decimal(token))
  return true
end

-- Who holds a lock, and its token. Bytes that are no lock are nobody's.
local function holder_of(key)
  local held = redis.call('GET', key)
  local owner, token = string.match(held or '', '^(%x+) (%d+)$')
  return owner, tonumber(token)
end
