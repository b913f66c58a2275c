-- refuse.lua: somebody tried what they may not: the trail remembers it, nothing else changes. Of one person it takes so many
-- a minute, so that nobody can fill it.
-- KEYS  8 how often this person was refused lately        ARGV  5 what they tried  6 why not  7 how many a minute
-- Answers 'ok', or 'enough' (it was not noted).
local times, most = redis.call('HINCRBY', KEYS[8], 'times', 1), tonumber(ARGV[7])
if times == 1 then redis.call('PEXPIRE', KEYS[8], 60000) end
if times > most then return answer('enough') end
if times == most then
  audit('refuse', 'tried', ARGV[5], 'why', ARGV[6], 'more', 'not noted for a minute')
else
  audit('refuse', 'tried', ARGV[5], 'why', ARGV[6])
end
return answer('ok')
