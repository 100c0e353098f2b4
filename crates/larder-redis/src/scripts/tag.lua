-- The numbers of tags, each under a key of its own, in decimal.
-- A number that nobody has used for so long may go: then the tag counts as invalidated just now.
local TAG_LIFE = 30 * 86400000

-- Invalidates a tag; gives its new number.
local function bump(shard_key, tag)
  set_tag_clock(math.max(present_cut(shard_key) + 1, us))
  redis.call('SET', tag, decimal(tag_clock), 'PX', TAG_LIFE)
  return tag_clock
end

-- Keeps the number of a tag that an entry is going to name. One that is not known gets the present
-- one, for good: if it went on to count as invalidated just now, each invalidation of any other tag
-- would make the entry void, and a load that takes longer than the time between two of them could
-- never be stored.
local function remember(shard_key, tag)
  local number = decimal(present_cut(shard_key))
  if not redis.call('SET', tag, number, 'PX', TAG_LIFE, 'NX') and
    redis.call('PTTL', tag) < TAG_LIFE / 2
  then
    redis.call('PEXPIRE', tag, TAG_LIFE)
  end
end
