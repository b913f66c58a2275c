-- submit.lua: keeps a new request. The same one again (Slack delivered its submission twice) changes nothing.
-- KEYS  8 what its requester has under way  9 the list of its requester  10… for each target the list of its project, and
--       what is open for the target
-- ARGV  5 submission, JSON  6 its digest  7 sealed secrets  8 ms to wait for approvers  9 ms to keep the secrets
--       10 approvers needed  11 ms to keep list entries  12 ms after which it is shown even if Atlas has not been read
--       13 the change, redacted, for the audit trail  14 traceparent; empty: it is not traced
--       15 the person behind the requester's account; empty: not known  16 how many somebody may have under way
--       17 how many others, open for the same target, learn of it  18… the project ID of each target
-- Answers 'ok', 'exists', or 'many' (the requester has so many under way).
if KNOWN then return answer('exists') end
-- What is decided is taken out here, so that no other move has to know this list. It never holds more than ARGV 16.
local under_way = 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[8], '-inf', '+inf')) do
  if redis.call('ZSCORE', OPEN, id) then under_way = under_way + 1 else redis.call('ZREM', KEYS[8], id) end
end
if under_way >= tonumber(ARGV[16]) then return answer('many') end
local targets = {}
for i = 11, #KEYS, 2 do table.insert(targets, {KEYS[i], ARGV[18 + (i - 11) / 2]}) end
local met, closed = met_at(targets, ARGV[17])
redis.call('ZADD', KEYS[8], AT, ID)
redis.call('PEXPIRE', KEYS[8], ARGV[11])
set('doc', ARGV[5], 'digest', ARGV[6], 'state', 'submitted', 'version', 1, 'requester', WHO, 'needed', ARGV[10],
  'created', AT, 'expires', ms(NOW + ARGV[8]))
redis.call('SET', SEALED, ARGV[7], 'PX', ARGV[9])
redis.call('ZADD', OPEN, AT, ID)
local function list(key)
  redis.call('ZADD', key, AT, ID)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', ms(NOW - ARGV[11]))
  redis.call('PEXPIRE', key, ARGV[11])
end
list(KEYS[9])
for i = 10, #KEYS, 2 do list(KEYS[i]) end
join(targets, ARGV[11], met, closed)
redis.call('ZADD', DUE, AT, ID)
redis.call('ZADD', SHOW, ms(NOW + ARGV[12]), ID)
if ARGV[15] ~= '' then set('human', ARGV[15]) end
if ARGV[14] ~= '' then set('traceparent', ARGV[14]) end
audit('submit', 'change', ARGV[13])
return answer('ok')
