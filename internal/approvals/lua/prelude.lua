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
  local values, names, text = {}, {}, {}
  for i = 1, #entry, 2 do
    table.insert(names, entry[i])
    values[entry[i]] = tostring(entry[i + 1])
  end
  table.sort(names)
  for i, name in ipairs(names) do
    text[i] = #name .. ':' .. name .. #values[name] .. ':' .. values[name]
  end
  return redis.sha1hex(table.concat(text))
end

local function last_hash()
  local last = redis.call('XREVRANGE', AUDIT, '+', '-', 'COUNT', 1)[1]
  for i = last and #last[2] - 1 or 0, 1, -2 do -- it is the last field
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
local function picture_of(request, id, within)
  if tonumber(redis.call('HGET', request, 'show_until') or 0) <= NOW then redis.call('ZADD', SHOW, 'LT', ms(NOW + within), id) end
end
local function picture(within) picture_of(REQUEST, ID, within) end

local function move(state, within)
  redis.call('HSET', REQUEST, 'state', state, 'tries', 0, 'trouble', '')
  redis.call('HINCRBY', REQUEST, 'version', 1)
  picture(within or 0)
end

-- Requests that are open for the same target know of each other: 'overlaps' is JSON, by the ID of the other its requester
-- and the projects. The records of others are not among KEYS: who they are is known only here, and all keys of a
-- workspace share one hash tag, so they are where these are.
local function record_of(id) return string.sub(REQUEST, 1, -#ID - 1) .. id end
local function is_open(id) return redis.call('ZSCORE', OPEN, id) and redis.call('EXISTS', record_of(id)) == 1 end
local function overlaps_of(id)
  local text = redis.call('HGET', record_of(id), 'overlaps') or ''
  if text == '' then return {} end
  return cjson.decode(text)
end
local function keep_overlaps(id, overlaps)
  local text = ''
  if next(overlaps) then text = cjson.encode(overlaps) end
  redis.call('HSET', record_of(id), 'overlaps', text)
end
-- The other learns that this one is open, or with nothing that it no longer is. Where many want the same at once, its
-- messages are not drawn for each of them.
local function tell(id, overlap)
  local overlaps = overlaps_of(id)
  overlaps[ID] = overlap
  keep_overlaps(id, overlaps)
  redis.call('HINCRBY', record_of(id), 'version', 1)
  picture_of(record_of(id), id, 2000)
end
local function part()
  for id in pairs(overlaps_of(ID)) do
    if is_open(id) then tell(id, nil) end
  end
end

local function to_history()
  part()
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
