/* request=AM.PDP: what is to become of a mail. */
#include <stdio.h>
#include <stdlib.h>

#include "ampdp_answer.h"
#include "ampdp_session_priv.h"
#include "log.h"
#include "policy/mail_policy.h"
#include "smtp_data.h"

#define MAIL_NAME "email.txt" /* of the mail in a client's folder */

static bool is_server(const char *value)
{
	return value != NULL && strcmp(value, "server") == 0;
}

/* NULL: refused, and the session was told. */
static struct txn *begin(struct ampdp_session *s, struct smtp_xforward *x)
{
	struct ampdp_request *q = &s->request;
	struct txn_origin origin = {
		.peer_ip = s->in.peer_ip,
		.local_ip = s->in.local_ip,
		.protocol = "AM.PDP",
		.peer_port = s->in.peer_port,
		.local_port = s->in.local_port,
		.xforward = x,
		.set = s->in.set,
		.policy = s->in.policy,
	};
	const char *sender;
	bool utf8 = false;
	struct txn *t;

	if (q->sender == NULL || !ampdp_address(&q->arena, q->sender, true, &sender, &utf8)) {
		ampdp_session_refuse(s, 451, "4.1.7", "bad sender address syntax");
		return NULL;
	}
	if (!ampdp_request_xforward(q, x)) {
		ampdp_session_refuse(s, 451, "4.3.0", "out of memory");
		return NULL;
	}
	origin.helo = x->helo != NULL ? x->helo : "localhost";
	/* Whoever delivers by itself can be told of each recipient; what we deliver has one reply.
	 */
	s->client.delivers = s->client.per_rcpt = !is_server(q->delivery_care_of);
	t = txn_new(s->in.front, &s->client, &origin, sender);
	if (t == NULL) {
		ampdp_session_refuse(s, 451, "4.3.0", "out of memory");
		return NULL;
	}
	t->params.smtputf8 = utf8;
	return t;
}

/* False: refused. */
static bool add_recipients(struct ampdp_session *s)
{
	struct ampdp_request *q = &s->request;

	if (q->recipient_count == 0) {
		ampdp_session_refuse(s, 451, "4.5.0", "the request names no recipient");
		return false;
	}
	for (size_t i = 0; i < q->recipient_count; i++) {
		struct txn *t = s->txn;
		const char *addr;

		if (txn_is_full(t)) {
			ampdp_session_refuse(
				s, 452, "4.5.3", "too many recipients (smtpd_recipient_limit)");
			return false;
		}
		if (!ampdp_address(
			    &t->arena, q->recipients[i], false, &addr, &t->params.smtputf8)) {
			ampdp_session_refuse(s, 451, "4.1.3", "bad recipient address syntax");
			return false;
		}
		if (txn_add_rcpt(t, addr, &(struct smtp_rcpt_params){ 0 }) != MW_OK) {
			ampdp_session_refuse(s, 451, "4.3.0", "out of memory");
			return false;
		}
	}
	return true;
}

static void refuse_file(struct ampdp_session *s, const struct mail_file_got *got)
{
	char text[320];

	switch (got->rc) {
	case MW_ERR_LIMIT:
		ampdp_session_refuse(s, 552, "5.3.4", got->err.text);
		return;
	case MW_AGAIN:
		ampdp_session_refuse(s, 452, "4.3.1", "mails in flight fill front.held_octets");
		return;
	default:
		mw_log(MW_WARN, "mail_file_refused", "file=%s rc=%s why=%s",
			mw_quote(got->name != NULL ? got->name : "-"), mw_rc_name(got->rc),
			mw_quote(got->err.text));
		snprintf(text, sizeof(text), "cannot take the mail file: %.200s", got->err.text);
		ampdp_session_refuse(s, 451, "4.3.0", text);
	}
}

