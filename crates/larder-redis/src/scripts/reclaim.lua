-- Removes records that are void, and tells nobody: whoever could use them knows.
-- KEYS: keys | ARGV: records with an older cut are void
-- Answer: ms, number of records removed
local removed, before = 0, tonumber(ARGV[1])
for i = 1, #KEYS do
  local bytes = redis.pcall('GETRANGE', KEYS[i], 0, 1)
  local r = bytes == 'C1' and read(KEYS[i])
  if r and (r.kind == VALUE or r.kind == NEGATIVE) and r.cut < before and not is_leased(r) then
    redis.call('UNLINK', KEYS[i])
    removed = removed + 1
  end
end
return {ms, removed}
