/* request=release and request=requeue: a mail out of the quarantine, to whom it was kept from. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "ampdp_answer.h"
#include "ampdp_session_priv.h"
#include "log.h"
#include "outcome/edit.h"
#include "outcome/quarantine_copy.h"

/* The envelope and findings on top of a copy count for nothing in smtpd_message_size_limit. */
#define ENVELOPE_OCTETS_MAX MW_HEADER_OCTETS_MAX
#define ADDRESS_VALUE_MAX (SMTP_PATH_MAX + 2)

static bool is_requeue(const struct ampdp_session *s)
{
	return strcmp(s->request.request, "requeue") == 0;
}

static void refuse(struct ampdp_session *s, const char *text)
{
	char whole[400];

	snprintf(whole, sizeof(whole), "ERROR %.380s", text);
	ampdp_session_refuse(s, 450, "4.5.0", whole);
}

static bool is_mail_id(const char *id)
{
	size_t n = strlen(id);

	if (n == 0 || n >= MW_NAME_MAX || !isalnum((unsigned char)id[0]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)id[i]) && strchr("-_+", id[i]) == NULL)
			return false;
	return true;
}

/* ------------------------------------------------------------------ where it is kept */

struct names {
	const char **items;
	size_t count, cap;
	bool failed;
};

static void add_name(struct ampdp_session *s, struct names *n, const char *template)
{
	const char *m = strstr(template, "%m"), *id = s->request.mail_id, *name;

	if (m == NULL || n->count == n->cap)
		return;
	name = smtp_arena_printf(
		&s->request.arena, "%c/%.*s%s%s", id[0], (int)(m - template), template, id, m + 2);
	n->failed = n->failed || name == NULL;
	for (size_t i = 0; i < n->count && name != NULL; i++)
		if (strcmp(n->items[i], name) == 0)
			return;
	n->items[n->count++] = name;
}

/*
 * mail_file as it is given, then what quarantine.c would have called mail_id under any bank: an
 * amavisd-release that is given an id alone sends it as both. Poison is found only by its file's
 * name: whoever wants that one has to say so.
 */
static bool find_names(struct ampdp_session *s, struct names *n)
{
	const struct policy_set *set = s->in.set;
	const struct ampdp_request *q = &s->request;

	n->cap = 3 * set->count + 1;
	n->items = smtp_arena_array(&s->request.arena, n->cap, sizeof(*n->items));
	if (n->items == NULL)
		return false;
	if (q->mail_file != NULL)
		n->items[n->count++] = q->mail_file;
	if (q->mail_id == NULL || (q->mail_file != NULL && strchr(q->mail_file, '/') != NULL))
		return true;
	for (const struct policy *p = set->base; p != NULL; p = p->next) {
		add_name(s, n, p->virus_quarantine);
		add_name(s, n, p->spam_quarantine);
		add_name(s, n, p->unchecked_quarantine);
	}
	return !n->failed;
}

/* NULL when it may be asked for; otherwise why not. */
static const char *forbidden(const struct ampdp_session *s)
{
	const struct ampdp_request *q = &s->request;

	if (s->in.policy->auth_required_release)
		return "auth_required_release is set, and this quarantine keeps no secret_id";
	if (q->secret_id != NULL && *q->secret_id != '\0')
		return "this quarantine keeps no secret_id to compare with";
	if (q->quar_type != NULL && strcmp(q->quar_type, "F") != 0 &&
		strcmp(q->quar_type, "Z") != 0)
		return "only files are kept: quar_type F or Z";
	if (q->mail_id == NULL && q->mail_file == NULL)
		return "neither mail_id nor mail_file is given";
	if (q->mail_id != NULL && !is_mail_id(q->mail_id))
		return "that is no mail_id";
	if (*s->in.set->quarantine_dir == '\0')
		return "QUARANTINEDIR is not set";
	return NULL;
}

/* ------------------------------------------------------------------ to whom */

/* Its own recipients, or those that the request puts in their place. NULL: all taken. */
static const char *add_recipient(struct txn *t, const char *value)
{
	const char *addr;

	if (txn_is_full(t))
		return "too many recipients (smtpd_recipient_limit)";
	if (!ampdp_address(&t->arena, value, false, &addr, &t->params.smtputf8))
		return "bad recipient address";
	return txn_add_rcpt(t, addr, &(struct smtp_rcpt_params){ 0 }) == MW_OK ? NULL
									       : "out of memory";
}

static const char *add_kept(struct txn *t, const struct quarantine_copy *c, bool blocked)
{
	char text[ADDRESS_VALUE_MAX + 1];
	struct mw_octets value;
	size_t at = 0;
	const char *no = NULL;

	while (no == NULL && quarantine_copy_rcpt(c, blocked, &at, &value))
		no = mw_strncpy(text, sizeof(text), value.p, value.n) ? add_recipient(t, text)
								      : "bad recipient address";
	return no;
}

static const char *add_recipients(
	struct txn *t, const struct ampdp_request *q, const struct quarantine_copy *c)
{
	const char *no = NULL;

	for (size_t i = 0; i < q->recipient_count && no == NULL; i++)
		no = add_recipient(t, q->recipients[i]);
	/* Others have had it already. */
	if (no == NULL && t->rcpt_count == 0)
		no = add_kept(t, c, true);
	if (no == NULL && t->rcpt_count == 0)
		no = add_kept(t, c, false);
	return no == NULL && t->rcpt_count == 0 ? "it names no recipient" : no;
}

