-- shown.lua: what the messages of a request show now.
-- ARGV  5 lease  6 version that was drawn  7 ms until the next look, or -1: none is needed
--       8 attempts in a row without success; 0: every message is drawn  9… for each message: its name, JSON
-- Answers 'ok', 'moved' (there is more to draw), 'fenced', or 'missing', and no request: who drew it has it. A message that a
-- fenced worker posted is kept if there is no other of its name.
local function brief(word) return {word, AT, {}, entries} end
if not KNOWN then
  redis.call('ZREM', SHOW, ID)
  return brief('missing')
end
local fenced = get('show') ~= ARGV[5]
for i = 9, #ARGV, 2 do
  local message = 'message:' .. ARGV[i]
  local over = ARGV[i] == 'verdict' and (undecided(get('state')) or get('state') == 'approved' or get('state') == 'applying')
  if not (over or fenced and has(message)) then set(message, ARGV[i + 1]) end -- there will be another after a retry
end
if fenced then return brief('fenced') end
set('show_until', 0, 'show_tries', ARGV[8])
if ARGV[8] == '0' and (get('version') ~= ARGV[6] or get('adopted') ~= '') then
  unset('adopted')
  redis.call('ZADD', SHOW, AT, ID)
  return brief('moved')
end
if tonumber(ARGV[7]) >= 0 then
  redis.call('ZADD', SHOW, ms(NOW + ARGV[7]), ID)
else
  redis.call('ZREM', SHOW, ID)
  if not redis.call('ZSCORE', DUE, ID) then redis.call('PEXPIRE', REQUEST, ms(KEEP)) end
end
return brief('ok')
