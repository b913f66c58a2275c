-- retry.lua: tries the refused targets of a failed request once more. Stale ones stay: what was approved is gone.
-- ARGV  5 ms within which it must be applied  6 ms to keep the secrets from then on  7 ms in which it is normally applied
-- Answers 'ok', 'missing', 'late' (the secrets are wiped), or 'state'.
if redis.call('EXISTS', REQUEST) == 0 then return answer('missing') end
if get('state') ~= 'failed' then return answer('state') end
if NOW >= num('retry_until') or redis.call('EXISTS', SEALED) == 0 then return answer('late') end
local fields = redis.call('HGETALL', REQUEST)
for i = 1, #fields, 2 do
  if string.sub(fields[i], 1, 8) == 'outcome:' and fields[i + 1] == 'refused' then
    redis.call('HSET', REQUEST, fields[i], 'waiting')
  end
end
redis.call('HSET', REQUEST, 'apply_until', ms(NOW + ARGV[5]))
redis.call('HDEL', REQUEST, 'retry_until')
redis.call('PERSIST', REQUEST)
redis.call('PEXPIRE', SEALED, ARGV[6])
redis.call('ZREM', HISTORY, ID)
redis.call('ZADD', OPEN, get('created'), ID)
local overlaps = overlaps_of(ID)
for id, overlap in pairs(overlaps) do
  if is_open(id) then
    tell(id, {requester = get('requester'), projects = overlap.projects})
  else
    overlaps[id] = nil
  end
end
keep_overlaps(ID, overlaps)
move('approved', ARGV[7])
redis.call('ZADD', DUE, ms(NOW), ID)
audit('retry')
return answer('ok')
