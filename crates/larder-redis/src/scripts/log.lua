-- The log of the shard: one record for each call that changes something, written in the same step.
--
-- A shard whose log nobody has ever asked for has no incarnation, and pays nothing. That is safe:
-- the first poll makes the incarnation, and a copy elsewhere is used only if it was read after a
-- poll, so every change that could make it old comes after the incarnation and is logged. The
-- same holds when the incarnation is lost (eviction, FLUSHALL): the next poll makes another one,
-- at which every reader drops all copies, and until then they live on leases of earlier polls.
local LOG_LENGTH = 65536
local FORMAT = 1
local REPLACED, REMOVED, EXPIRED, TAG_BUMPED, CLEARED, VOIDED = 1, 2, 3, 4, 5, 6
local changes = {}

-- Remembers a change for the record. `prefix` is the length of what keys here begin with.
local function note(kind, version, key, prefix)
  if not incarnation then return end
  changes[#changes + 1] = struct.pack('>BI8I4c0', kind, version, #key - prefix,
    string.sub(key, prefix + 1))
end

-- Writes the record. Its number counts more than its bytes: a reader that finds a number without
-- a record drops all copies, so from there on nothing may end the script, whose changes are done.
local function emit(shard, log, channel)
  if #changes == 0 then return end
  local seq = redis.call('HINCRBY', shard, 'seq', 1)
  local record = struct.pack('>BI8I8', FORMAT, tonumber(incarnation), seq) .. table.concat(changes)
  local function add()
    local added = redis.pcall('XADD', log, 'MAXLEN', '~', LOG_LENGTH, string.format('%.0f', seq),
      'r', record)
    return not (type(added) == 'table' and added.err)
  end
  -- Refused if the log goes on from a greater number: then it is of another life.
  if not add() then
    redis.pcall('UNLINK', log)
    add()
  end
  -- The quick way, which may fail: a user without the right to it, for one.
  redis.pcall('PUBLISH', channel, record)
end
