-- What scripts find beside the commands. Loaded once for each interpreter.
-- Arguments: the error handler of scripts, what turns an error of ours into one of Lua's.
-- Gives: the function that runs a script, `pcall` and `xpcall` for scripts, the metatable of their
-- globals.
local handler, plain = ...
local error, pcall, tostring, type, xpcall = error, pcall, tostring, type, xpcall

local function run(script)
  return xpcall(script, handler)
end

-- Of the error of a command a script gets the text alone, as before Redis 7.
local function ended(done, ...)
  if done then return true, ... end
  local problem = plain((...))
  if type(problem) == 'table' and problem.err then problem = problem.err end
  return false, problem
end

local function script_pcall(...)
  return ended(pcall(...))
end

local function script_xpcall(call, own)
  return xpcall(call, function(problem) return own(plain(problem)) end)
end

local globals = {
  __index = function(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
  end,
  __newindex = function()
    error('Attempt to modify a readonly table', 2)
  end,
}

return run, script_pcall, script_xpcall, globals
