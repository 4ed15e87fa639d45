/*
 * Kind sign: put our signatures above a message. Always in libuv's pool: an RSA signature takes
 * half a millisecond and more, and the pool spreads them over the cores.
 */
#include <stdio.h>
#include <stdlib.h>

#include "checks.h"
#include "log.h"
#include "sign.h"
#include "work.h"

#define SIGNERS_MAX 8 /* signatures of one mail; RFC 8463 wants two, RSA and Ed25519 */

struct sign {
	struct mw_loop *loop;
	struct dkimsvc_signer *signer;
	struct dkimsvc_key_ring *ring;
	unsigned slots;
};

struct signer {
	char domain[DKIMSVC_DOMAIN_MAX], selector[DKIMSVC_DOMAIN_MAX],
		identity[DKIMSVC_IDENTITY_MAX];
	struct dkimsvc_sign_order order;
	struct mw_octets names[DKIMSVC_SIGNED_NAMES_MAX];
};

struct task {
	struct sign *sign;
	struct mw_ticket *ticket;
	struct dkimsvc_key_ring *ring; /* the one it began with */
	struct dkimsvc_message message;
	size_t count;
	struct signer *signers;
	struct dkimsvc_body_hashes hashes;
	struct mw_text fields;
	struct dkimsvc_work work;
	enum mw_rc rc;
	struct mw_err err;
};

static void task_free(struct task *t)
{
	dkimsvc_keys_unref(&t->ring);
	dkimsvc_message_fini(&t->message);
	mw_text_fini(&t->fields);
	free(t->signers);
	free(t);
}

/* ------------------------------------------------------------------ orders */

/* Printable and short, or absent. */
static bool take_text(struct mw_octets map, const char *name, char *buf, size_t size)
{
	struct mw_octets o = mw_map_octets(map, name);

	buf[0] = '\0';
	return o.n < size && mw_is_printable(o.p, o.n) && mw_strncpy(buf, size, o.p, o.n);
}

static bool is_field_name(struct mw_octets o)
{
	for (size_t i = 0; i < o.n; i++)
		if (o.p[i] <= ' ' || o.p[i] > 0x7e || o.p[i] == ':' || o.p[i] == ';')
			return false;
	return o.n > 0;
}

static bool take_names(struct mw_octets map, struct signer *s)
{
	struct mw_cur c;
	size_t count;

	if (!mw_map_find(map, "headers", &c))
		return true;
	if (!mw_cur_array(&c, &count) || count > DKIMSVC_SIGNED_NAMES_MAX)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!mw_cur_octets(&c, 200, &s->names[i]) || !is_field_name(s->names[i]))
			return false;
	s->order.names = s->names;
	s->order.name_count = count;
	return true;
}

/* i= has to lie within d=, and to be d= exactly when the key says so (t=s). */
static bool identity_allowed(const struct signer *s, const struct dkimsvc_signing_key *key)
{
	const char *at = strrchr(s->identity, '@');
	size_t n, m = strlen(s->domain);

	if (s->identity[0] == '\0')
		return true;
	if (at == NULL || strpbrk(s->identity, " ;=") != NULL)
		return false;
	n = strlen(at + 1);
	if (n < m || !mw_ieq(at + 1 + n - m, s->domain))
		return false;
	return n == m || (at[n - m] == '.' && !key->no_subdomain);
}

static enum mw_rc take_signer(struct mw_octets map, struct signer *s,
	const struct dkimsvc_key_ring *ring, struct mw_err *err)
{
	const struct dkimsvc_signing_key *key;
	int64_t ttl;

	if (!take_text(map, "d", s->domain, sizeof(s->domain)) ||
		!take_text(map, "s", s->selector, sizeof(s->selector)) ||
		!take_text(map, "i", s->identity, sizeof(s->identity)) || !take_names(map, s))
		return mw_fail(err, MW_ERR_PROTO, "malformed orders");
	key = dkimsvc_keys_find(ring, s->domain, s->selector);
	if (key == NULL)
		return mw_fail(err, MW_ERR_CONF, "no dkim_key for domain %.60s and selector %.40s",
			s->domain, s->selector);
	if (!identity_allowed(s, key))
		return mw_fail(
			err, MW_ERR_CONF, "i= %.60s does not fit d= %.60s", s->identity, s->domain);
	ttl = mw_map_int(map, "ttl_s", 0);
	s->order.ttl_s = ttl > 0 && ttl <= 1000000000 ? (uint64_t)ttl : 0;
	s->order.now_s = mw_wall_ms() / 1000;
	s->order.key = key;
	s->order.domain = s->domain;
	s->order.identity = s->identity;
	return MW_OK;
}

static enum mw_rc take_orders(struct task *t, struct mw_octets orders, struct mw_err *err)
{
	struct mw_octets one;
	struct mw_cur c;
	size_t count;
	enum mw_rc rc = MW_OK;

	if (!mw_map_find(orders, "signers", &c) || !mw_cur_array(&c, &count))
		return mw_fail(err, MW_ERR_PROTO, "orders name no signers");
	if (count == 0 || count > SIGNERS_MAX)
		return mw_fail(
			err, MW_ERR_LIMIT, "%zu signers; 1 to %d are possible", count, SIGNERS_MAX);
	t->signers = calloc(count, sizeof(*t->signers));
	if (t->signers == NULL)
		return mw_fail(err, MW_ERR_NOMEM, "no memory");
	for (; rc == MW_OK && t->count < count; t->count++)
		rc = mw_cur_raw_map(&c, &one)
			     ? take_signer(one, &t->signers[t->count], t->ring, err)
			     : mw_fail(err, MW_ERR_PROTO, "malformed orders");
	return rc;
}

