-- The lease and the epoch move together. Redis 6.2 commands only.
--
-- KEYS  lease, epoch, seq, event stream
-- ARGV  1 what to do   2 our epoch ("" before it is taken)   3 the holder's JSON without its opening brace   4 TTL in ms
--       5 take: Unix seconds; raise, jump: the new number   6 take: a lease text that may be overridden (its holder is proven dead)
--
-- The lease is {"epoch":E,<holder>}; after a clean release {"epoch":E,"released":true} without TTL, so that the next one need not wait.
-- Answers {word, epoch before, epoch now, seq, last id of the stream, lease text found}, numbers as text:
--   OK | HELD (somebody else's) | EMPTY (ours was gone with the epoch, taken again)
local what, ours, ttl = ARGV[1], ARGV[2], ARGV[4]
local lease = redis.call('GET', KEYS[1]) or ''
local before = redis.call('GET', KEYS[2]) or '0'

local function text(epoch)
  return '{"epoch":' .. epoch .. ',' .. ARGV[3]
end

local function answer(word, now)
  local last = '0-0'
  local top = redis.call('XREVRANGE', KEYS[4], '+', '-', 'COUNT', 1)
  if top[1] then
    last = top[1][1]
  end
  return {word, before, now, redis.call('GET', KEYS[3]) or '0', last, lease}
end

if what == 'take' then
  local released = string.match(lease, '^{"epoch":%d+,"released":true}$')
  if lease ~= '' and not released and lease ~= ARGV[6] then
    return answer('HELD', before)
  end
  local epoch = string.format('%.0f', math.max(tonumber(before) + 1, tonumber(ARGV[5])))
  redis.call('SET', KEYS[2], epoch)
  redis.call('SET', KEYS[1], text(epoch), 'PX', ttl)
  return answer('OK', epoch)
end

-- Everything else is done by who holds it: the lease is ours, or it ran out and nobody took it (taking raises the epoch).
local mine = lease == text(ours)
if not mine and (lease ~= '' or tonumber(before) > tonumber(ours)) then
  return answer('HELD', before)
end
local word, now = 'OK', ours
if before ~= ours then
  word = 'EMPTY'
end
if what == 'release' then
  if mine then
    redis.call('SET', KEYS[1], '{"epoch":' .. ours .. ',"released":true}')
  end
  return answer(word, now)
end
if what == 'raise' and tonumber(ARGV[5]) > tonumber(ours) then
  now = ARGV[5]
elseif what == 'jump' then
  redis.call('SET', KEYS[3], ARGV[5])
end
redis.call('SET', KEYS[2], now)
redis.call('SET', KEYS[1], text(now), 'PX', ttl)
return answer(word, now)
