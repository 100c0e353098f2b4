-- The log of the shard: one record for each call that changes something, written in the same step.
--
-- A shard whose log nobody has ever asked for has no incarnation, and pays nothing. That is safe:
-- the first poll makes the incarnation, and a copy elsewhere is used only if it was read after a
-- poll, so every change that could make it old comes after the incarnation and is logged. The
-- same holds when the incarnation is lost (eviction, FLUSHALL): the next poll makes another one,
-- at which every reader drops all copies, and until then they live on leases of earlier polls.
local LOG_LENGTH = 65536
local FORMAT = 1
local REPLACED, REMOVED, EXPIRED, TAG_BUMPED, CLEARED, VOIDED, CARRIED = 1, 2, 3, 4, 5, 6, 7
local changes, carried = {}, {}

-- Remembers a change for the record. `prefix` is the length of what keys here begin with. The bytes
-- of the new record, where they are given, travel with the push and are not kept.
local function note(kind, version, key, prefix, record)
  if not incarnation then return end
  local stored = string.sub(key, prefix + 1)
  changes[#changes + 1] = struct.pack('>BI8I4c0', kind, version, #stored, stored)
  if record then
    carried[#changes] = struct.pack('>BI8I4c0I4c0', CARRIED, version, #stored, stored, #record,
      record)
  end
end

-- Writes the record, with `force` even if nothing has changed. Gives its incarnation and number, or
-- 0 and 0. The number counts more than the bytes: a reader that finds a number without a record
-- drops all copies, so from there on nothing may end the script, whose changes are done.
local function emit(shard, log, channel, origin, force)
  if not incarnation or (#changes == 0 and not force) then return 0, 0 end
  local seq = redis.call('HINCRBY', shard, 'seq', 1)
  local head = struct.pack('>BI8I8I4I8', FORMAT, tonumber(incarnation), seq, tonumber(origin), ms)
  local record = head .. table.concat(changes)
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
  if next(carried) then
    for at, change in pairs(carried) do changes[at] = change end
    record = head .. table.concat(changes)
  end
  -- The quick way, which may fail: a user without the right to it, for one.
  redis.pcall('PUBLISH', channel, record)
  return tonumber(incarnation), seq
end
