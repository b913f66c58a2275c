-- claim.lua: one worker takes a due request for a while; the lease it gets fences off the one before it.
-- ARGV  5 'due' or 'show'  6 ms of the lease
-- Answers 'ok' with, as a fifth answer, for how many ms it was due; 'early' (not due, or somebody has it), or 'missing'.
local queue, lease = DUE, 'lease'
if ARGV[5] == 'show' then queue, lease = SHOW, 'show' end
local at = redis.call('ZSCORE', queue, ID)
if not at or tonumber(at) > NOW then return answer('early') end
if not KNOWN then
  redis.call('ZREM', queue, ID)
  return answer('missing')
end
if queue == DUE and get('state') == 'applying' and num('lease_until') > 0 then
  -- The worker before this one ended without a word: whatever it was at may have been sent.
  for i = 1, #record, 2 do
    if string.sub(record[i], 1, 8) == 'outcome:' and record[i + 1] == 'waiting' then set('sent:' .. string.sub(record[i], 9), 1) end
  end
end
redis.call('ZADD', queue, ms(NOW + ARGV[6]), ID)
set(lease, num(lease) + 1, lease .. '_until', ms(NOW + ARGV[6]))
local reply = answer('ok')
reply[5] = ms(NOW - at)
return reply
