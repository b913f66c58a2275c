-- cancel.lua: the requester takes back a request that nobody has decided.
-- Answers 'ok', 'missing', 'not_requester', or 'state'.
if not KNOWN then return answer('missing') end
if get('requester') ~= WHO then return answer('not_requester') end
if not undecided(expire_if_late()) then return answer('state') end
finish('cancelled', 'decided_by', WHO)
audit('cancel')
return answer('ok')
