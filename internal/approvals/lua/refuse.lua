-- refuse.lua: somebody tried what they may not: the trail remembers it, nothing else changes.
-- ARGV  5 what they tried  6 why not
audit('refuse', 'tried', ARGV[5], 'why', ARGV[6])
return answer('ok')
