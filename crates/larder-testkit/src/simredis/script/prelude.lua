-- What scripts find beside the commands. Loaded once for each interpreter.
-- Arguments: what runs a command, the error handler. Gives: the function that runs a script,
-- `redis.call`, and the metatable of the scripts' globals.
local command, handler = ...
local error, type, xpcall, tostring = error, type, xpcall, tostring

local function call(...)
  local reply = command(...)
  if type(reply) == 'table' and reply.err then error(reply, 0) end
  return reply
end

local function run(script)
  return xpcall(script, handler)
end

local globals = {
  __index = function(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
  end,
  __newindex = function()
    error('Attempt to modify a readonly table', 2)
  end,
}

return run, call, globals
