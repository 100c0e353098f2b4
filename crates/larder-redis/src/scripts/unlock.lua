-- Gives a lock back, and says so on the channel of locks.
-- KEYS: lock | ARGV: owner, channel, name of the lock | Answer: ms, 1 or 0
if holder_of(KEYS[1]) ~= ARGV[1] then return {ms, 0} end
redis.call('UNLINK', KEYS[1])
-- May fail: a user without the right to it, for one. Who waits looks again all the same.
redis.pcall('PUBLISH', ARGV[2], ARGV[3])
return {ms, 1}
