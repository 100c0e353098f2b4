-- Removes records, leases and tombstones, and nothing that Larder did not write.
-- KEYS: keys | Answer: ms, number of live records removed
local removed = 0
for i = 1, #KEYS do
  -- A key of another type is not ours, and no reason to leave the others.
  local bytes = redis.pcall('GETRANGE', KEYS[i], 0, 1)
  if bytes == 'C1' then
    if is_live(read(KEYS[i])) then removed = removed + 1 end
    redis.call('UNLINK', KEYS[i])
  end
end
return {ms, removed}
