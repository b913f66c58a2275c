-- overlap.lua: notes at a request that another one is open for some of the same targets, or no longer is.
-- KEYS  8 the other request
-- ARGV  5 the other's ID  6 JSON of what is noted of it  7 ms within which the messages follow
-- Answers 'ok' (its messages follow), 'same', 'missing', or 'state' (it is no longer open itself).
local function open(state) return undecided(state) or state == 'approved' or state == 'applying' end
if redis.call('EXISTS', REQUEST) == 0 then return answer('missing') end
if not open(get('state')) then return answer('state') end
local field, noted = 'overlap:' .. ARGV[5], ''
if open(redis.call('HGET', KEYS[8], 'state') or '') then noted = ARGV[6] end
if get(field) == noted then return answer('same') end
if noted == '' then
  redis.call('HDEL', REQUEST, field)
else
  redis.call('HSET', REQUEST, field, noted)
end
redis.call('HINCRBY', REQUEST, 'version', 1)
picture(ARGV[7])
return answer('ok')
