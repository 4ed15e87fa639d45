#include "own_mail.h"

#include <stdlib.h>

#include "log.h"

struct own_mail {
	struct txn_client client; /* the first: over() goes from it to the whole */
	struct txn *txn;	  /* NULL: it is over, or gone */
	bool starting;		  /* an end now is a start that failed */
	void (*done)(void *arg, unsigned code, const char *text);
	void *arg;
};

static bool over(struct txn_client *client, const struct txn *t)
{
	struct own_mail *m = (struct own_mail *)(void *)client;

	m->txn = NULL;
	if (m->starting)
		return true;
	m->done(m->arg, t->reply_code, t->reply);
	free(m);
	return true;
}

static bool add_rcpts(struct txn *t, const struct own_mail_spec *spec)
{
	for (size_t i = 0; i < spec->rcpt_count; i++) {
		const struct own_mail_rcpt *r = &spec->rcpts[i];
		struct smtp_rcpt_params params = r->params;
		const char *addr = smtp_arena_copy(&t->arena, r->addr, strlen(r->addr));

		if (params.orcpt != NULL && (params.orcpt = smtp_arena_copy(&t->arena, params.orcpt,
						     strlen(params.orcpt))) == NULL)
			return false;
		if (addr == NULL || txn_add_rcpt(t, addr, &params) != MW_OK)
			return false;
	}
	return spec->rcpt_count > 0;
}

/* What the parent has left, of which a part is kept for the next hop, as with any mail. */
static void set_deadlines(struct txn *t, const struct txn *parent)
{
	uint64_t now = mw_mono_ms();
	uint64_t left = parent->deadline_ms > now ? parent->deadline_ms - now : 0;

	t->deadline_ms = parent->deadline_ms;
	t->checks_deadline_ms = t->deadline_ms - left * t->set->delivery_reserve_percent / 100;
}

static struct txn *make_txn(
	struct own_mail *m, const struct txn *parent, const struct own_mail_spec *spec)
{
	const struct txn_origin origin = {
		.helo = "localhost",
		.peer_ip = parent->peer_ip, /* for next hops with * */
		.local_ip = parent->local_ip,
		.protocol = "",
		.peer_port = parent->peer_port,
		.local_port = parent->local_port,
		.set = parent->set,
		.policy = parent->policy,
	};
	struct txn *t = txn_new(parent->front, &m->client, &origin, spec->sender);

	if (t == NULL)
		return NULL;
	t->own = m;
	t->own_kind = spec->kind;
	mw_strlcpy(t->parent_mail_id, parent->mail_id, sizeof(t->parent_mail_id));
	t->originating = true;
	t->route = spec->route;
	set_deadlines(t, parent);
	t->params = spec->params;
	t->body = smtp_body_ref(spec->body);
	if ((t->params.envid != NULL &&
		    (t->params.envid = smtp_arena_copy(
			     &t->arena, t->params.envid, strlen(t->params.envid))) == NULL) ||
		!add_rcpts(t, spec) || txn_read(t) != MW_OK) {
		t->client = NULL;
		t->own = NULL;
		txn_destroy(&t);
	}
	return t;
}

struct own_mail *own_mail_send(struct txn *parent, const struct own_mail_spec *spec)
{
	struct own_mail *m = calloc(1, sizeof(*m));
	const char *fields;

	if (m == NULL)
		return NULL;
	m->client.over = over;
	m->done = spec->done;
	m->arg = spec->arg;
	m->txn = make_txn(m, parent, spec);
	fields = m->txn != NULL
			 ? smtp_arena_copy(&m->txn->arena, spec->fields, strlen(spec->fields))
			 : NULL;
	if (fields == NULL) {
		if (m->txn != NULL) {
			m->txn->own = NULL;
			txn_destroy(&m->txn);
		}
		free(m);
		return NULL;
	}
	txn_log(parent, MW_INFO, "own_mail",
		"log_id=%s mail_id=%s parent_mail_id=%s kind=%s rcpts=%zu size=%zu", m->txn->log_id,
		m->txn->mail_id, parent->mail_id, mw_own_name(spec->kind), spec->rcpt_count,
		strlen(fields) + smtp_body_size(spec->body) - spec->from);
	m->starting = true;
	txn_send_own(m->txn, fields, spec->from, spec->sign);
	m->starting = false;
	if (m->txn != NULL)
		return m;
	free(m);
	return NULL;
}

bool own_mail_committed(const struct own_mail *m)
{
	return m != NULL && m->txn != NULL && m->txn->phase == TXN_DELIVER &&
	       (m->txn->cluster_at > 0 || delivery_committed(m->txn->run));
}

void own_mail_cancel(struct own_mail **m_p)
{
	struct own_mail *m = *m_p;

	*m_p = NULL;
	if (m == NULL)
		return;
	if (m->txn != NULL)
		txn_abandon(&m->txn);
	free(m);
}

void own_mail_gone(struct txn *t)
{
	/* When its end has been told, or nobody waits, there is no client any more, and t->own may
	 * be gone. */
	if (t->own != NULL && t->client != NULL)
		t->own->txn = NULL;
}
