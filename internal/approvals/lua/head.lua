-- head.lua: whether it is time to post the head of the trail, and to whom this falls. Stands alone, without the prelude.
-- KEYS  1 audit  2 what was posted
-- ARGV  1 ms between posts  2 ms for which one process has the task  3 the hash that it has posted; empty: it asks
-- Answers {entry, its hash}, or nothing. A trail that did not move is not posted again.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function ms(n) return string.format('%.0f', n) end
local function posted(field) return redis.call('HGET', KEYS[2], field) end
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[2], 'at', ms(now), 'hash', ARGV[3], 'taken_until', 0)
  return {}
end
if not posted('at') then redis.call('HSET', KEYS[2], 'at', ms(now)) end -- the first is due a day after the first start
-- A time that cannot be is no reason to wait: who can write here must not be able to keep the head from being posted.
local function waits(from, long) return from <= now and now < from + long end
if waits(tonumber(posted('at')) or 0, tonumber(ARGV[1])) then return {} end
if waits((tonumber(posted('taken_until')) or 0) - ARGV[2], tonumber(ARGV[2])) then return {} end
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if not newest then return {} end
local hash = ''
for i = 1, #newest[2], 2 do
  if newest[2][i] == 'hash' then hash = newest[2][i + 1] end
end
if hash == posted('hash') then
  redis.call('HSET', KEYS[2], 'at', ms(now))
  return {}
end
redis.call('HSET', KEYS[2], 'taken_until', ms(now + ARGV[2]))
return {newest[1], hash}
