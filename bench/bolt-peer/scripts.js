// What changes a request is a Lua script each, so that two clicks at once count once.
// Answers that are not 'ok' say why nothing was changed: 'missing', 'own', 'foreign',
// 'again', or the state that the request is in.

// Every script notes in the audit trail what happened, and forgets what is older than the
// retention. ARGV: 1 ID, 2 now, 3 retention, 4 who, 5 what.
const prelude = `
local request, sealed, waiting, history, audit = unpack(KEYS)
local id, now, retention, who, what = unpack(ARGV)
local function note(state)
  redis.call('XADD', audit, 'MINID', '~', now - retention, '*', 'at', now, 'request', id, 'user', who, 'what', what, 'state', state)
end
local function decided(state, keepSealed)
  redis.call('ZREM', waiting, id)
  redis.call('ZADD', history, now, id)
  redis.call('ZREMRANGEBYSCORE', history, '-inf', now - retention)
  redis.call('PEXPIRE', request, retention)
  if not keepSealed then redis.call('DEL', sealed) end
end
`;

export const scripts = {
  // submit keeps a new request. KEYS: 6… the indexes of its projects.
  // ARGV: 6 the sealed values, 7 how long they are kept, 8 when the request expires, 9… fields.
  submit: `${prelude}
    if redis.call('EXISTS', request) == 1 then return 'again' end
    redis.call('HSET', request, 'state', 'submitted', unpack(ARGV, 9))
    redis.call('SET', sealed, ARGV[6], 'PX', ARGV[7])
    redis.call('ZADD', waiting, ARGV[8], id)
    for i = 6, #KEYS do
      redis.call('ZADD', KEYS[i], now, id)
      redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now - retention)
    end
    note('submitted')
    return 'ok'`,

  // approve counts a vote; the last one that is needed approves the request.
  approve: `${prelude}
    local state, requester, needed, expires, votes = unpack(redis.call('HMGET', request, 'state', 'requester', 'needed', 'expires', 'votes'))
    if not state then return 'missing' end
    if requester == who then return 'own' end
    if state ~= 'pending' then return state end
    if tonumber(expires) <= tonumber(now) then return 'expired' end
    votes = votes or ''
    if string.find(votes, who, 1, true) then return 'again' end
    votes = votes == '' and who or votes .. ',' .. who
    redis.call('HSET', request, 'votes', votes)
    local _, commas = string.gsub(votes, ',', '')
    if commas + 1 < tonumber(needed) then
      note('pending')
      return 'counted'
    end
    redis.call('HSET', request, 'state', 'approved', 'decidedAt', now)
    redis.call('ZREM', waiting, id)
    note('approved')
    return 'ok'`,

  // move brings a request from one of some states to another.
  // ARGV: 6 the states, between commas; 7 the new state; 8 who may: 'requester', 'others' or
  // 'all'; 9 how long the sealed values are kept, 0 to delete them with a decision; 10… fields.
  move: `${prelude}
    local from, to, allowed, keep = unpack(ARGV, 6, 9)
    local state, requester = unpack(redis.call('HMGET', request, 'state', 'requester'))
    if not state then return 'missing' end
    if allowed == 'others' and requester == who then return 'own' end
    if allowed == 'requester' and requester ~= who then return 'foreign' end
    if not string.find(from, ',' .. state .. ',', 1, true) then return state end
    redis.call('HSET', request, 'state', to, unpack(ARGV, 10))
    if to == 'pending' or to == 'applying' then
      note(to)
      return 'ok'
    end
    decided(to, tonumber(keep) > 0)
    if tonumber(keep) > 0 then redis.call('PEXPIRE', sealed, keep) end
    note(to)
    return 'ok'`,
};
