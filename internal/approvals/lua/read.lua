-- read.lua: requests as they are, with the clock of the Redis that keeps them. It is a script so that in a cluster the
-- clock is that node's, and no other node has to be there.
-- KEYS  requests
-- Answers {Redis' clock in ms, each request as HGETALL gives it}.
local time = redis.call('TIME')
local answer = {string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))}
for i = 1, #KEYS do answer[i + 1] = redis.call('HGETALL', KEYS[i]) end
return answer
