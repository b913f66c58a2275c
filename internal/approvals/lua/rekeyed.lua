-- rekeyed.lua: a process goes on with other keys than those that the last start or change noted. Several that do the same
-- note it once.
-- KEYS  8 what the start before it had        ARGV  5 IDs of the keys that seal, the primary one first
local before = redis.call('HGET', KEYS[8], 'keys') or ''
if before == ARGV[5] then return answer('ok') end
redis.call('HSET', KEYS[8], 'keys', ARGV[5])
audit('keyset', 'before', before, 'keys', ARGV[5])
return answer('ok')
