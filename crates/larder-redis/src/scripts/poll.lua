-- Where the log stands, and who asks. Begins another life of it when it is not a log of this server.
-- KEYS: shard, log, readers | ARGV: a random incarnation, 1 to begin a log where there is none,
--       the reader or nothing, how far it has read, or nothing when it leaves
-- Answer: ms, incarnation (0: there is no log), number of the newest record
local shard, log, readers = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local ms = time[1] * 1000 + math.floor(time[2] / 1000)

-- A server that is full refuses the first write of a script if it may need memory, and lets all of
-- them pass after another one. To be polled it needs no memory worth the name.
redis.pcall('HDEL', shard, '')

-- A process that was started from a dump has the numbers of the dump, and would give those that
-- came after it a second time. So does a replica that took over. Each has another run id.
local info = redis.pcall('INFO', 'server')
local run_id = type(info) == 'string' and string.match(info, 'run_id:(%w+)')
if not run_id then
  return redis.error_reply('NOPERM the bus needs INFO, to see whether the server was restarted')
end

local known, incarnation, seq, high_water, tags =
  unpack(redis.call('HMGET', shard, 'run_id', 'inc', 'seq', 'high_water', 'tags'))
local is_other = known and known ~= run_id
if not incarnation and ARGV[2] == '1' or incarnation and is_other then
  incarnation = ARGV[1]
  redis.call('HSET', shard, 'inc', incarnation)
  redis.call('UNLINK', log)
end
if known ~= run_id then redis.call('HSET', shard, 'run_id', run_id) end
if is_other then
  -- Nobody knows what the other process had taken that this one has not: all its values and leases
  -- are void.
  local base = math.max(time[1] * 1000000 + time[2], tonumber(high_water or 0), tonumber(tags or 0))
  base = string.format('%.0f', base + 1)
  redis.call('HSET', shard, 'base', base, 'tags', base, 'high_water', base)
end

-- A write in any case, at which the script ends where changes are not taken: such a server must not
-- say how far the log is, because the changes are made elsewhere by now. It is a replica, or a primary
-- without its replicas where `min-replicas-to-write` asks for them.
local reader = ARGV[3]
if ARGV[4] == '' then
  redis.call('HDEL', readers, reader)
elseif not enter(readers, reader, ARGV[4], ms) then
  return redis.error_reply('BUSY the shard has too many readers')
end
return {ms, incarnation or 0, seq or 0}
