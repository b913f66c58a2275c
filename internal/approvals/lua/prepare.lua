-- prepare.lua: every target was read from Atlas: the request is pending, or rejected if one cannot be updated.
-- ARGV  5 lease  6… for each target: project ID, outcome ('waiting' or 'refused'), baseline JSON, result JSON
-- Answers 'ok', 'fenced', or 'state' (it is no longer submitted).
if get('lease') ~= ARGV[5] then return answer('fenced') end
if expire_if_late() ~= 'submitted' then return answer('state') end
local refused = false
for i = 6, #ARGV, 4 do
  set('outcome:' .. ARGV[i], ARGV[i + 1], 'baseline:' .. ARGV[i], ARGV[i + 2], 'result:' .. ARGV[i], ARGV[i + 3])
  refused = refused or ARGV[i + 1] ~= 'waiting'
end
if refused then
  finish('rejected')
  audit('reject')
else
  move('pending', 0, 'lease_until', 0)
  redis.call('ZADD', DUE, get('expires'), ID)
  audit('prepare')
end
return answer('ok')
