-- looked.lua: somebody looks at their Home tab, which is about to be drawn as things are now.
-- KEYS  as homes.lua
-- ARGV  1 user
local time = redis.call('TIME')
local newest = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1]
redis.call('ZADD', KEYS[1], string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)), ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], newest and newest[1] or '')
return 1
