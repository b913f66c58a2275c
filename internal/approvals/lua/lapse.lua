-- lapse.lua: the time to retry a failed request is over: its secrets are wiped.
-- Answers 'ok', 'early', 'missing', or 'state'.
if not KNOWN then return answer('missing') end
if get('state') ~= 'failed' or num('retry_until') == 0 then return answer('state') end
if NOW < num('retry_until') then return answer('early') end
redis.call('DEL', SEALED)
redis.call('ZREM', DUE, ID)
unset('retry_until')
move('failed', 0, 'lease_until', 0)
audit('lapse')
return answer('ok')
