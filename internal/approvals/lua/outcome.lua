-- outcome.lua: how one target came out; the last one makes the request applied or failed and frees the targets.
-- KEYS  8… the locks of the targets
-- ARGV  5 lease  6 project ID  7 its name  8 outcome  9 result JSON  10 detail
--       11 ms from the first failure in which a retry is possible
-- Answers 'ok', 'fenced', or 'state'.
if get('lease') ~= ARGV[5] then return answer('fenced') end
if get('state') ~= 'applying' then return answer('state') end
if get('outcome:' .. ARGV[6]) ~= 'waiting' then return answer('ok') end
set('outcome:' .. ARGV[6], ARGV[8], 'result:' .. ARGV[6], ARGV[9])
audit('target', 'project', ARGV[7], 'project_id', ARGV[6], 'outcome', ARGV[8], 'detail', ARGV[10])

local left = {waiting = 0, applied = 0, refused = 0, stale = 0}
for i = 1, #record, 2 do
  if string.sub(record[i], 1, 8) == 'outcome:' then left[record[i + 1]] = left[record[i + 1]] + 1 end
end
if left.waiting > 0 then return answer('ok') end

for i = 8, #KEYS do
  if redis.call('GET', KEYS[i]) == ID then redis.call('DEL', KEYS[i]) end
end
local retry_until = has('retry_last') and num('retry_last') or NOW + ARGV[11]
if left.refused + left.stale == 0 then
  finish('applied')
  audit('succeed')
elseif left.refused == 0 or retry_until <= NOW or redis.call('EXISTS', SEALED) == 0 then
  finish('failed') -- there is nothing to try again, or with, or it is too late
  audit('fail')
else
  redis.call('PEXPIRE', SEALED, ms(retry_until - NOW))
  redis.call('ZADD', DUE, ms(retry_until), ID)
  move('failed', 0, 'decided', AT, 'lease_until', 0, 'retry_until', ms(retry_until), 'retry_last', ms(retry_until))
  to_history()
  audit('fail')
end
return answer('ok')
