/* The answer for programs; docs/policy.md has the shape, which only grows. */
#include <strings.h>

#include "explain.h"
#include "utf8.h"

/* Keys of tables may be any octets; JSON may not. */
static size_t add_character(struct mw_text *out, const unsigned char *p)
{
	size_t n = mw_utf8_length(p, strnlen((const char *)p, MW_UTF8_MOST));

	if (n > 0)
		mw_text_add_octets(out, p, n);
	else
		mw_text_add(out, "\\ufffd");
	return n > 0 ? n : 1;
}

static void add_text(struct mw_text *out, const char *s)
{
	if (s == NULL) {
		mw_text_add(out, "null");
		return;
	}
	mw_text_add(out, "\"");
	while (*s != '\0') {
		unsigned char c = (unsigned char)*s;

		if (c >= 0x80) {
			s += add_character(out, (const unsigned char *)s);
			continue;
		}
		if (c == '"' || c == '\\')
			mw_text_addf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			mw_text_addf(out, "\\u%04x", c);
		else
			mw_text_add_octets(out, s, 1);
		s++;
	}
	mw_text_add(out, "\"");
}

/* ,"key":"text" */
static void add_pair(struct mw_text *out, const char *before, const char *key, const char *s)
{
	mw_text_addf(out, "%s\"%s\":", before, key);
	add_text(out, s);
}

static void add_score(struct mw_text *out, enum explain_when when, int32_t milli)
{
	if (when == EXPLAIN_FROM || when == EXPLAIN_BELOW)
		mw_text_addf(out, ",\"score\":%.10g", (double)milli / 1000);
	else
		mw_text_add(out, ",\"score\":null");
}

static const char *const whens[] = { [EXPLAIN_NEVER] = "never",
	[EXPLAIN_ALWAYS] = "always",
	[EXPLAIN_FROM] = "from",
	[EXPLAIN_BELOW] = "below" };

static void add_banks(struct mw_text *out, const struct explain *x)
{
	mw_text_add(out, "\"banks\":[");
	for (size_t i = 0; i < x->bank_count; i++) {
		add_pair(out, i > 0 ? ",{" : "{", "name", x->banks[i].name);
		add_pair(out, ",", "why", x->banks[i].why);
		add_pair(out, ",", "origin", x->banks[i].origin);
		mw_text_add(out, "}");
	}
	mw_text_add(out, "]");
}

static void add_settings(struct mw_text *out, const struct explain *x)
{
	mw_text_add(out, ",\"settings\":[");
	for (size_t i = 0; i < x->setting_count; i++) {
		add_pair(out, i > 0 ? ",{" : "{", "name", x->settings[i].name);
		add_pair(out, ",", "value", x->settings[i].value);
		add_pair(out, ",", "origin", x->settings[i].origin);
		add_pair(out, ",", "bank", x->settings[i].bank);
		mw_text_add(out, "}");
	}
	mw_text_add(out, "]");
}

static void add_hops(struct mw_text *out, const struct explain_rcpt *r)
{
	mw_text_add(out, ",\"next_hop\":[");
	for (size_t i = 0; i < r->hop_count; i++) {
		mw_text_add(out, i > 0 ? "," : "");
		add_text(out, r->hops[i]);
	}
	mw_text_add(out, "]");
}

static void add_rcpt(struct mw_text *out, const struct explain_rcpt *r)
{
	add_pair(out, "{", "address", r->address);
	mw_text_add(out, ",\"settings\":{");
	for (size_t i = 0; i < r->said_count; i++)
		mw_text_addf(
			out, "%s\"%s\":%s", i > 0 ? "," : "", r->said[i].name, r->said[i].value);
	mw_text_add(out, "},\"from\":{");
	for (size_t i = 0; i < r->said_count; i++)
		add_pair(out, i > 0 ? "," : "", r->said[i].name, r->said[i].from);
	mw_text_add(out, "}");
	add_hops(out, r);
	mw_text_addf(out, ",\"blocked\":{\"when\":\"%s\"", whens[r->blocked]);
	add_score(out, r->blocked, r->blocked_milli);
	add_pair(out, ",", "reply", r->reply);
	mw_text_add(out, "}}");
}

static void add_checks(struct mw_text *out, const struct explain *x)
{
	mw_text_add(out, ",\"checks\":[");
	for (size_t i = 0; i < x->check_count; i++) {
		add_pair(out, i > 0 ? ",{" : "{", "kind", x->checks[i].kind);
		mw_text_addf(out, ",\"runs\":%s", x->checks[i].why == NULL ? "true" : "false");
		add_pair(out, ",", "why", x->checks[i].why);
		mw_text_add(out, "}");
	}
	mw_text_add(out, "]");
}

static void add_fields(struct mw_text *out, const struct explain *x)
{
	const char *only = x->ask->header;
	bool first = true;

	mw_text_add(out, ",\"fields\":[");
	for (size_t i = 0; i < x->txn->rcpt_count && x->check_count > 0; i++)
		for (size_t k = 0; k < MW_COUNT(x->rcpts[i].fields); k++) {
			const struct explain_field *f = &x->rcpts[i].fields[k];

			if (only != NULL && strcasecmp(only, f->name) != 0)
				continue;
			add_pair(out, first ? "{" : ",{", "field", f->name);
			add_pair(out, ",", "address", x->rcpts[i].address);
			mw_text_addf(out, ",\"when\":\"%s\"", whens[f->when]);
			add_score(out, f->when, f->at_milli);
			add_pair(out, ",", "why", f->why);
			mw_text_add(out, "}");
			first = false;
		}
	mw_text_add(out, "]");
}

struct warnings {
	struct mw_text *out;
	const struct explain *x;
	size_t count;
};

static void add_warning(void *arg, const struct policy_warning *w)
{
	struct warnings *all = arg;
	char where[400];

	add_pair(all->out, all->count++ > 0 ? ",{" : "{", "name", w->name);
	add_pair(all->out, ",", "origin",
		mw_conf_where(all->x->conf, w->line, where, sizeof(where)));
	add_pair(all->out, ",", "text", w->text);
	add_pair(all->out, ",", "hint", w->hint);
	mw_text_add(all->out, "}");
}

bool explain_json(const struct explain *x, struct mw_text *out)
{
	const struct txn *t = x->txn;
	struct warnings warnings = { out, x, 0 };

	mw_text_add(out, "{");
	add_banks(out, x);
	mw_text_addf(out, ",\"originating\":%s", t->originating ? "true" : "false");
	add_pair(out, ",", "refused", x->refused);
	add_settings(out, x);
	mw_text_add(out, ",\"recipients\":[");
	for (size_t i = 0; i < t->rcpt_count; i++) {
		mw_text_add(out, i > 0 ? "," : "");
		add_rcpt(out, &x->rcpts[i]);
	}
	mw_text_add(out, "]");
	add_checks(out, x);
	add_fields(out, x);
	if (x->ask->header != NULL)
		add_pair(out, ",", "brought", x->brought);
	mw_text_add(out, ",\"warnings\":[");
	policy_warn(x->set, x->set->sockets, x->set->socket_count, add_warning, &warnings);
	mw_text_add(out, "]}\n");
	return !out->failed;
}
