-- Gives a lease back without a value.
-- KEYS: key | ARGV: token | Answer: ms
local key = KEYS[1]
local r = read(key)
if r and r.token == tonumber(ARGV[1]) then
  -- A lease without a value leaves nothing; nor does a value that only the lease kept.
  if r.kind == TOMBSTONE or is_live(r) then
    revoke(r)
    rewrite(key, r)
  else
    redis.call('UNLINK', key)
  end
end
return {ms}
