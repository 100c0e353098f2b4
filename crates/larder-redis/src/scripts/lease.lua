-- Asks for the right to load a key.
-- KEYS: key, shard | ARGV: token, ttl in ms, version of a record that the caller may not use (0: none)
-- Answer: ms, 'H' bytes (fresh) | 'G' cut, bytes or nil (granted)
--         | 'T' remaining bytes or nil (taken; its holder will have everybody told of its end)
local key, token, ttl = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local r = read(key)
local live = is_live(r) and r.version ~= tonumber(ARGV[3])
if live and not is_stale(r) then
  return {ms, 'H', redis.call('GET', key)}
end
local stale = live and redis.call('GET', key) or false
if is_leased(r) and r.token ~= token then
  if not is_awaited(r) then
    r.flags = r.flags + AWAITED
    -- A full server may refuse this; then nobody is told.
    redis.pcall('SETRANGE', key, 0, pack(r))
  end
  return {ms, 'T', r.lease - ms, stale}
end
if r then
  forget_waiters(r)
  r.token, r.lease = token, ms + ttl
  rewrite(key, r)
  outlive(key, ttl)
else
  -- A lease is no change of the key, so it has no version of its own.
  r = {kind = LEASE, flags = 0, key_id = 0, version = 0, origin = 0, cost = 0, created = us,
    fresh = 0, token = token, lease = ms + ttl, cut = 0, expires = 0}
  redis.call('SET', key, pack(r), 'PX', 2 * ttl)
end
local cut = present_cut(KEYS[2])
keep_clocks()
return {ms, 'G', cut, stale}
