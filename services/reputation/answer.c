#include "answer.h"

#include <stdlib.h>

#define COUNT_MOST UINT64_C(1000000000000) /* as in the scripts: 1e12 */
#define TIME_MS_MOST (COUNT_MOST * 1000)   /* times go through the same test, in seconds */
#define ANSWER_FIELDS 5
#define RECORD_FIELDS 7
#define PENPAL_FIELDS 4

static bool read_fields(struct mw_cur *c, size_t fields)
{
	size_t items;

	return mw_cur_array(c, &items) && items == fields;
}

static bool read_record(struct mw_cur *c, struct rep_ip_record *r)
{
	uint64_t first_ms, last_ms, ttl_s;

	if (!read_fields(c, RECORD_FIELDS) || !mw_cur_uint(c, COUNT_MOST, &r->counts.n) ||
		!mw_cur_uint(c, COUNT_MOST, &r->counts.s) ||
		!mw_cur_uint(c, COUNT_MOST, &r->counts.h) ||
		!mw_cur_uint(c, COUNT_MOST, &r->counts.b) ||
		!mw_cur_uint(c, TIME_MS_MOST, &first_ms) ||
		!mw_cur_uint(c, TIME_MS_MOST, &last_ms) ||
		!mw_cur_uint(c, REP_RECORD_AGE_MOST_S, &ttl_s))
		return false;
	r->first_ms = (int64_t)first_ms;
	r->last_ms = (int64_t)last_ms;
	r->ttl_s = (int64_t)ttl_s;
	return true;
}

static bool read_records(struct mw_cur *c, const struct rep_query *q, struct rep_answer *a)
{
	size_t items;

	if (!mw_cur_array(c, &items) || items != q->ip_count)
		return false;
	for (a->ip_count = 0; a->ip_count < items; a->ip_count++) {
		if (!read_record(c, &a->ips[a->ip_count]))
			return false;
	}
	return true;
}

/* One of q's recipients, after the one before it: nobody is named twice. *next is where to look on
 * in q. */
static bool read_penpal(
	struct mw_cur *c, const struct rep_query *q, size_t *next, struct rep_penpal *p)
{
	uint64_t rcpt, age_s, by;

	if (!read_fields(c, PENPAL_FIELDS) || !mw_cur_uint(c, UINT32_MAX, &rcpt) ||
		!mw_cur_text(c, p->mail_id, sizeof(p->mail_id)) || p->mail_id[0] == '\0' ||
		!mw_cur_uint(c, COUNT_MOST, &age_s) || !mw_cur_uint(c, REP_BY_BOTH, &by) || by == 0)
		return false;
	while (*next < q->rcpt_count && q->rcpt_index[*next] != rcpt)
		(*next)++;
	if (*next == q->rcpt_count)
		return false;
	(*next)++;
	p->rcpt = (uint32_t)rcpt;
	p->age_s = (int64_t)age_s;
	p->by = (enum rep_by)by;
	return true;
}

static enum mw_rc read_penpals(struct mw_cur *c, const struct rep_query *q, struct rep_answer *a)
{
	size_t items, next = 0;

	if (!mw_cur_array(c, &items) || items > q->rcpt_count)
		return MW_ERR_PROTO;
	if (items == 0)
		return MW_OK;
	a->penpals = calloc(items, sizeof(*a->penpals));
	if (a->penpals == NULL)
		return MW_ERR_NOMEM;
	for (; a->penpal_count < items; a->penpal_count++) {
		if (!read_penpal(c, q, &next, &a->penpals[a->penpal_count]))
			return MW_ERR_PROTO;
	}
	return MW_OK;
}

enum mw_rc rep_answer_decode(
	struct mw_octets reply, const struct rep_query *q, struct rep_answer *a_r)
{
	struct mw_cur c = mw_cur_of(reply.p, reply.n);
	struct mw_octets nonce;
	enum mw_rc rc = MW_ERR_PROTO;

	memset(a_r, 0, sizeof(*a_r));
	if (read_fields(&c, ANSWER_FIELDS) && mw_cur_octets(&c, MW_NAME_MAX, &nonce) &&
		nonce.n == strlen(q->mail_id) && memcmp(nonce.p, q->mail_id, nonce.n) == 0 &&
		mw_cur_bool(&c, &a_r->saved) && mw_cur_bool(&c, &a_r->cut) &&
		read_records(&c, q, a_r))
		rc = read_penpals(&c, q, a_r);
	if (rc == MW_OK && !mw_cur_end(&c))
		rc = MW_ERR_PROTO;
	if (rc != MW_OK)
		rep_answer_fini(a_r);
	return rc;
}

void rep_answer_fini(struct rep_answer *a)
{
	free(a->penpals);
	memset(a, 0, sizeof(*a));
}
