-- Says in the log that every key with a prefix is gone. The pages of a clear name the keys that
-- they removed; but of a value that the server has evicted, copies may be left elsewhere.
-- KEYS: shard, log, the prefix | ARGV: channel, length of the key prefix
-- Answer: ms
note(CLEARED, next_version(KEYS[1], nil), KEYS[3], tonumber(ARGV[2]))
keep_clocks()
emit(KEYS[1], KEYS[2], ARGV[1], 0)
return {ms}
