-- overlapping.lua: the requests that are open for any of some targets. Stands alone, without the prelude. Their records are
-- not among KEYS, since only the lists know who they are: all keys of a workspace share one hash tag.
-- KEYS  1 open  2… what is open for each target; a request that ended may still be in there
-- ARGV  1 how many of the newest of each  2 what the keys of records begin with
-- Answers {Redis' clock in ms, for each request its ID and its record as HGETALL gives it…}.
local time = redis.call('TIME')
local found, seen = {string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))}, {}
for i = 2, #KEYS do
  for _, id in ipairs(redis.call('ZREVRANGE', KEYS[i], 0, ARGV[1] - 1)) do
    if not seen[id] and redis.call('ZSCORE', KEYS[1], id) then
      seen[id] = true
      table.insert(found, id)
      table.insert(found, redis.call('HGETALL', ARGV[2] .. id))
    end
  end
end
return found