static struct txn *begin(
	struct ampdp_session *s, const struct quarantine_copy *c, const char **no_r)
{
	const struct txn_origin origin = {
		.helo = "localhost",
		.peer_ip = s->in.peer_ip,
		.local_ip = s->in.local_ip,
		.protocol = "AM.PDP",
		.peer_port = s->in.peer_port,
		.local_port = s->in.local_port,
		.set = s->in.set,
		.policy = s->in.policy,
	};
	struct ampdp_request *q = &s->request;
	char text[ADDRESS_VALUE_MAX + 1];
	const char *sender;
	bool utf8 = false;
	struct txn *t;

	*no_r = "bad sender address";
	if (!mw_strncpy(text, sizeof(text), c->sender.p, c->sender.n) ||
		!ampdp_address(
			&q->arena, q->sender != NULL ? q->sender : text, true, &sender, &utf8))
		return NULL;
	s->client.delivers = false;
	s->client.per_rcpt = true;
	t = txn_new(s->in.front, &s->client, &origin, sender);
	*no_r = t != NULL ? add_recipients(t, q, c) : "out of memory";
	if (t == NULL)
		return NULL;
	t->params.smtputf8 = t->params.smtputf8 || utf8;
	snprintf(t->log_id, sizeof(t->log_id), "rel-%.20s", t->mail_id);
	return t;
}

/* ------------------------------------------------------------------ the mail */

/* RFC 5322 section 3.6.6; above them the trace. */
static void add_resent(struct ampdp_session *s, const struct txn *t, struct mw_text *out)
{
	const char *host = t->set->myhostname, *by = NULL;
	bool utf8 = false, known;

	known = s->request.requested_by != NULL &&
		ampdp_address(&s->request.arena, s->request.requested_by, false, &by, &utf8) &&
		!utf8;
	if (known)
		mw_text_addf(
			out, "Resent-From: <%s>\r\nResent-Sender: <postmaster@%s>\r\n", by, host);
	else
		mw_text_addf(out, "Resent-From: <postmaster@%s>\r\n", host);
	if (t->rcpt_count == 1 && mw_is_printable(t->rcpts[0].addr, strlen(t->rcpts[0].addr)))
		mw_text_addf(out, "Resent-To: <%s>\r\n", t->rcpts[0].addr);
	else
		mw_text_add(out, "Resent-To: undisclosed-recipients:;\r\n");
	mw_text_addf(out, "Resent-Date: %s\r\nResent-Message-ID: <%s@%s>\r\n",
		edit_date((time_t)(t->time_ms / 1000)), t->log_id, host);
}

/* NULL: no memory. */
static const char *fields_for(
	struct ampdp_session *s, struct txn *t, const struct quarantine_copy *c)
{
	struct mw_text out = { 0 };
	const char *fields = NULL;

	edit_received(t, &out);
	if (!is_requeue(s))
		add_resent(s, t, &out);
	if (c->original < c->file.n &&
		(c->file.p[c->original] == ' ' || c->file.p[c->original] == '\t'))
		mw_text_add(&out, EDIT_GUARD_FIELD);
	if (!out.failed)
		fields = smtp_arena_copy(&t->arena, out.p, out.n);
	mw_text_fini(&out);
	return fields;
}

static void loaded(void *arg, struct mail_file_got *got)
{
	struct ampdp_session *s = arg;
	struct ampdp_request *q = &s->request;
	struct quarantine_copy c;
	const char *no = NULL, *fields;
	char parent[128];

	s->loading = NULL;
	if (got->rc != MW_OK) {
		refuse(s, got->rc == MW_ERR_GONE ? "no such mail is kept" : got->err.text);
		return;
	}
	if (!quarantine_copy_read(smtp_body_octets(got->body), &c))
		no = "that file is no quarantine copy";
	else if (q->mail_id != NULL &&
		 !(c.id.n == strlen(q->mail_id) && memcmp(c.id.p, q->mail_id, c.id.n) == 0))
		no = "that file has another mail_id";
	else
		s->txn = begin(s, &c, &no);
	fields = no == NULL ? fields_for(s, s->txn, &c) : NULL;
	if (fields == NULL) {
		refuse(s, no != NULL ? no : "out of memory");
		return;
	}
	s->txn->body = got->body;
	got->body = NULL;
	s->txn->params.body = got->eight_bit ? SMTP_BODY_8BITMIME : SMTP_BODY_NONE;
	txn_log(s->txn, strncmp(got->name, "poison/", 7) == 0 ? MW_WARN : MW_INFO, "release",
		"log_id=%s request=%s parent_mail_id=%s file=%s rcpts=%zu", s->txn->log_id,
		q->request, mw_quote_octets(parent, sizeof(parent), c.id.p, c.id.n),
		mw_quote(got->name), s->txn->rcpt_count);
	ampdp_session_run(s);
	txn_forward(s->txn, is_requeue(s) ? &s->in.policy->requeue : &s->in.policy->release, fields,
		c.original);
}

static void over(struct ampdp_session *s, struct txn *t)
{
	ampdp_answer_head(&s->out, t->log_id);
	for (size_t i = 0; i < t->rcpt_count; i++)
		ampdp_answer_setreply(&s->out, t->rcpts[i].reply);
	ampdp_put_end(&s->out);
}

void ampdp_release(struct ampdp_session *s)
{
	struct names n = { 0 };
	struct mail_file_want want = {
		.root = s->in.set->quarantine_dir,
		.limit = s->in.policy->message_size_limit + ENVELOPE_OCTETS_MAX,
	};
	const char *no = forbidden(s);

	if (no == NULL && !find_names(s, &n))
		no = "out of memory";
	if (no != NULL) {
		refuse(s, no);
		return;
	}
	want.names = n.items;
	want.name_count = n.count;
	s->over = over;
	ampdp_session_load(s, &want, loaded);
}
