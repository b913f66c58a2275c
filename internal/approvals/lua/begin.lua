-- begin.lua: takes every target for this request and hands out its sealed secrets, as a fifth answer.
-- KEYS  8… the locks of the targets
-- ARGV  5 lease  6 ms after which a lock frees itself  7 ms in which it is normally applied
-- Answers 'ok', 'again' (an applier before this one died; the request is applying already), 'fenced',
-- 'busy' (another request is applying to a target), or 'state'.
if get('lease') ~= ARGV[5] then return answer('fenced') end
local state = get('state')
if state ~= 'approved' and state ~= 'applying' then return answer('state') end
for i = 8, #KEYS do
  local holder = redis.call('GET', KEYS[i])
  if holder and holder ~= ID then return answer('busy') end
end
for i = 8, #KEYS do redis.call('SET', KEYS[i], ID, 'PX', ARGV[6]) end
local word = 'again'
if state == 'approved' then
  word = 'ok'
  move('applying', ARGV[7])
  audit('begin')
end
local reply = answer(word)
reply[5] = redis.call('GET', SEALED) or ''
return reply
