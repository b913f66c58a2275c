-- retry.lua: tries the refused targets of a failed request once more. Stale ones stay: what was approved is gone.
-- KEYS  8… for each target what is open for it
-- ARGV  5 ms within which it must be applied  6 ms to keep the secrets from then on  7 ms in which it is normally applied
--       8 how many others, open for the same target, learn of it  9 ms to keep what is open for a target
--       10… the project ID of each target
-- Answers 'ok', 'missing', 'late' (the secrets are wiped), or 'state'.
if not KNOWN then return answer('missing') end
if get('state') ~= 'failed' then return answer('state') end
if NOW >= num('retry_until') or redis.call('EXISTS', SEALED) == 0 then return answer('late') end
local targets = {}
for i = 8, #KEYS do table.insert(targets, {KEYS[i], ARGV[i + 2]}) end
local met, closed = met_at(targets, ARGV[8])
for i = 1, #record, 2 do
  if string.sub(record[i], 1, 8) == 'outcome:' and record[i + 1] == 'refused' then set(record[i], 'waiting') end
end
unset('retry_until')
unset('message:verdict') -- there will be another
redis.call('PERSIST', REQUEST)
redis.call('PEXPIRE', SEALED, ARGV[6])
redis.call('ZREM', HISTORY, ID)
redis.call('ZADD', OPEN, get('created'), ID)
join(targets, ARGV[9], met, closed)
move('approved', ARGV[7], 'apply_until', ms(NOW + ARGV[5]))
redis.call('ZADD', DUE, AT, ID)
audit('retry')
return answer('ok')