/* ------------------------------------------------------------------ work */

static void sign_run(void *arg, const atomic_bool *stop)
{
	struct task *t = arg;

	for (size_t i = 0; i < t->count && t->rc == MW_OK; i++)
		t->rc = dkimsvc_sign(t->sign->signer, &t->message, &t->signers[i].order, &t->hashes,
			&t->fields, stop, &t->err);
}

static void fail(struct mw_ticket *ticket, const struct mw_job *job, const struct mw_err *err)
{
	mw_log(MW_WARN, "sign_failed", "log_id=%s reason=%s", job->log_id, mw_quote(err->text));
	mw_worker_failed(ticket,
		mw_is_printable(err->text, strlen(err->text)) ? err->text : "signing failed");
}

static void answer(struct task *t)
{
	struct mw_verdict v = { .status = MW_DONE, .cpu_us = t->work.cpu_us };
	struct mw_pack b;

	mw_pack_init(&b);
	mw_pack_map(&b, 2);
	mw_pack_kv_octets(&b, "fields", mw_octets_of(t->fields.p, t->fields.n));
	mw_pack_text(&b, "domains");
	mw_pack_array(&b, t->count);
	for (size_t i = 0; i < t->count; i++)
		mw_pack_text(&b, t->signers[i].domain);
	v.findings = mw_octets_of(b.p, b.n);
	if (b.failed)
		mw_worker_failed(t->ticket, mw_rc_name(MW_ERR_NOMEM));
	else
		mw_worker_done(t->ticket, &v);
	mw_pack_fini(&b);
}

static void sign_after(void *arg, bool cancelled)
{
	struct task *t = arg;

	if (!cancelled && t->rc == MW_OK)
		answer(t);
	else if (!cancelled)
		fail(t->ticket, t->ticket->job, &t->err);
	task_free(t);
}

/* ------------------------------------------------------------------ the check */

static enum mw_rc sign_start(void *state, const struct mw_job *job, struct mw_ticket *ticket)
{
	struct sign *s = state;
	struct task *t = calloc(1, sizeof(*t));
	struct mw_err err = { "" };
	enum mw_rc rc;

	if (t == NULL)
		return MW_ERR_NOMEM;
	t->sign = s;
	t->ticket = ticket;
	t->ring = dkimsvc_keys_ref(s->ring);
	rc = take_orders(t, job->orders, &err);
	if (rc == MW_OK) {
		rc = dkimsvc_message_open(&t->message, job);
		if (rc != MW_OK)
			mw_fail(&err, rc, "%s",
				rc == MW_ERR_LIMIT ? "header section too large" : mw_rc_name(rc));
	}
	ticket->user = t;
	mw_worker_phase(ticket, "sign");
	if (rc == MW_OK && !dkimsvc_work_start(&t->work, s->loop, sign_run, sign_after, t))
		rc = mw_fail(&err, MW_ERR_NOMEM, "%s", mw_rc_name(MW_ERR_NOMEM));
	if (rc != MW_OK) {
		task_free(t);
		fail(ticket, job, &err);
	}
	return MW_OK;
}

static void sign_cancel(void *state, struct mw_ticket *ticket)
{
	struct task *t = ticket->user;

	(void)state;
	if (t != NULL)
		dkimsvc_work_cancel(&t->work); /* sign_after frees it */
}

static enum mw_rc sign_open(
	void **state_r, struct mw_loop *loop, const struct mw_conf *conf, struct mw_err *err_r)
{
	struct sign *s = calloc(1, sizeof(*s));
	enum mw_rc rc;

	if (s == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory");
	*state_r = s;
	s->loop = loop;
	s->slots = (unsigned)mw_conf_int(conf, "dkim.slots");
	rc = dkimsvc_signer_open(&s->signer, err_r);
	if (rc == MW_OK)
		rc = dkimsvc_keys_load(&s->ring, conf, err_r);
	if (rc == MW_OK)
		mw_log(MW_INFO, "dkim_keys", "count=%zu", dkimsvc_keys_count(s->ring));
	return rc;
}

static enum mw_rc sign_reload(void *state, const struct mw_conf *conf, struct mw_err *err_r)
{
	struct sign *s = state;
	struct dkimsvc_key_ring *ring;
	enum mw_rc rc = dkimsvc_keys_load(&ring, conf, err_r);

	if (rc != MW_OK)
		return rc;
	dkimsvc_keys_unref(&s->ring);
	s->ring = ring;
	s->slots = (unsigned)mw_conf_int(conf, "dkim.slots");
	mw_log(MW_INFO, "dkim_keys", "count=%zu", dkimsvc_keys_count(s->ring));
	return MW_OK;
}

static void sign_close(void **state_p)
{
	struct sign *s = *state_p;

	*state_p = NULL;
	if (s == NULL)
		return;
	dkimsvc_keys_unref(&s->ring);
	dkimsvc_signer_close(&s->signer);
	free(s);
}

static unsigned sign_slots(const void *state)
{
	return ((const struct sign *)state)->slots;
}

const struct mw_check dkimsvc_sign_check = {
	.kind = "sign",
	.slots_of = sign_slots,
	.open = sign_open,
	.start = sign_start,
	.cancel = sign_cancel,
	.reload = sign_reload,
	.close = sign_close,
};
