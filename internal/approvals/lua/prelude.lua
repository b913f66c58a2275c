-- prelude.lua: what every move of a request begins with; scripts.go puts it before each of them.
-- KEYS  1 request  2 its sealed secrets  3 due (work)  4 show (messages)  5 open  6 history  7 audit
-- ARGV  1 request ID  2 who  3 by way of  4 ms for which history is kept
-- A move answers {word, Redis' clock in ms, the request as HGETALL gives it, audit entries just written}.
local REQUEST, SEALED, DUE, SHOW, OPEN, HISTORY, AUDIT = unpack(KEYS, 1, 7)
local ID, WHO, VIA, KEEP = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local time = redis.call('TIME')
local NOW = time[1] * 1000 + math.floor(time[2] / 1000)
local entries = {}

local function ms(n) return string.format('%.0f', n) end
local function get(field) return redis.call('HGET', REQUEST, field) or '' end
local function num(field) return tonumber(get(field)) or 0 end

local function answer(word)
  return {word, ms(NOW), redis.call('HGETALL', REQUEST), entries}
end

-- The trail is a chain: each entry names the hash of the one before it and has one of all that it says, so that
-- nothing can be changed, taken out or put elsewhere unseen. SHA-1 is what Redis has; audit.go computes it again.
local function hash(entry)
  local values, names, text = {}, {}, ''
  for i = 1, #entry, 2 do
    table.insert(names, entry[i])
    values[entry[i]] = tostring(entry[i + 1])
  end
  table.sort(names)
  for _, name in ipairs(names) do
    text = text .. #name .. ':' .. name .. #values[name] .. ':' .. values[name]
  end
  return redis.sha1hex(text)
end

local function last_hash()
  local last = redis.call('XREVRANGE', AUDIT, '+', '-', 'COUNT', 1)[1]
  for i = 1, last and #last[2] or 0, 2 do
    if last[2][i] == 'hash' then return last[2][i + 1] end
  end
  return ''
end

local function audit(event, ...)
  local entry = {'event', event, 'request', ID, 'by', WHO, 'via', VIA,
    'state', get('state'), 'version', get('version'), 'digest', get('digest'), 'at', ms(NOW), 'prev', last_hash(), ...}
  local own = hash(entry)
  table.insert(entry, 'hash')
  table.insert(entry, own)
  local id = redis.call('XADD', AUDIT, 'MINID', '~', ms(NOW - KEEP), '*', unpack(entry))
  table.insert(entry, 1, id)
  table.insert(entries, entry)
end

-- A worker that holds the request looks again by itself when its version has moved: release.lua.
local function look(at)
  if num('lease_until') <= NOW then redis.call('ZADD', DUE, ms(at), ID) end
end

-- The messages follow within so many ms, sooner if they were due sooner. While somebody draws them they are left
-- alone: shown.lua sees that the version has moved.
local function picture(within)
  if num('show_until') <= NOW then redis.call('ZADD', SHOW, 'LT', ms(NOW + within), ID) end
end

local function move(state, within)
  redis.call('HSET', REQUEST, 'state', state, 'tries', 0, 'trouble', '')
  redis.call('HINCRBY', REQUEST, 'version', 1)
  picture(within or 0)
end

local function to_history()
  redis.call('ZREM', OPEN, ID)
  redis.call('ZADD', HISTORY, ms(NOW), ID)
  redis.call('ZREMRANGEBYSCORE', HISTORY, '-inf', ms(NOW - KEEP))
end

-- The secrets go in the same step that makes a request final.
local function finish(state)
  redis.call('HSET', REQUEST, 'decided', ms(NOW), 'lease_until', 0)
  move(state)
  redis.call('DEL', SEALED)
  redis.call('ZREM', DUE, ID)
  to_history()
end

local function undecided(state) return state == 'submitted' or state == 'pending' end

-- Time decides before people do: an act on a request whose time is up expires it.
local function expire_if_late()
  if undecided(get('state')) and NOW >= num('expires') then
    finish('expired')
    audit('expire')
  end
  return get('state')
end
