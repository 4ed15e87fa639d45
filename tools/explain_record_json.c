/* A decision record for programs: the same words as for people, in one JSON object a line. */
#include <jansson.h>
#include <stdio.h>
#include "digest.h"
#include "explain_record.h"

/* What is no UTF-8 is escaped as for people: JSON has no other way to say it. */
static json_t *text(struct mw_octets o)
{
	json_t *s = json_stringn(o.n > 0 ? (const char *)o.p : "", o.n);
	char buf[4 * 1024 + 3];

	if (s != NULL)
		return s;
	mw_quote_octets(buf, sizeof(buf), o.p, o.n);
	return json_stringn(buf + 1, strlen(buf) - 2);
}

static json_t *texts(const struct mw_list *l)
{
	json_t *a = json_array();

	for (size_t i = 0; i < l->count; i++)
		json_array_append_new(a, text(l->items[i]));
	return a;
}

static void set(json_t *o, const char *key, struct mw_octets value)
{
	if (value.n > 0)
		json_object_set_new(o, key, text(value));
}

static void set_list(json_t *o, const char *key, const struct mw_list *l)
{
	if (l->count > 0)
		json_object_set_new(o, key, texts(l));
}

static void set_uint(json_t *o, const char *key, uint64_t n)
{
	json_object_set_new(o, key, json_integer((json_int_t)n));
}

static void set_points(json_t *o, const char *key, int32_t milli)
{
	json_object_set_new(o, key, json_real((double)milli / 1000));
}

static json_t *checks(const struct mw_record *r)
{
	static const char *const words[] = { "done", "limit", "failed" };
	json_t *a = json_array();

	for (size_t i = 0; i < r->check_count; i++) {
		const struct mw_record_check *c = &r->checks[i];
		json_t *o = json_object();

		set(o, "kind", c->kind);
		json_object_set_new(o, "status",
			json_string(
				c->ran ? words[c->status < MW_STATUS_COUNT ? c->status : MW_FAILED]
				       : "not_run"));
		set(o, "reason", c->reason);
		set(o, "worker", c->worker);
		set_uint(o, "attempts", c->attempts);
		set_uint(o, "wait_us", c->wait_us);
		set_uint(o, "wall_us", c->wall_us);
		set_uint(o, "cpu_us", c->cpu_us);
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *said(const struct mw_record_rcpt *c)
{
	json_t *a = json_array();

	for (size_t i = 0; i < c->said_count; i++) {
		json_t *o = json_object();

		set(o, "name", c->said[i].name);
		set(o, "value", c->said[i].value);
		set(o, "from", c->said[i].by);
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *rcpt(const struct mw_record *r, const struct mw_record_rcpt *c)
{
	json_t *o = json_object(), *ccats = json_array();

	set(o, "address", c->addr);
	json_object_set_new(o, "local", json_boolean(c->is_local));
	for (size_t i = 0; i < c->ccats.n; i++)
		json_array_append_new(ccats, json_string(mw_ccat_name(c->ccats.p[i])));
	if (c->ccats.n == 0)
		json_array_append_new(ccats, json_string(mw_ccat_name(c->ccat_main)));
	json_object_set_new(o, "categories", ccats);
	if (c->ccat_blocking != 0)
		json_object_set_new(o, "blocked_as", json_string(mw_ccat_name(c->ccat_blocking)));
	if (c->has_score)
		set_points(o, "score", c->score_milli);
	set(o, "destiny", c->destiny);
	json_object_set_new(o, "action", json_string(mw_action_name(c->action)));
	json_object_set_new(o, "delivered", json_boolean(c->delivered));
	set(o, "reply", c->smtp_response);
	set(o, "delivered_to", c->deliver_to);
	set(o, "banned_part", c->banned_part);
	set_list(o, "banned_paths", &c->banned_paths);
	set(o, "banned_by", c->banned_key);
	if (c->dsn != MW_DSN_NONE)
		json_object_set_new(o, "notification",
			json_string(c->dsn == MW_DSN_SENT ? "sent" : "suppressed"));
	if (c->cluster >= 0 && (size_t)c->cluster < r->edits.count)
		set(o, "edits", r->edits.items[c->cluster]);
	json_object_set_new(o, "settings", said(c));
	return o;
}

static json_t *parts(const struct mw_record *r)
{
	char digest[2 * MW_SHA256_OCTETS + 1];
	json_t *a = json_array();

	for (size_t i = 0; i < r->part_count; i++) {
		const struct mw_record_part *p = &r->parts[i];
		json_t *o = json_object();

		if (p->parent > 0)
			set_uint(o, "parent", p->parent);
		set(o, "place", p->place);
		set(o, "type", p->type);
		set(o, "name", p->name);
		set(o, "attributes", p->attributes);
		set_uint(o, "size", p->size);
		if (p->digest.n == MW_SHA256_OCTETS) {
			mw_hex(p->digest.p, p->digest.n, digest);
			json_object_set_new(o, "sha256", json_string(digest));
		}
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *found(const struct mw_record *r)
{
	json_t *o = json_object(), *viruses = json_array(), *tests = json_object();

	for (size_t i = 0; i < r->av_count; i++)
		json_array_append_new(viruses, text(r->av[i].name));
	json_object_set_new(o, "viruses", viruses);
	for (size_t i = 0; i < r->test_count; i++) {
		json_t *name = text(r->tests[i].name);

		set_points(tests, json_string_value(name), r->tests[i].milli);
		json_decref(name);
	}
	json_object_set_new(o, "tests", tests);
	set_list(o, "valid_signatures", &r->dkim_valid_sig);
	set_list(o, "bad_header", &r->bad_header);
	set_list(o, "file_names", &r->attached_file_names);
	if (r->part_count > 0)
		json_object_set_new(o, "parts", parts(r));
	return o;
}

static json_t *banks(const struct mw_record *r)
{
	json_t *a = json_array();

	for (size_t i = 0; i < r->policy_banks.count; i++) {
		json_t *o = json_object();

		set(o, "name", r->policy_banks.items[i]);
		if (i < r->bank_rules.count)
			set(o, "loaded_by", r->bank_rules.items[i]);
		json_array_append_new(a, o);
	}
	return a;
}

void explain_record_json(const struct mw_record *r)
{
	json_t *o = json_object(), *rcpts = json_array();

	set(o, "mail_id", r->mail_id);
	set(o, "log_id", r->log_id);
	set(o, "parent_mail_id", r->mail_id_parent);
	set_uint(o, "time_ms", r->time_ms);
	set_uint(o, "settings_ms", r->settings_ms);
	set(o, "from", r->mail_from);
	json_object_set_new(o, "originating", json_boolean(r->originating));
	set(o, "subject", r->subject);
	set(o, "message_id", r->message_id);
	set(o, "client", r->client_ip);
	set_uint(o, "size", r->size);
	json_object_set_new(o, "banks", banks(r));
	json_object_set_new(o, "checks", checks(r));
	json_object_set_new(o, "found", found(r));
	json_object_set_new(o, "category", json_string(mw_ccat_name(r->ccat)));
	for (size_t i = 0; i < r->rcpt_count; i++)
		json_array_append_new(rcpts, rcpt(r, &r->rcpts[i]));
	json_object_set_new(o, "recipients", rcpts);
	set_list(o, "quarantine", &r->quarantines);
	set(o, "reply", r->reply);
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
}
