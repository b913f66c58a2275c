-- started.lua: a process of the bot began. The trail remembers it, and what is different from the start before it.
-- KEYS  8 what the start before it had
-- ARGV  5 version  6 digest of the configuration  7 digest of the policy  8 IDs of the keys that seal, the primary one first
local STARTED = KEYS[8]
local policy, keys = redis.call('HGET', STARTED, 'policy'), redis.call('HGET', STARTED, 'keys')
redis.call('HSET', STARTED, 'policy', ARGV[7], 'keys', ARGV[8])
audit('start', 'build', ARGV[5], 'config', ARGV[6], 'policy', ARGV[7], 'keys', ARGV[8])
if policy and policy ~= ARGV[7] then audit('policy', 'before', policy, 'policy', ARGV[7]) end
if keys and keys ~= ARGV[8] then audit('keyset', 'before', keys, 'keys', ARGV[8]) end
return answer('ok')
