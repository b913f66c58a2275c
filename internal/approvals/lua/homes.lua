-- homes.lua: whose Home tab shows an older state than there is. Who is named here is taken care of by the caller: each
-- change is handed out once.
-- KEYS  1 who looked at their Home tab, by time  2 what each one's shows, by user: an entry of the trail  3 audit
-- ARGV  1 ms for which a tab counts as looked at
-- Answers users.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - ARGV[1]))
local users = redis.call('ZREVRANGE', KEYS[1], 0, -1)
if #users == 0 then return users end
local newest = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1]
local state = newest and newest[1] or ''
local behind = {}
for _, user in ipairs(users) do
  if redis.call('HGET', KEYS[2], user) ~= state then
    redis.call('HSET', KEYS[2], user, state)
    table.insert(behind, user)
  end
end
redis.call('PEXPIRE', KEYS[2], ARGV[1])
return behind
