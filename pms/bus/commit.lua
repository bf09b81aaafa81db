-- One atomic step: check everything, then write everything. Redis 6.2 commands only; JSON is never decoded.
--
-- KEYS  epoch, seq, hash of seq by sub-account, event stream
-- ARGV  1 epoch that must stand   2 seq that must stand   3 "1" when an earlier answer was lost   4 channel prefix
--       5..8 number of records, events, puts, deletes   9..13 claim key, value, ttl, reply's key, its owner
--       then per record 10, per event 3, per put 4, per delete 2 (the layout of pms/bus/commit.py)
--
-- Answers the last seq of the batch, or {word, ...}:
--   FENCED epoch | SEQ seq | DUPLICATE stored | CONFLICT key | APPLIED seq
--
-- A script is not rolled back: all that can refuse is asked before the first write, and the first write is one that an
-- out-of-memory or read-only server refuses.
local epoch, base, doubt = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
local n_records, n_events = tonumber(ARGV[5]), tonumber(ARGV[6])
local n_puts, n_deletes = tonumber(ARGV[7]), tonumber(ARGV[8])
local records = 14
local events = records + 10 * n_records
local puts = events + 3 * n_events
local deletes = puts + 4 * n_puts

local standing = redis.call('GET', KEYS[1])
if standing ~= epoch then
  return {'FENCED', standing or ''}
end
local seq = tonumber(redis.call('GET', KEYS[2]) or '0')
if seq ~= base then
  -- Only we count under this epoch, so a seq beyond ours means that the batch whose answer was lost stands.
  if doubt and seq >= base + n_events then
    return base + n_events
  end
  return {'SEQ', string.format('%.0f', seq)}
end

if ARGV[9] ~= '' then
  local stored = redis.call('GET', ARGV[9])
  -- Our own claim only where an answer was lost: a repeat within the same millisecond reads the same.
  if stored and not (doubt and stored == ARGV[10]) then
    return {'DUPLICATE', stored}
  end
  if ARGV[12] ~= '' then
    local begins = redis.call('GETRANGE', ARGV[12], 0, #ARGV[13] - 1)
    if begins ~= '' and begins ~= ARGV[13] then
      return {'DUPLICATE', ''}
    end
  end
end

local applied, applied_seq = 0, '0'
for at = records, events - 1, 10 do
  local key, field, expected, rev = ARGV[at], ARGV[at + 1], ARGV[at + 3], tonumber(ARGV[at + 4])
  local head
  if field == '' then
    head = redis.call('GETRANGE', key, 0, 99)
  else
    head = redis.call('HGET', key, field) or ''
  end
  if expected ~= '' then
    local e, r, s = string.match(head, '^{"v":%d+,"epoch":(%d+),"rev":(%d+),"seq":(%d+),')
    local found = -1
    if r then found = tonumber(r) elseif head == '' then found = 0 end
    if found ~= tonumber(expected) then
      if (e == epoch and found == rev) or (doubt and found >= rev) then
        applied, applied_seq = applied + 1, s
      else
        return {'CONFLICT', key .. ' ' .. field .. ' at ' .. string.format('%.0f', found)}
      end
    end
  end
  if ARGV[at + 7] ~= '' then
    redis.call('HLEN', ARGV[at + 7])
  end
end
if applied > 0 then
  if applied == n_records then
    return {'APPLIED', applied_seq}
  end
  return {'CONFLICT', ARGV[records] .. ': a part of the batch stands already'}
end

for at = puts, deletes - 1, 4 do
  if ARGV[at + 1] ~= '' then
    redis.call('HLEN', ARGV[at])
  end
end
for at = deletes, #ARGV, 2 do
  if ARGV[at + 1] ~= '' then
    redis.call('HLEN', ARGV[at])
  end
end

local previous = {}
for at = events, puts - 1, 3 do
  local account = ARGV[at]
  local number = string.format('%.0f', base + 1 + (at - events) / 3)
  local text = '{"seq":' .. number .. ',"prevSeq":'
    .. (previous[account] or redis.call('HGET', KEYS[3], account) or '0') .. ',"epoch":' .. epoch .. ',' .. ARGV[at + 2]
  redis.call('XADD', KEYS[4], number .. '-0', 'event', text)
  redis.call('PUBLISH', ARGV[4] .. ARGV[at + 1], text)
  previous[account] = number
end
for account, number in pairs(previous) do
  redis.call('HSET', KEYS[3], account, number)
end
local last = string.format('%.0f', base + n_events)
if n_events > 0 then
  redis.call('SET', KEYS[2], last)
end

for at = records, events - 1, 10 do
  local key, field, event = ARGV[at], ARGV[at + 1], ARGV[at + 5]
  local number = last
  if event ~= '' then
    number = string.format('%.0f', base + 1 + tonumber(event))
  end
  local text = '{"v":' .. ARGV[at + 2] .. ',"epoch":' .. epoch .. ',"rev":' .. ARGV[at + 4] .. ',"seq":' .. number
    .. ',' .. ARGV[at + 9]
  if field ~= '' then
    redis.call('HSET', key, field, text)
  elseif ARGV[at + 6] ~= '0' then
    redis.call('SET', key, text, 'PX', ARGV[at + 6])
  else
    redis.call('SET', key, text)
  end
  if ARGV[at + 7] ~= '' then
    -- The row's name is preceded by "+" (mirror) or "-" (remove).
    local row = string.sub(ARGV[at + 8], 2)
    if string.sub(ARGV[at + 8], 1, 1) == '+' then
      redis.call('HSET', ARGV[at + 7], row, text)
    else
      redis.call('HDEL', ARGV[at + 7], row)
    end
  end
end
if ARGV[9] ~= '' then
  redis.call('SET', ARGV[9], ARGV[10], 'PX', ARGV[11])
end
for at = puts, deletes - 1, 4 do
  if ARGV[at + 1] ~= '' then
    redis.call('HSET', ARGV[at], ARGV[at + 1], ARGV[at + 2])
  elseif ARGV[at + 3] ~= '0' then
    redis.call('SET', ARGV[at], ARGV[at + 2], 'PX', ARGV[at + 3])
  else
    redis.call('SET', ARGV[at], ARGV[at + 2])
  end
end
for at = deletes, #ARGV, 2 do
  if ARGV[at + 1] ~= '' then
    redis.call('HDEL', ARGV[at], ARGV[at + 1])
  else
    redis.call('DEL', ARGV[at])
  end
end
return base + n_events
