#include "scripts.h"

/* clang-format off */

/* Both scripts: ARGV in order, and values from outside checked before anything is built on them. */
#define PRELUDE \
"local at = 0\n" \
"local function arg() at = at + 1 return ARGV[at] end\n" \
"local function num() return tonumber(arg()) end\n" \
"local function bad(what) error('" REP_BAD_DATA " ' .. what) end\n" \
/* NaN fails both comparisons: written so that it is refused. */ \
"local function number(v, what)\n" \
"  if not v then return nil end\n" \
"  local x = tonumber(v)\n" \
"  if not x or not (x >= 0 and x <= 1e12) then bad(what) end\n" \
"  return x\n" \
"end\n" \
"local function id(v, what)\n" \
"  if not v then return nil end\n" \
"  if #v > 20 or not string.find(v, '^%d+$') then bad(what) end\n" \
"  return v\n" \
"end\n" \
"local function mail_id(v)\n" \
"  if #v > 31 or not string.find(v, '^[%w_+-]+$') then bad('mail_id') end\n" \
"  return v\n" \
"end\n"

static const char query_source[] =
PRELUDE
"local nonce, now, again, save, pen_ttl = arg(), num(), arg(), arg(), num()\n"
"local ttl_least, age_most, steps = num(), num(), num()\n"
"local base = {}\n"
"for n = 0, steps do base[n] = num() end\n"
"local ips = num()\n"

/* One address: its record is read, renewed or begun. What is counted in it is learned at the message's end. */
"local function record(key, factor)\n"
"  local r = redis.call('HMGET', key, 'tf', 'tl', 'n', 's', 'h', 'b')\n"
"  local first, last = number(r[1], 'tf'), number(r[2], 'tl')\n"
"  local n, s = math.floor(number(r[3], 'n') or 0), math.floor(number(r[4], 's') or 0)\n"
"  local h, b = math.floor(number(r[5], 'h') or 0), math.floor(number(r[6], 'b') or 0)\n"
"  local stamp = string.format('%.3f', now)\n"
"  local age = first and math.max(now - first, 0) or 0\n"
"  local ttl = base[math.min(n, steps)]\n"
"  if last then ttl = math.max(ttl, 1.5 * (now - last)) end\n"
"  ttl = math.max(ttl * factor, ttl_least)\n"
"  if age_most - age < 1 then\n" /* old enough: it starts afresh */
"    redis.call('DEL', key)\n"
"    first, last, n, s, h, b, age = nil, nil, 0, 0, 0, 0, 0\n"
"    ttl = math.max(base[0] * factor, ttl_least)\n"
"  end\n"
"  if not first then redis.call('HSET', key, 'tf', stamp) end\n"
"  redis.call('HSET', key, 'tl', stamp)\n"
"  ttl = math.floor(math.min(ttl, age_most - age))\n"
"  redis.call('EXPIRE', key, ttl)\n"
"  local first_ms = math.floor((first or now) * 1000 + 0.5)\n"
"  return { n, s, h, b, first_ms, math.floor((last or now) * 1000 + 0.5), ttl }\n"
"end\n"

"local records = {}\n"
"for i = 1, ips do records[i] = record(KEYS[i], num()) end\n"

/* Preliminary save: mail_id is ours when nobody has it, or when we asked already and the answer was lost. */
"local saved = false\n"
"if save == '1' then\n"
"  local key, seconds = KEYS[ips + 1], string.format('%.0f', math.floor(now))\n"
"  if redis.call('HSETNX', key, 'time', seconds) == 1 then\n"
"    if pen_ttl > 0 then redis.call('EXPIRE', key, pen_ttl) end\n"
"    saved = true\n"
"  elseif again == '1' and redis.call('HEXISTS', key, 'log') == 0 then\n"
"    saved = redis.call('HGET', key, 'time') == seconds\n"
"  end\n"
"end\n"

/* Pen pals: did a recipient of this message write to its sender, or write one of the messages it refers to? */
"local function mget(keys)\n"
"  local values = {}\n"
"  for from = 1, #keys, 500 do\n" /* unpack has a stack to fit in */
"    local part = redis.call('MGET', unpack(keys, from, math.min(from + 499, #keys)))\n"
"    for i = 1, #part do values[from + i - 1] = part[i] end\n"
"  end\n"
"  return values\n"
"end\n"
"local function ids(count, prefix, places)\n"
"  local keys = {}\n"
"  for i = 1, count do\n"
"    if places then places[i] = num() end\n"
"    keys[i] = prefix .. arg()\n"
"  end\n"
"  local values = mget(keys)\n"
"  for i = 1, count do values[i] = id(values[i], prefix) end\n"
"  return values\n"
"end\n"
"local places, pairs_most, sender = {}, num(), arg()\n"
"local rcpts = num()\n"
"local rcpt_ids = ids(rcpts, 'a:', places)\n"
"local refs = num()\n"
"local ref_ids = ids(refs, 'm:')\n"
"local sender_id = sender ~= '' and rcpts > 0 and id(redis.call('MGET', 'a:' .. sender)[1], 'a:') or nil\n"

