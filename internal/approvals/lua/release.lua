-- release.lua: a worker is done with a request for now, and says when to look again.
-- ARGV  5 lease  6 version that it acted on  7 ms until the next look  8 attempts in a row without an answer of Atlas
--       9 why it does not go on, for people; empty: it goes on
--       10… IDs of projects that may have been changed though Atlas did not say so
-- Answers 'ok' or 'fenced'. A request that moved meanwhile is looked at again at once.
if get('lease') ~= ARGV[5] then return answer('fenced') end
set('lease_until', 0)
for i = 10, #ARGV do set('sent:' .. ARGV[i], 1) end
local state = get('state')
if not (undecided(state) or state == 'approved' or state == 'applying' or num('retry_until') > 0) then
  redis.call('ZREM', DUE, ID)
  return answer('ok')
end
local at = NOW + ARGV[7]
if get('version') ~= ARGV[6] then
  at = NOW
else
  set('tries', ARGV[8])
  if get('trouble') ~= ARGV[9] then
    set('trouble', ARGV[9], 'version', num('version') + 1)
    picture(0)
  end
end
redis.call('ZADD', DUE, ms(at), ID)
return answer('ok')