static void loaded(void *arg, struct mail_file_got *got)
{
	struct ampdp_session *s = arg;
	struct txn *t = s->txn;

	s->loading = NULL;
	if (got->rc != MW_OK) {
		refuse_file(s, got);
		return;
	}
	t->body = got->body;
	got->body = NULL;
	if (!t->client_delivers && t->policy->bare_newline != NEWLINE_PASS &&
		smtp_data_hides_dot(smtp_body_octets(t->body))) {
		ampdp_session_refuse(
			s, 550, "5.5.2", "a line of one dot is hidden by a bare <CR> or a NUL");
		return;
	}
	t->dots = true; /* nobody looked */
	if (got->eight_bit)
		t->params.body = SMTP_BODY_8BITMIME;
	ampdp_session_run(s);
	txn_run(t);
}

static void over(struct ampdp_session *s, struct txn *t)
{
	ampdp_answer(&s->out, t, &s->request);
}

/* The file's place below an allowed folder, and the folder that is ours to remove. */
static bool find_file(struct ampdp_session *s, const char **root_r, const char **name_r)
{
	struct ampdp_request *q = &s->request;
	const struct policy_set *set = s->in.set;
	const char *const *dirs = (const char *const *)set->mail_dirs;
	const char *path = q->mail_file, *rest;

	if (q->tempdir != NULL &&
		!mail_file_root(q->tempdir, dirs, set->mail_dir_count, root_r, &rest))
		return false;
	/* Without a word about it the folder is ours, as with amavisd. */
	if (q->tempdir != NULL &&
		(q->tempdir_removed_by == NULL || is_server(q->tempdir_removed_by))) {
		s->root = *root_r;
		s->tempdir = rest;
	}
	if (path == NULL && q->tempdir != NULL)
		path = smtp_arena_printf(&q->arena, "%s/" MAIL_NAME, q->tempdir);
	return path != NULL && mail_file_root(path, dirs, set->mail_dir_count, root_r, name_r);
}

/* False: refused. */
static bool load_banks(struct ampdp_session *s)
{
	if (mail_policy_begin(s->txn, s->request.policy_bank))
		return true;
	if (mail_policy_is_undecided(s->txn))
		ampdp_session_refuse(
			s, 451, "4.4.3", "a DNS list about the client does not answer");
	else
		ampdp_session_refuse(
			s, 451, "4.3.5", "the policy banks of this mail cannot be loaded");
	return false;
}

/* Which policy the mail has can be said. */
static void lists_known(struct txn *t)
{
	struct ampdp_session *s = (struct ampdp_session *)((char *)t->client -
							   offsetof(struct ampdp_session, client));
	struct mail_file_want want = {
		.root = s->file_root, .names = &s->file_name, .name_count = 1
	};

	if (!load_banks(s) || !add_recipients(s))
		return;
	t->phase = TXN_DATA;
	t->data_us = mw_mono_us();
	txn_state(t, 'd');
	want.limit = t->policy->message_size_limit;
	ampdp_session_load(s, &want, loaded);
}

void ampdp_check(struct ampdp_session *s)
{
	struct smtp_xforward x;
	enum mw_rc rc;

	if (!find_file(s, &s->file_root, &s->file_name)) {
		ampdp_session_refuse(
			s, 451, "4.3.0", "tempdir and mail_file need to lie below ampdp.mail_dirs");
		return;
	}
	s->over = over;
	s->txn = begin(s, &x);
	if (s->txn == NULL)
		return;
	rc = mail_policy_ready(s->txn, lists_known);
	if (rc == MW_AGAIN)
		ampdp_session_run(s);
	else if (rc != MW_OK)
		ampdp_session_refuse(s, 451, "4.3.0", "out of memory");
	else
		lists_known(s->txn);
}

void ampdp_check_clean_up(struct ampdp_session *s)
{
	if (s->tempdir != NULL)
		mail_file_remove(s->in.front, s->root, s->tempdir, MAIL_NAME);
	s->tempdir = NULL;
}
