-- due.lua: which requests to look at, by Redis' clock. Stands alone, without the prelude.
-- KEYS  1 due or show        ARGV  1 at most how many
-- Answers {ms until the next one is due (-1: none is waiting), the IDs that are due now…}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now), 'LIMIT', 0, ARGV[1])
local nxt = redis.call('ZRANGEBYSCORE', KEYS[1], string.format('(%.0f', now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local wait = -1
if nxt[2] then wait = tonumber(nxt[2]) - now end
return {wait, unpack(due)}
