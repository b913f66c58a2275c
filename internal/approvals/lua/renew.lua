-- renew.lua: a worker still needs the request that it claimed.
-- ARGV  5 'due' or 'show'  6 lease  7 ms of the lease
-- Answers 'ok' or 'fenced' (somebody else has it, or there is nothing left to do).
local queue, lease = DUE, 'lease'
if ARGV[5] == 'show' then queue, lease = SHOW, 'show' end
if get(lease) ~= ARGV[6] or num(lease .. '_until') == 0 then return answer('fenced') end
redis.call('ZADD', queue, ms(NOW + ARGV[7]), ID)
set(lease .. '_until', ms(NOW + ARGV[7]))
return answer('ok')
