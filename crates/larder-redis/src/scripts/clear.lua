-- Removes records, leases and tombstones, and nothing that Larder did not write.
-- KEYS: shard, log, then keys | ARGV: channel, length of the key prefix
-- Answer: ms, number of live records removed
local removed = 0
for i = 3, #KEYS do
  local key = KEYS[i]
  -- A key of another type is not ours, and no reason to leave the others.
  local bytes = redis.pcall('GETRANGE', key, 0, 1)
  if bytes == 'C1' then
    local r = read(key)
    if is_live(r) then removed = removed + 1 end
    redis.call('UNLINK', key)
    changed(KEYS[1], key, tonumber(ARGV[2]))
    -- Tombstones and leases too: of an evicted value copies may be left elsewhere.
    note(REMOVED, next_version(KEYS[1], r), key, tonumber(ARGV[2]))
  end
end
keep_clocks()
emit(KEYS[1], KEYS[2], ARGV[1], 0)
return {ms, removed}
