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
local AT = ms(NOW)

-- The request is read once; set changes what was read together with what is kept.
local record, place = redis.call('HGETALL', REQUEST), {}
for i = 1, #record, 2 do place[record[i]] = i + 1 end
local KNOWN = record[1] ~= nil

local function has(field) return place[field] ~= nil end
local function get(field) return record[place[field]] or '' end
local function num(field) return tonumber(record[place[field]]) or 0 end
local function set(...)
  local given = {...}
  for i = 1, #given, 2 do
    local at = place[given[i]]
    if not at then
      at = #record + 2
      record[at - 1], place[given[i]] = given[i], at
    end
    record[at] = tostring(given[i + 1])
  end
  redis.call('HSET', REQUEST, ...)
end
local function unset(field)
  if has(field) then record[place[field]] = '' end -- which reads like what is not there
  redis.call('HDEL', REQUEST, field)
end

local function answer(word) return {word, AT, record, entries} end

-- The trail is a chain: each entry names the hash of the one before it and has one of all that it says, so that
-- nothing can be changed, taken out or put elsewhere unseen. SHA-1 is what Redis has; audit.go computes it again.
local function hash(entry)
  local names, text = {}, {}
  for i = 1, #entry, 2 do
    local name, value = entry[i], entry[i + 1]
    names[(i + 1) / 2] = name
    text[name] = #name .. ':' .. name .. #value .. ':' .. value
  end
  table.sort(names)
  for i, name in ipairs(names) do names[i] = text[name] end
  return redis.sha1hex(table.concat(names))
end

local head -- the hash of the newest entry, once it is known
local function last_hash()
  if head then return head end
  local last = redis.call('XREVRANGE', AUDIT, '+', '-', 'COUNT', 1)[1]
  for i = last and #last[2] - 1 or 0, 1, -2 do -- it is the last field
    if last[2][i] == 'hash' then return last[2][i + 1] end
  end
  return ''
end

-- All that is noted is text.
local function audit(event, ...)
  local entry = {'event', event, 'request', ID, 'by', WHO, 'via', VIA,
    'state', get('state'), 'version', get('version'), 'digest', get('digest'), 'at', AT, 'prev', last_hash(), ...}
  head = hash(entry)
  entry[#entry + 1] = 'hash'
  entry[#entry + 1] = head
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
local function picture_of(id, show_until, within)
  if show_until <= NOW then redis.call('ZADD', SHOW, 'LT', ms(NOW + within), id) end
end
local function picture(within) picture_of(ID, num('show_until'), within) end

-- Further fields that the move sets may follow.
local function move(state, within, ...)
  set('state', state, 'tries', 0, 'trouble', '', 'version', num('version') + 1, ...)
  picture(within)
end

-- Requests that are open for the same target know of each other: 'overlaps' is JSON, by the ID of the other its requester
-- and the projects. The records of others are not among KEYS: who they are is known only here, and all keys of a
-- workspace share one hash tag, so they are where these are.
local function record_of(id) return string.sub(REQUEST, 1, -#ID - 1) .. id end
local function is_open(id) return redis.call('ZSCORE', OPEN, id) and redis.call('EXISTS', record_of(id)) == 1 end
local function decoded(overlaps)
  if not overlaps or overlaps == '' then return {} end
  return cjson.decode(overlaps)
end
local function encoded(overlaps)
  if not next(overlaps) then return '' end
  return cjson.encode(overlaps)
end
-- The other learns that this one is open, or with nothing that it no longer is. Where many want the same at once, its
-- messages are not drawn for each of them.
local function tell(id, overlap)
  local other = record_of(id)
  local overlaps = decoded(redis.call('HGET', other, 'overlaps'))
  overlaps[ID] = overlap
  redis.call('HSET', other, 'overlaps', encoded(overlaps))
  redis.call('HINCRBY', other, 'version', 1)
  picture_of(id, tonumber(redis.call('HGET', other, 'show_until') or 0), 2000)
end
local function part()
  for id in pairs(decoded(get('overlaps'))) do
    if is_open(id) then tell(id, nil) end
  end
end

-- The newest others that are open for the targets, each of them {the key of what is open for it, its project ID}: by the
-- ID of the other the projects that both are for. What is no longer open comes back, too, for join to take out.
local function met_at(targets, most)
  local met, closed = {}, {}
  for _, target in ipairs(targets) do
    for _, id in ipairs(redis.call('ZREVRANGE', target[1], 0, most - 1)) do
      if not is_open(id) then
        table.insert(closed, {target[1], id})
      elseif id ~= ID then
        met[id] = met[id] or {}
        table.insert(met[id], target[2])
      end
    end
  end
  return met, closed
end

-- The request is open for the targets from now on, and the others know.
local function join(targets, keep, met, closed)
  for _, gone in ipairs(closed) do redis.call('ZREM', gone[1], gone[2]) end
  for _, target in ipairs(targets) do
    redis.call('ZADD', target[1], get('created'), ID)
    redis.call('PEXPIRE', target[1], keep)
  end
  local overlaps = {}
  for id, projects in pairs(met) do
    overlaps[id] = {requester = redis.call('HGET', record_of(id), 'requester'), projects = projects}
    tell(id, {requester = get('requester'), projects = projects})
  end
  if next(overlaps) or has('overlaps') then set('overlaps', encoded(overlaps)) end
end

local function to_history()
  part()
  redis.call('ZREM', OPEN, ID)
  redis.call('ZADD', HISTORY, AT, ID)
  redis.call('ZREMRANGEBYSCORE', HISTORY, '-inf', ms(NOW - KEEP))
end

-- The secrets go in the same step that makes a request final.
local function finish(state, ...)
  move(state, 0, 'decided', AT, 'lease_until', 0, ...)
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

-- A script ends where it meets a key that is on its way to another node of a Cluster. Those that are not among KEYS are
-- met here, when nothing is written yet.
for id in pairs(decoded(get('overlaps'))) do is_open(id) end
