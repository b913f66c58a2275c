-- deny.lua: one approver's no, which decides.
-- ARGV  5 why  6 the person behind the account; empty: not known
-- Answers 'ok', 'missing', 'own' (requesters cancel instead), 'same' (also with another account), or 'state'.
if not KNOWN then return answer('missing') end
if get('requester') == WHO then return answer('own') end
if expire_if_late() ~= 'pending' then return answer('state') end
if ARGV[6] ~= '' and get('human') == ARGV[6] then return answer('same') end
finish('denied', 'decided_by', WHO, 'note', ARGV[5])
audit('deny', 'note', ARGV[5])
return answer('ok')