"local keys, who, how, cut = {}, {}, {}, false\n"
"local function pair(key, rcpt, by)\n"
"  if #keys >= pairs_most then cut = true return end\n"
"  local n = #keys + 1\n"
"  keys[n], who[n], how[n] = key, rcpt, by\n"
"end\n"
"for i = 1, rcpts do\n"
"  local rid = rcpt_ids[i]\n"
"  if rid then\n"
"    if sender_id then pair('sr:' .. rid .. ':' .. sender_id, i, 2) end\n"
"    for j = 1, refs do\n"
"      if ref_ids[j] then pair('sm:' .. rid .. '::' .. ref_ids[j], i, 1) end\n"
"    end\n"
"  end\n"
"end\n"

"local times, best = {}, {}\n"
"local found = mget(keys)\n"
"for k = 1, #keys do\n"
"  local m = found[k]\n"
"  if m and mail_id(m) ~= nonce then\n"
"    if times[m] == nil then times[m] = number(redis.call('HGET', m, 'time'), 'time') or false end\n"
"    local old = best[who[k]]\n"
"    if not times[m] then\n" /* that record ran out: nothing is proved */
"    elseif old and old[2] == m then\n"
"      if old[4] ~= how[k] then old[4] = 3 end\n"
"    elseif not old or times[m] > old[3] then\n"
"      best[who[k]] = { places[who[k]], m, times[m], how[k] }\n"
"    end\n"
"  end\n"
"end\n"
"local pals = {}\n"
"for i = 1, rcpts do\n"
"  local p = best[i]\n"
"  if p then pals[#pals + 1] = { p[1], p[2], math.floor(math.max(now - p[3], 0)), p[4] } end\n"
"end\n"
"return cmsgpack.pack({ nonce, saved, cut, records, pals })\n";

static const char learn_source[] =
PRELUDE
"local nonce, now, pen_ttl, new_ttl, field, keep = arg(), num(), num(), num(), arg(), arg()\n"
"local ips = num()\n"
"local stamp = string.format('%.3f', now)\n"
"for i = 1, ips do\n"
"  redis.call('HINCRBY', KEYS[i], 'n', 1)\n"
"  if field ~= '' then redis.call('HINCRBY', KEYS[i], field, 1) end\n"
/* The record ran out since it was asked for and HINCRBY began a new one: without this it would never end. */
"  if redis.call('TTL', KEYS[i]) < 0 then\n"
"    redis.call('HSETNX', KEYS[i], 'tf', stamp)\n"
"    redis.call('HSETNX', KEYS[i], 'tl', stamp)\n"
"    redis.call('EXPIRE', KEYS[i], new_ttl)\n"
"  end\n"
"end\n"
"if keep ~= '1' then return nonce end\n"

"local key, log_id, message_id, sender, rcpts = KEYS[ips + 1], arg(), arg(), arg(), num()\n"
"if rcpts == 0 then redis.call('DEL', key) return nonce end\n"
"local function set(name, value)\n"
"  if pen_ttl > 0 then redis.call('SET', name, value, 'EX', pen_ttl) else redis.call('SET', name, value) end\n"
"end\n"
"local function id_of(prefix, counter, name)\n"
"  local known = id(redis.call('GET', prefix .. name), prefix)\n"
"  if known then\n"
"    if pen_ttl > 0 then redis.call('EXPIRE', prefix .. name, pen_ttl) end\n"
"    return known\n"
"  end\n"
"  known = string.format('%.0f', redis.call('INCR', counter))\n"
"  set(prefix .. name, known)\n"
"  return known\n"
"end\n"
"redis.call('HSET', key, 'log', log_id)\n"
/* It may have run out, or the preliminary save never came through: a record without a time or an end is worthless. */
"redis.call('HSETNX', key, 'time', string.format('%.0f', math.floor(now)))\n"
"if pen_ttl > 0 and redis.call('TTL', key) < 0 then redis.call('EXPIRE', key, pen_ttl) end\n"
"local sid = id_of('a:', 'last.id.addr', sender)\n"
"if message_id ~= '' then set('sm:' .. sid .. '::' .. id_of('m:', 'last.id.msgid', message_id), nonce) end\n"
"for i = 1, rcpts do set('sr:' .. sid .. ':' .. id_of('a:', 'last.id.addr', arg()), nonce) end\n"
"return nonce\n";

/* clang-format on */

const char *const rep_script_source[REP_SCRIPT_COUNT] = {
	[REP_SCRIPT_QUERY] = query_source,
	[REP_SCRIPT_LEARN] = learn_source,
};

const char *const rep_script_name[REP_SCRIPT_COUNT] = {
	[REP_SCRIPT_QUERY] = "query",
	[REP_SCRIPT_LEARN] = "learn",
};
