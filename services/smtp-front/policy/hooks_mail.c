/* The mail as a hook reads it: fields are made when they are asked for, and nothing of it can be
 * written. Octets from outside are Lua strings as they came. */
#include "hooks_priv.h"
#include "subject.h"

#define OCTETS_A_STEP 64 /* octets that a C function handles in the time of an instruction */

/* ------------------------------------------------------------------ the objects */

static struct hook_call *call_behind(lua_State *L, struct hooks *const *h)
{
	if (h == NULL || *h == NULL || (*h)->call == NULL)
		luaL_error(L, "there is no mail in hand: a hook has it until it returns");
	return (*h)->call;
}

struct hook_call *hook_call_of(lua_State *L)
{
	return call_behind(L, luaL_checkudata(L, 1, HOOK_MAIL));
}

/* Recipients hold the mail object as their user value, and their index. */
static struct txn_rcpt *rcpt_behind(lua_State *L, int at, struct hook_call **c_r)
{
	const size_t *index = lua_touserdata(L, at);

	lua_getiuservalue(L, at, 1);
	*c_r = call_behind(L, lua_touserdata(L, -1));
	lua_pop(L, 1);
	if (*index >= (*c_r)->t->rcpt_count)
		luaL_error(L, "this recipient is another mail's");
	return &(*c_r)->t->rcpts[*index];
}

const char *hook_rcpt_arg(lua_State *L, struct hook_call *c, int at)
{
	struct hook_call *same;
	const char *addr;
	size_t n;

	if (luaL_testudata(L, at, HOOK_RCPT) != NULL)
		return rcpt_behind(L, at, &same)->addr;
	addr = luaL_checklstring(L, at, &n);
	for (size_t i = 0; i < c->t->rcpt_count; i++)
		if (strlen(addr) == n && mw_ieq(c->t->rcpts[i].addr, addr))
			return c->t->rcpts[i].addr;
	luaL_error(L, "the mail has no recipient \"%s\"", addr);
	return NULL;
}

/* ------------------------------------------------------------------ values */

static void push_text(lua_State *L, const char *s)
{
	if (s != NULL)
		lua_pushstring(L, s);
	else
		lua_pushnil(L);
}

static void push_octets(lua_State *L, struct mw_octets o)
{
	lua_pushlstring(L, o.n > 0 ? (const char *)o.p : "", o.n);
}

