-- adopt.lua: a message about the request that somebody clicked: it is drawn (again), even if nobody remembers posting it.
-- ARGV  5 its name  6 JSON
-- Answers 'ok' or 'missing'.
if not KNOWN then return answer('missing') end
set('message:' .. ARGV[5], ARGV[6])
if num('show_until') > NOW then set('adopted', 1) end -- who draws at the moment does not know it: shown.lua
picture(0)
return answer('ok')
