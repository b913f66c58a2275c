-- lapse.lua: the time to retry a failed request is over: its secrets are wiped.
-- Answers 'ok', 'early', 'missing', or 'state'.
if redis.call('EXISTS', REQUEST) == 0 then return answer('missing') end
if get('state') ~= 'failed' or num('retry_until') == 0 then return answer('state') end
if NOW < num('retry_until') then return answer('early') end
redis.call('DEL', SEALED)
redis.call('HDEL', REQUEST, 'retry_until')
redis.call('HSET', REQUEST, 'lease_until', 0)
redis.call('ZREM', DUE, ID)
move('failed')
audit('lapse')
return answer('ok')
