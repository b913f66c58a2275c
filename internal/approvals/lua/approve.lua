-- approve.lua: one approver's vote on a pending request; the last vote needed approves it.
-- ARGV  5 ms within which it must be applied  6 ms to keep the secrets from then on  7 ms in which it is normally applied,
--       so that people see the result and not each step  8 the person behind the account; empty: not known
-- Answers 'ok', 'missing', 'own' (requesters do not approve), 'same' (nor do they with another account, and who has
-- approved with one does not with another), 'again' (the same vote twice counts once), or 'state'.
if not KNOWN then return answer('missing') end
if get('requester') == WHO then return answer('own') end
if expire_if_late() ~= 'pending' then return answer('state') end
if get('vote:' .. WHO) ~= '' then return answer('again') end
if ARGV[8] ~= '' then
  if get('human') == ARGV[8] or has('voter:' .. ARGV[8]) then return answer('same') end
  set('voter:' .. ARGV[8], WHO)
end
local votes = num('votes') + 1
if votes < num('needed') then
  move('pending', 0, 'vote:' .. WHO, AT, 'votes', votes)
else
  move('approved', ARGV[7], 'vote:' .. WHO, AT, 'votes', votes, 'decided', AT, 'apply_until', ms(NOW + ARGV[5]))
  redis.call('PEXPIRE', SEALED, ARGV[6])
  look(NOW)
end
audit('approve', 'votes', votes .. '/' .. get('needed'))
return answer('ok')
