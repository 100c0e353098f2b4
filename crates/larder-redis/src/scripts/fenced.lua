-- The beginning of a commit that bears a token. What follows is the commit as it always is.
-- KEYS: as of a commit, then the two halves of the fences, then the key that is fenced
-- ARGV: as of a commit, then the token
-- Answer: as of a commit, or ms, -2 (refused)
do
  local key, second, first = table.remove(KEYS), table.remove(KEYS), table.remove(KEYS)
  local token, halves = tonumber(table.remove(ARGV)), {first, second}
  local failed = open_fences(KEYS[1], halves)
  if failed then return failed end
  if not pass_fence(KEYS[1], halves, key, token) then return {ms, -2} end
end
