#include "script_args.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static bool grow(void **p, size_t *cap, size_t need, size_t each)
{
	size_t more = *cap == 0 ? 64 : *cap;
	void *bigger;

	while (more < need)
		more *= 2;
	if (more == *cap)
		return true;
	bigger = realloc(*p, more * each);
	if (bigger == NULL)
		return false;
	*p = bigger;
	*cap = more;
	return true;
}

static void add(struct rep_args *a, const char *prefix, const void *p, size_t n)
{
	size_t prefix_len = strlen(prefix);

	if (a->failed || !grow((void **)&a->buf, &a->cap, a->len + prefix_len + n, 1) ||
		!grow((void **)&a->ends, &a->room, a->count + 1, sizeof(*a->ends))) {
		a->failed = true;
		return;
	}
	memcpy(a->buf + a->len, prefix, prefix_len);
	if (n > 0)
		memcpy(a->buf + a->len + prefix_len, p, n);
	a->len += prefix_len + n;
	a->ends[a->count++] = a->len;
}

static void add_text(struct rep_args *a, const char *text)
{
	add(a, "", text, strlen(text));
}

static void add_octets(struct rep_args *a, struct mw_octets o)
{
	add(a, "", o.p, o.n);
}

static void add_int(struct rep_args *a, int64_t v)
{
	char text[24];

	add(a, "", text, (size_t)snprintf(text, sizeof(text), "%" PRId64, v));
}

/* Seconds with three decimals, by whole numbers: no locale writes a comma into it. */
static void add_seconds(struct rep_args *a, int64_t ms)
{
	char text[32];

	add(a, "", text,
		(size_t)snprintf(
			text, sizeof(text), "%" PRId64 ".%03d", ms / 1000, (int)(ms % 1000)));
}

/* A factor in the same manner, to a millionth. */
static void add_factor(struct rep_args *a, double v)
{
	char text[32];
	int64_t millionths = (int64_t)(v * 1e6);

	add(a, "", text,
		(size_t)snprintf(text, sizeof(text), "%" PRId64 ".%06d", millionths / 1000000,
			(int)(millionths % 1000000)));
}

static void begin(struct rep_args *a, const struct mw_ip *ips, size_t ip_count, const char *mail_id)
{
	memset(a, 0, sizeof(*a));
	for (int i = 0; i < REP_ARGS_HEAD; i++)
		add_text(a, "");
	for (size_t i = 0; i < ip_count; i++) {
		char text[MW_IP_TEXT_MAX];

		mw_ip_format(&ips[i], text);
		add(a, "ip:", text, strlen(text));
	}
	if (mail_id != NULL)
		add_text(a, mail_id);
	a->keys = ip_count + (mail_id != NULL);
}

static enum mw_rc end(struct rep_args *a)
{
	size_t start = 0;

	if (a->failed)
		return MW_ERR_NOMEM;
	a->argv = calloc(a->count, sizeof(*a->argv));
	a->argv_len = calloc(a->count, sizeof(*a->argv_len));
	if (a->argv == NULL || a->argv_len == NULL)
		return MW_ERR_NOMEM;
	for (size_t i = 0; i < a->count; i++) {
		a->argv[i] = a->buf + start;
		a->argv_len[i] = a->ends[i] - start;
		start = a->ends[i];
	}
	return MW_OK;
}

/* Lives of ip: records: the table by count, then one random factor for each address. */
static void add_lives(struct rep_args *a, size_t ip_count)
{
	add_int(a, REP_TTL_LEAST_S);
	add_int(a, REP_RECORD_AGE_MOST_S);
	add_int(a, REP_TTL_STEPS);
	for (uint64_t n = 0; n <= REP_TTL_STEPS; n++)
		add_int(a, (int64_t)rep_ttl_base_s(n));
	add_int(a, (int64_t)ip_count);
	for (size_t i = 0; i < ip_count; i++) {
		uint32_t uniform[4];

		mw_random(uniform, sizeof(uniform));
		add_factor(a, rep_ttl_factor(uniform));
	}
}

enum mw_rc rep_args_query(
	struct rep_args *a, const struct rep_query *q, const struct rep_script_conf *conf)
{
	begin(a, q->ips, q->ip_count, q->save ? q->mail_id : NULL);
	add_text(a, q->mail_id);
	add_seconds(a, q->time_ms);
	add_text(a, q->again ? "1" : "0");
	add_text(a, q->save ? "1" : "0");
	add_int(a, conf->penpals_ttl_s);
	add_lives(a, q->ip_count);
	add_int(a, REP_PAIRS_MAX);
	add_octets(a, q->sender);
	add_int(a, (int64_t)q->rcpt_count);
	for (size_t i = 0; i < q->rcpt_count; i++) {
		add_int(a, q->rcpt_index[i]);
		add_octets(a, q->rcpts[i]);
	}
	add_int(a, (int64_t)q->ref_count);
	for (size_t i = 0; i < q->ref_count; i++)
		add_octets(a, q->refs[i]);
	return end(a);
}

enum mw_rc rep_args_learn(
	struct rep_args *a, const struct rep_lesson *l, const struct rep_script_conf *conf)
{
	const char outcome[2] = { l->outcome, '\0' };

	begin(a, l->ips, l->ip_count, l->keep ? l->mail_id : NULL);
	add_text(a, l->mail_id);
	add_seconds(a, l->time_ms);
	add_int(a, conf->penpals_ttl_s);
	add_int(a, (int64_t)rep_ttl_base_s(0));
	add_text(a, outcome);
	add_text(a, l->keep ? "1" : "0");
	add_int(a, (int64_t)l->ip_count);
	add_text(a, l->log_id);
	add_octets(a, l->message_id);
	add_octets(a, l->sender);
	add_int(a, (int64_t)l->rcpt_count);
	for (size_t i = 0; i < l->rcpt_count; i++)
		add_octets(a, l->rcpts[i]);
	return end(a);
}

void rep_args_head(
	struct rep_args *a, const char *command, const char *script, const char *keys_text)
{
	const char *const head[REP_ARGS_HEAD] = { command, script, keys_text };

	for (int i = 0; i < REP_ARGS_HEAD; i++) {
		a->argv[i] = head[i];
		a->argv_len[i] = strlen(head[i]);
	}
}

void rep_args_fini(struct rep_args *a)
{
	free(a->buf);
	free(a->ends);
	free(a->argv);
	free(a->argv_len);
	memset(a, 0, sizeof(*a));
}
