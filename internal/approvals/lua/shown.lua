-- shown.lua: what the messages of a request show now.
-- ARGV  5 lease  6 version that was drawn  7 ms until the next look, or -1: none is needed
--       8 attempts in a row without success; 0: every message is drawn  9… for each message: its name, JSON
-- Answers 'ok', 'fenced', or 'missing'. A message that a fenced worker posted is kept if there is no other of its name.
if redis.call('EXISTS', REQUEST) == 0 then
  redis.call('ZREM', SHOW, ID)
  return answer('missing')
end
local fenced = get('show') ~= ARGV[5]
for i = 9, #ARGV, 2 do
  if fenced then
    redis.call('HSETNX', REQUEST, 'message:' .. ARGV[i], ARGV[i + 1])
  else
    redis.call('HSET', REQUEST, 'message:' .. ARGV[i], ARGV[i + 1])
  end
end
if fenced then return answer('fenced') end
redis.call('HSET', REQUEST, 'show_until', 0, 'show_tries', ARGV[8])
if ARGV[8] == '0' and get('version') ~= ARGV[6] then
  redis.call('ZADD', SHOW, ms(NOW), ID)
elseif tonumber(ARGV[7]) >= 0 then
  redis.call('ZADD', SHOW, ms(NOW + ARGV[7]), ID)
else
  redis.call('ZREM', SHOW, ID)
  if not redis.call('ZSCORE', DUE, ID) then redis.call('PEXPIRE', REQUEST, ms(KEEP)) end
end
return answer('ok')
