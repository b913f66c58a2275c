-- expire.lua: ends an undecided request whose time is up, by Redis' clock.
-- Answers 'ok', 'early' (it still has time), 'missing', or 'state'.
if not KNOWN then return answer('missing') end
if not undecided(get('state')) then return answer('state') end
if expire_if_late() ~= 'expired' then return answer('early') end
return answer('ok')