static void push_list(lua_State *L, struct mw_list list)
{
	mw_func_charge(L, list.count);
	lua_createtable(L, (int)list.count, 0);
	for (size_t i = 0; i < list.count; i++) {
		push_octets(L, list.items[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
}

static void push_points(lua_State *L, int32_t milli)
{
	lua_pushnumber(L, milli / 1000.0);
}

/* ------------------------------------------------------------------ fields of recipients */

static void rcpt_is_local(lua_State *L, const struct hook_call *c, const struct txn_rcpt *r)
{
	if (c->point == HOOK_NEW) /* they are asked about afterwards */
		lua_pushnil(L);
	else
		lua_pushboolean(L, r->is_local);
}

static void rcpt_level(lua_State *L, const struct hook_call *c, int32_t milli)
{
	if (c->point == HOOK_NEW)
		lua_pushnil(L);
	else
		push_points(L, milli);
}

static bool is_decided(const struct hook_call *c)
{
	return c->point >= HOOK_BEFORE_SEND;
}

static void rcpt_address(lua_State *L, const struct hook_call *c, const struct txn_rcpt *r)
{
	(void)c;
	lua_pushstring(L, r->addr);
}

static void rcpt_given(lua_State *L, const struct hook_call *c, const struct txn_rcpt *r)
{
	(void)c;
	push_text(L, r->added ? NULL : txn_rcpt_given(r));
}

static void rcpt_added(lua_State *L, const struct hook_call *c, const struct txn_rcpt *r)
{
	(void)c;
	lua_pushboolean(L, r->added);
}

static void rcpt_removed(lua_State *L, const struct hook_call *c, const struct txn_rcpt *r)
{
	(void)c;
	lua_pushboolean(L, r->removed);
}

static void rcpt_tag(lua_State *L, const struct hook_call *c, const struct txn_rcpt *r)
{
	rcpt_level(L, c, r->tag_milli);
}

static void rcpt_tag2(lua_State *L, const struct hook_call *c, const struct txn_rcpt *r)
{
	rcpt_level(L, c, r->tag2_milli);
}

static void rcpt_kill(lua_State *L, const struct hook_call *c, const struct txn_rcpt *r)
{
	rcpt_level(L, c, r->kill_milli);
}

static void rcpt_score(lua_State *L, const struct hook_call *c, const struct txn_rcpt *r)
{
	if (is_decided(c) && r->has_score)
		push_points(L, r->score_milli);
	else
		lua_pushnil(L);
}

static void rcpt_category(lua_State *L, const struct hook_call *c, const struct txn_rcpt *r)
{
	push_text(L, is_decided(c) && r->ccat_count > 0 ? mw_ccat_name(r->ccats[0]) : NULL);
}

static void rcpt_blocked_by(lua_State *L, const struct hook_call *c, const struct txn_rcpt *r)
{
	(void)c;
	push_text(L, r->ccat_blocking != 0 ? mw_ccat_name(r->ccat_blocking) : NULL);
}

static void rcpt_destiny(lua_State *L, const struct hook_call *c, const struct txn_rcpt *r)
{
	push_text(L, is_decided(c) ? mw_destiny_name(r->destiny) : NULL);
}

static void rcpt_code(lua_State *L, const struct hook_call *c, const struct txn_rcpt *r)
{
	(void)c;
	if (r->code != 0)
		lua_pushinteger(L, r->code);
	else
		lua_pushnil(L);
}

static void rcpt_reply(lua_State *L, const struct hook_call *c, const struct txn_rcpt *r)
{
	(void)c;
	push_text(L, r->reply);
}

static void rcpt_delivered(lua_State *L, const struct hook_call *c, const struct txn_rcpt *r)
{
	(void)c;
	lua_pushboolean(L, r->delivered);
}

static void rcpt_action(lua_State *L, const struct hook_call *c, const struct txn_rcpt *r)
{
	(void)c;
	push_text(L, r->code != 0 ? mw_action_name(r->action) : NULL);
}

static const struct {
	const char *name;
	void (*push)(lua_State *L, const struct hook_call *c, const struct txn_rcpt *r);
} rcpt_fields[] = {
	{ "address", rcpt_address },
	{ "given", rcpt_given },
	{ "added", rcpt_added },
	{ "removed", rcpt_removed },
	{ "is_local", rcpt_is_local },
	{ "tag_level", rcpt_tag },
	{ "tag2_level", rcpt_tag2 },
	{ "kill_level", rcpt_kill },
	{ "score", rcpt_score },
	{ "category", rcpt_category },
	{ "blocked_by", rcpt_blocked_by },
	{ "destiny", rcpt_destiny },
	{ "code", rcpt_code },
	{ "reply", rcpt_reply },
	{ "delivered", rcpt_delivered },
	{ "action", rcpt_action },
};

/* ------------------------------------------------------------------ fields of the mail */

static void mail_point(lua_State *L, const struct hook_call *c)
{
	lua_pushstring(L, hook_names[c->point]);
}

static void mail_log_id(lua_State *L, const struct hook_call *c)
{
	lua_pushstring(L, c->t->log_id);
}

static void mail_mail_id(lua_State *L, const struct hook_call *c)
{
	lua_pushstring(L, c->t->mail_id);
}

static void mail_size(lua_State *L, const struct hook_call *c)
{
	lua_pushinteger(L, c->t->body != NULL ? (lua_Integer)smtp_body_size(c->t->body) : 0);
}

static void mail_sender(lua_State *L, const struct hook_call *c)
{
	lua_pushstring(L, c->t->sender);
}

static void mail_client_ip(lua_State *L, const struct hook_call *c)
{
	push_text(L, c->t->client_ip);
}

static void mail_client_name(lua_State *L, const struct hook_call *c)
{
	push_text(L, c->t->xforward.name);
}

static void mail_helo(lua_State *L, const struct hook_call *c)
{
	push_text(L, c->t->xforward.helo != NULL ? c->t->xforward.helo : c->t->helo);
}

static void mail_protocol(lua_State *L, const struct hook_call *c)
{
	push_text(L, c->t->protocol);
}

static void mail_tls(lua_State *L, const struct hook_call *c)
{
	push_text(L, c->t->tls);
}

static void mail_originating(lua_State *L, const struct hook_call *c)
{
	lua_pushboolean(L, c->t->originating);
}

static void mail_policy_banks(lua_State *L, const struct hook_call *c)
{
	const struct policy *p = c->t->policy;

	lua_createtable(L, (int)p->bank_count, 0);
	for (size_t i = 0; i < p->bank_count; i++) {
		lua_pushstring(L, p->banks[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
}

static void mail_subject(lua_State *L, const struct hook_call *c)
{
	struct mw_octets raw = c->t->facts.subject;
	struct mw_text out = { 0 };
	char *copy;

	if (mw_header_first(&c->t->header, MW_H_SUBJECT) == NULL) {
		lua_pushnil(L);
		return;
	}
	/* By way of the arena: pushing may raise, and would leave the text behind. */
	mw_func_charge(L, raw.n / OCTETS_A_STEP);
	mw_subject_decode(raw, &out);
	copy = out.failed ? NULL : smtp_arena_copy(&c->t->arena, out.p, out.n);
	raw.n = out.n;
	mw_text_fini(&out);
	if (copy == NULL)
		luaL_error(L, "out of memory");
	lua_pushlstring(L, copy, raw.n);
}

static void mail_message_id(lua_State *L, const struct hook_call *c)
{
	push_octets(L, c->t->facts.message_id);
}

static void mail_from(lua_State *L, const struct hook_call *c)
{
	push_list(L, c->t->facts.author);
}

static void mail_to(lua_State *L, const struct hook_call *c)
{
	push_list(L, c->t->facts.to);
}

static void mail_cc(lua_State *L, const struct hook_call *c)
{
	push_list(L, c->t->facts.cc);
}

static void mail_is_bulk(lua_State *L, const struct hook_call *c)
{
	lua_pushboolean(L, c->t->facts.is_bulk);
}

static void mail_is_auto(lua_State *L, const struct hook_call *c)
{
	lua_pushboolean(L, c->t->facts.is_auto);
}

static void mail_is_mlist(lua_State *L, const struct hook_call *c)
{
	lua_pushboolean(L, c->t->facts.is_mlist);
}

/* The recipients' objects; needs the mail at index 1. */
static void mail_recipients(lua_State *L, const struct hook_call *c)
{
	size_t count = c->t->rcpt_count;

	mw_func_charge(L, count);
	lua_createtable(L, (int)count, 0);
	for (size_t i = 0; i < count; i++) {
		size_t *index = lua_newuserdatauv(L, sizeof(*index), 1);

		*index = i;
		lua_pushvalue(L, 1);
		lua_setiuservalue(L, -2, 1);
		luaL_setmetatable(L, HOOK_RCPT);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
}

static size_t push_virus_names(lua_State *L, const struct finding_virus *v, size_t count, size_t at)
{
	for (size_t i = 0; i < count; i++) {
		push_octets(L, v[i].name);
		lua_rawseti(L, -2, (lua_Integer)++at);
	}
	return at;
}

static void mail_viruses(lua_State *L, const struct hook_call *c)
{
	size_t at;

	mw_func_charge(L, c->t->found.virus_count);
	lua_newtable(L);
	at = push_virus_names(L, c->t->found.viruses, c->t->found.virus_count, 0);
	push_virus_names(L, c->t->hooked->viruses, c->t->hooked->virus_count, at);
}

static void mail_encrypted(lua_State *L, const struct hook_call *c)
{
	lua_pushboolean(L, c->t->found.encrypted > 0);
}

static void mail_over_limits(lua_State *L, const struct hook_call *c)
{
	const struct txn_check *scan = &c->t->checks[JOB_SCAN];

	lua_pushboolean(L, scan->state == CHECK_OVER &&
				   (scan->status == MW_LIMIT || c->t->found.limit_count > 0));
}

static void mail_ambiguous(lua_State *L, const struct hook_call *c)
{
	lua_pushboolean(L, c->t->found.ambiguous);
}

static void mail_content(lua_State *L, const struct hook_call *c)
{
	push_list(L, c->t->found.content);
}

static void mail_file_names(lua_State *L, const struct hook_call *c)
{
	push_list(L, c->t->found.names);
}

static void mail_spam_score(lua_State *L, const struct hook_call *c)
{
	if (c->t->found.has_spam)
		push_points(L, c->t->found.spam_milli);
	else
		lua_pushnil(L);
}

static void mail_ip_score(lua_State *L, const struct hook_call *c)
{
	push_points(L, c->t->found.ip_milli);
}

static void push_tests(lua_State *L, const struct mw_record_test *tests, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		push_octets(L, tests[i].name);
		push_points(L, tests[i].milli);
		lua_rawset(L, -3);
	}
}

static void mail_tests(lua_State *L, const struct hook_call *c)
{
	mw_func_charge(L, c->t->found.test_count);
	lua_newtable(L);
	push_tests(L, c->t->found.tests, c->t->found.test_count);
	push_tests(L, c->t->hooked->tests, c->t->hooked->test_count);
}

static void put_octets(lua_State *L, const char *key, struct mw_octets o)
{
	push_octets(L, o);
	lua_setfield(L, -2, key);
}

static void mail_dkim(lua_State *L, const struct hook_call *c)
{
	const struct findings *f = &c->t->found;

	mw_func_charge(L, f->signature_count);
	lua_createtable(L, (int)f->signature_count, 0);
	for (size_t i = 0; i < f->signature_count; i++) {
		const struct finding_signature *s = &f->signatures[i];

		lua_createtable(L, 0, 4);
		put_octets(L, "domain", s->d);
		put_octets(L, "selector", s->s);
		put_octets(L, "result", s->result);
		lua_pushboolean(L, s->expired);
		lua_setfield(L, -2, "expired");
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
}

/* Kind of check to done, limit, failed or skipped. */
static void mail_checks(lua_State *L, const struct hook_call *c)
{
	static const char *const words[MW_STATUS_COUNT] = {
		[MW_DONE] = "done", [MW_LIMIT] = "limit", [MW_FAILED] = "failed"
	};

	lua_newtable(L);
	for (int kind = 0; kind < JOB_LEARN; kind++) {
		const struct txn_check *k = &c->t->checks[kind];

		if (k->state == CHECK_SKIPPED && k->skipped == NULL)
			continue; /* not yet */
		lua_pushstring(L, k->state == CHECK_OVER ? words[k->status] : "skipped");
		lua_setfield(L, -2, dispatch_kind_names[kind]);
	}
}

static void mail_quarantine(lua_State *L, const struct hook_call *c)
{
	push_text(L, c->t->quarantined ? c->t->copies[0].name : NULL);
}

static void mail_reply(lua_State *L, const struct hook_call *c)
{
	push_text(L, c->t->reply);
}

static const struct {
	const char *name;
	void (*push)(lua_State *L, const struct hook_call *c);
} mail_fields[] = {
	{ "point", mail_point },
	{ "log_id", mail_log_id },
	{ "mail_id", mail_mail_id },
	{ "size", mail_size },
	{ "sender", mail_sender },
	{ "recipients", mail_recipients },
	{ "client_ip", mail_client_ip },
	{ "client_name", mail_client_name },
	{ "helo", mail_helo },
	{ "protocol", mail_protocol },
	{ "tls", mail_tls },
	{ "originating", mail_originating },
	{ "policy_banks", mail_policy_banks },
	{ "subject", mail_subject },
	{ "message_id", mail_message_id },
	{ "from", mail_from },
	{ "to", mail_to },
	{ "cc", mail_cc },
	{ "is_bulk", mail_is_bulk },
	{ "is_auto", mail_is_auto },
	{ "is_mlist", mail_is_mlist },
	{ "checks", mail_checks },
	{ "viruses", mail_viruses },
	{ "encrypted", mail_encrypted },
	{ "over_limits", mail_over_limits },
	{ "ambiguous", mail_ambiguous },
	{ "content", mail_content },
	{ "file_names", mail_file_names },
	{ "spam_score", mail_spam_score },
	{ "ip_score", mail_ip_score },
	{ "tests", mail_tests },
	{ "dkim", mail_dkim },
	{ "quarantine", mail_quarantine },
	{ "reply", mail_reply },
};

/* ------------------------------------------------------------------ header fields */

/* Unfolded, without blanks at its ends. */
static void push_value(lua_State *L, const struct mw_header *h, const struct mw_field *f)
{
	struct mw_octets raw = mw_field_value(h, f);
	luaL_Buffer b;
	char *to;

	mw_func_charge(L, raw.n / OCTETS_A_STEP);
	to = luaL_buffinitsize(L, &b, raw.n + 1);
	luaL_pushresultsize(&b, mw_field_unfold(h, f, to, raw.n + 1));
}

/* The next field of that name from *at on, or NULL. */
static const struct mw_field *next_named(const struct mw_header *h, const char *name, size_t *at)
{
	while (*at < h->count) {
		const struct mw_field *f = &h->fields[(*at)++];

		if (f->name_len > 0 && mw_octets_ieq(mw_field_name(h, f), name))
			return f;
	}
	return NULL;
}

/* mail:header(name): the first's value, or nil */
static int on_header(lua_State *L)
{
	const struct mw_header *h = &hook_call_of(L)->t->header;
	const char *name = luaL_checkstring(L, 2);
	const struct mw_field *f;
	size_t at = 0;

	f = next_named(h, name, &at);
	mw_func_charge(L, at / 8);
	if (f != NULL)
		push_value(L, h, f);
	else
		lua_pushnil(L);
	return 1;
}

/* mail:headers(name): all values, the topmost first */
static int on_headers(lua_State *L)
{
	const struct mw_header *h = &hook_call_of(L)->t->header;
	const char *name = luaL_checkstring(L, 2);
	const struct mw_field *f;
	lua_Integer n = 0;

	mw_func_charge(L, h->count / 8);
	lua_newtable(L);
	for (size_t at = 0; (f = next_named(h, name, &at)) != NULL;) {
		push_value(L, h, f);
		lua_rawseti(L, -2, ++n);
	}
	return 1;
}

/* mail:decoded(text): RFC 2047 words as UTF-8 */
static int on_decoded(lua_State *L)
{
	struct hook_call *c = hook_call_of(L);
	struct mw_text out = { 0 };
	size_t n;
	const char *raw = luaL_checklstring(L, 2, &n);
	char *copy;

	mw_func_charge(L, n / OCTETS_A_STEP);
	mw_subject_decode(mw_octets_of(raw, n), &out);
	copy = out.failed ? NULL : smtp_arena_copy(&c->t->arena, out.p, out.n);
	n = out.n;
	mw_text_fini(&out);
	if (copy == NULL)
		return luaL_error(L, "out of memory");
	lua_pushlstring(L, copy, n);
	return 1;
}

/* ------------------------------------------------------------------ patterns */

static struct mw_pattern *pattern_of(lua_State *L, struct hooks *h, const char *text)
{
	struct mw_pattern **slot;
	struct mw_err why = { "" };

	for (size_t i = 0; i < HOOK_PATTERNS_MAX && h->patterns[i] != NULL; i++)
		if (strcmp(mw_pattern_text(h->patterns[i]), text) == 0)
			return h->patterns[i];
	slot = &h->patterns[h->pattern_next++ % HOOK_PATTERNS_MAX];
	mw_pattern_destroy(slot);
	mw_func_charge(L, 100 + strlen(text));
	if (mw_pattern_new(text, slot, &why) != MW_OK)
		luaL_error(L, "mail:match: %s", why.text);
	return *slot;
}

/* mail:match(text, pattern): what matched, then what each group caught; nil: no match */
static int on_match(lua_State *L)
{
	struct hook_call *c = hook_call_of(L);
	struct mw_octets subject;
	const char *pattern;
	struct mw_pattern *p;
	unsigned groups;

	subject.p = (const unsigned char *)luaL_checklstring(L, 2, &subject.n);
	pattern = luaL_checkstring(L, 3);
	p = pattern_of(L, c->h, pattern);
	mw_func_charge(L, 20 + subject.n / OCTETS_A_STEP);
	switch (mw_pattern_match(p, subject)) {
	case MW_OK:
		break;
	case MW_ERR_GONE:
		lua_pushnil(L);
		return 1;
	default:
		return luaL_error(L, "mail:match: a limit was met by %s", pattern);
	}
	groups = mw_pattern_captures(p);
	luaL_checkstack(L, (int)groups + 1, NULL);
	for (unsigned i = 0; i <= groups; i++)
		push_octets(L, mw_pattern_capture(p, subject, i));
	return (int)groups + 1;
}

/* ------------------------------------------------------------------ metatables */

/* Upvalue: name to number of a field, or method. */
static int on_mail_index(lua_State *L)
{
	lua_pushvalue(L, 2);
	switch (lua_rawget(L, lua_upvalueindex(1))) {
	case LUA_TFUNCTION:
		return 1;
	case LUA_TNUMBER:
		mail_fields[lua_tointeger(L, -1)].push(L, call_behind(L, lua_touserdata(L, 1)));
		return 1;
	default:
		return luaL_error(L, "a mail has no \"%s\"", luaL_tolstring(L, 2, NULL));
	}
}

static int on_rcpt_index(lua_State *L)
{
	struct hook_call *c;
	struct txn_rcpt *r = rcpt_behind(L, 1, &c);

	lua_pushvalue(L, 2);
	if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNUMBER)
		return luaL_error(L, "a recipient has no \"%s\"", luaL_tolstring(L, 2, NULL));
	rcpt_fields[lua_tointeger(L, -1)].push(L, c, r);
	return 1;
}

static int on_newindex(lua_State *L)
{
	return luaL_error(L, "mail and recipients can be read only; see docs/hooks.md for what "
			     "changes them");
}

static void finish(lua_State *L, lua_CFunction on_index)
{
	lua_pushcclosure(L, on_index, 1);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, on_newindex);
	lua_setfield(L, -2, "__newindex");
	lua_pop(L, 1);
}

void hook_mail_open(lua_State *L)
{
	static const luaL_Reg methods[] = { { "header", on_header }, { "headers", on_headers },
		{ "decoded", on_decoded }, { "match", on_match }, { NULL, NULL } };

	/* Other settings of the same program may have opened it; the mail's is finished last. */
	if (luaL_getmetatable(L, HOOK_MAIL) == LUA_TTABLE &&
		lua_getfield(L, -1, "__newindex") != LUA_TNIL)
		return;
	lua_settop(L, 0);
	luaL_newmetatable(L, HOOK_RCPT);
	lua_newtable(L);
	for (size_t i = 0; i < MW_COUNT(rcpt_fields); i++) {
		lua_pushinteger(L, (lua_Integer)i);
		lua_setfield(L, -2, rcpt_fields[i].name);
	}
	finish(L, on_rcpt_index);
	luaL_newmetatable(L, HOOK_MAIL);
	lua_newtable(L);
	for (size_t i = 0; i < MW_COUNT(mail_fields); i++) {
		lua_pushinteger(L, (lua_Integer)i);
		lua_setfield(L, -2, mail_fields[i].name);
	}
	luaL_setfuncs(L, methods, 0);
	hook_acts_open(L);
	finish(L, on_mail_index);
}
