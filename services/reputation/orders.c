#include "orders.h"

#include <stdlib.h>

#define TIME_MS_MOST INT64_C(4102444800000) /* the year 2100: beyond it a clock is wrong */

static unsigned char ascii_lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

/* ------------------------------------------------------------------ addresses */

/* Octets that stand unquoted in a local part: atext and dots (RFC 5322 section 3.2.3), and UTF-8
 * (RFC 6531). */
static bool is_dot_atom(const unsigned char *p, size_t n)
{
	bool dot_before = true; /* no dot at the start, at the end, or after another */

	for (size_t i = 0; i < n; i++) {
		bool dot = p[i] == '.';

		if (p[i] <= ' ' || p[i] == 0x7f || strchr("()<>[]:;@\\,\"", p[i]) != NULL ||
			(dot && dot_before))
			return false;
		dot_before = dot;
	}
	return n > 0 && !dot_before;
}

/*
 * Undo a quoted local part that ends right before the last @: its content goes to out. 0 when it is
 * no well-formed quoted string: then the address stays as it is.
 */
static size_t unquote(struct mw_octets local, unsigned char *out)
{
	size_t n = 0;

	if (local.n < 3 || local.p[0] != '"' || local.p[local.n - 1] != '"')
		return 0;
	for (size_t i = 1; i < local.n - 1; i++) {
		if (local.p[i] == '"')
			return 0;
		if (local.p[i] == '\\' && ++i == local.n - 1)
			return 0;
		out[n++] = local.p[i];
	}
	return n;
}

size_t rep_address_key(struct mw_octets address, unsigned char *out)
{
	const unsigned char *at;
	size_t local, n;

	if (address.n == 0)
		return 0;
	at = memrchr(address.p, '@', address.n);
	local = at != NULL ? (size_t)(at - address.p) : address.n;
	n = unquote(mw_octets_of(address.p, local), out);
	if (n == 0 || !is_dot_atom(out, n)) {
		memcpy(out, address.p, local);
		n = local;
	}
	memcpy(out + n, address.p + local, address.n - local);
	n += address.n - local;
	for (size_t i = 0; i < n; i++)
		out[i] = ascii_lower(out[i]);
	return n;
}

static bool octets_equal(struct mw_octets a, struct mw_octets b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Key form of `from`, in memory that *room points at and is moved on. Empty when it is too long to
 * be an address. */
static struct mw_octets put_address(struct mw_octets from, unsigned char **room)
{
	struct mw_octets key = { *room, 0 };

	if (from.n == 0 || from.n > REP_ADDRESS_MAX)
		return key;
	key.n = rep_address_key(from, *room);
	*room += key.n;
	return key;
}

/* ------------------------------------------------------------------ the fields of orders */

/* mail_id becomes a key by itself, without a prefix: nothing but its own alphabet gets there (RFC
 * 4648 section 5, and amavisd's + for -). */
static bool is_mail_id(const char *text)
{
	size_t n =
		strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-_");

	return n > 0 && text[n] == '\0';
}

static enum mw_rc wrong(struct mw_err *err_r, const char *field)
{
	return mw_fail(
		err_r, MW_ERR_PROTO, "orders: %s is missing or not what docs/wire.md says", field);
}

/* Read the list `name`; *items_r 0 when it is absent. */
static bool list_open(
	struct mw_octets orders, const char *name, struct mw_cur *c_r, size_t *items_r)
{
	*items_r = 0;
	return !mw_map_find(orders, name, c_r) || mw_cur_array(c_r, items_r);
}

static bool have_ip(const struct mw_ip *ips, size_t count, const struct mw_ip *ip)
{
	for (size_t i = 0; i < count; i++) {
		if (mw_ip_equal(&ips[i], ip))
			return true;
	}
	return false;
}

/* Public addresses, each once; what is none is left out, for there is no record of it. */
static enum mw_rc read_ips(struct rep_orders *o, const struct mw_job *job, struct mw_ip *ips,
	size_t *count_r, struct mw_err *err_r)
{
	struct mw_cur c;
	size_t items, count = 0;

	if (!list_open(job->orders, "ips", &c, &items))
		return wrong(err_r, "ips");
	for (size_t i = 0; i < items; i++) {
		struct mw_octets text;
		struct mw_ip ip;

		if (!mw_cur_octets(&c, job->orders.n, &text))
			return wrong(err_r, "ips");
		if (!mw_ip_parse_octets(text, &ip) || !mw_ip_is_public_addr(&ip) ||
			have_ip(ips, count, &ip))
			continue;
		if (count == REP_IPS_MAX) {
			o->cut = true;
			break;
		}
		ips[count++] = ip;
	}
	*count_r = count;
	return MW_OK;
}

static enum mw_rc read_references(
	struct rep_orders *o, const struct mw_job *job, struct mw_err *err_r)
{
	struct rep_query *q = &o->query;
	struct mw_cur c;
	size_t items;

	if (!list_open(job->orders, "references", &c, &items))
		return wrong(err_r, "references");
	for (size_t i = 0; i < items; i++) {
		struct mw_octets id;

		if (!mw_cur_octets(&c, job->orders.n, &id))
			return wrong(err_r, "references");
		if (id.n == 0 || id.n > REP_MESSAGE_ID_MAX)
			continue;
		if (q->ref_count == REP_REFERENCES_MAX) {
			o->cut = true;
			break;
		}
		q->refs[q->ref_count++] = id;
	}
	return MW_OK;
}

static enum mw_rc read_time(const struct mw_job *job, int64_t *time_ms_r, struct mw_err *err_r)
{
	*time_ms_r = mw_map_int(job->orders, "time_ms", 0);
	return *time_ms_r > 0 && *time_ms_r <= TIME_MS_MOST ? MW_OK : wrong(err_r, "time_ms");
}

/* Memory for every address of the job in key form, which is never longer than the address. */
static enum mw_rc make_room(
	struct rep_orders *o, const struct mw_job *job, struct mw_octets list, size_t items)
{
	o->mem = malloc(job->sender.n + list.n + 1);
	o->rcpts = calloc(items + 1, sizeof(*o->rcpts));
	o->rcpt_index = calloc(items + 1, sizeof(*o->rcpt_index));
	return o->mem != NULL && o->rcpts != NULL && o->rcpt_index != NULL ? MW_OK : MW_ERR_NOMEM;
}

/*
 * Recipients of the raw array `list` that are not the sender, in key form. `local` (when not NULL)
 * stands at the first of local_count flags, one for each recipient: those without a true one are
 * left out.
 */
static enum mw_rc read_rcpts(struct rep_orders *o, struct mw_octets list, struct mw_octets sender,
	struct mw_cur *local, size_t local_count, unsigned char *room, size_t *count_r)
{
	struct mw_cur c = mw_cur_of(list.p, list.n);
	size_t items = 0, count = 0;

	if (list.n > 0 && (!mw_cur_array(&c, &items) || items > MW_RCPTS_MAX))
		return MW_ERR_PROTO;
	for (size_t i = 0; i < items; i++) {
		struct mw_octets text, key;
		bool wanted = local == NULL;

		if (!mw_cur_octets(&c, list.n, &text) ||
			(local != NULL && i < local_count && !mw_cur_bool(local, &wanted)))
			return MW_ERR_PROTO;
		key = wanted ? put_address(text, &room) : mw_octets_of(NULL, 0);
		if (key.n == 0 || octets_equal(key, sender))
			continue;
		o->rcpts[count] = key;
		o->rcpt_index[count++] = (uint32_t)i;
	}
	*count_r = count;
	return MW_OK;
}

/* How many items a raw array claims, at most MW_RCPTS_MAX; false when it is no such array. */
static bool count_items(struct mw_octets list, size_t *items_r)
{
	struct mw_cur c = mw_cur_of(list.p, list.n);

	*items_r = 0;
	return list.n == 0 || (mw_cur_array(&c, items_r) && *items_r <= MW_RCPTS_MAX);
}

/* ------------------------------------------------------------------ the two kinds */

static enum mw_rc read_penpals(struct rep_orders *o, const struct mw_job *job, struct mw_err *err_r)
{
	struct rep_query *q = &o->query;
	unsigned char *room = o->mem;
	struct mw_cur local;
	size_t local_count;
	enum mw_rc rc;

	if (!list_open(job->orders, "local", &local, &local_count))
		return wrong(err_r, "local");
	if (local_count == 0)
		return MW_OK;
	rc = read_references(o, job, err_r);
	if (rc != MW_OK)
		return rc;
	q->sender = put_address(job->sender, &room);
	rc = read_rcpts(o, job->rcpts, q->sender, &local, local_count, room, &q->rcpt_count);
	if (rc != MW_OK)
		return wrong(err_r, "recipients or local");
	q->rcpts = o->rcpts;
	q->rcpt_index = o->rcpt_index;
	return MW_OK;
}

enum mw_rc rep_orders_query(struct rep_orders *o, const struct mw_job *job, struct mw_err *err_r)
{
	struct rep_query *q = &o->query;
	enum mw_rc rc;

	memset(o, 0, sizeof(*o));
	if (!count_items(job->rcpts, &o->rcpts_total))
		return wrong(err_r, "recipients");
	q->save = mw_map_bool(job->orders, "originating", false);
	q->again = job->attempt > 1;
	mw_strlcpy(q->mail_id, job->mail_id, sizeof(q->mail_id));
	if (q->save && !is_mail_id(q->mail_id))
		return wrong(err_r, "mail_id");
	rc = read_time(job, &q->time_ms, err_r);
	if (rc == MW_OK)
		rc = read_ips(o, job, q->ips, &q->ip_count, err_r);
	if (rc == MW_OK && mw_map_bool(job->orders, "penpals", false)) {
		rc = make_room(o, job, job->rcpts, o->rcpts_total);
		if (rc == MW_OK)
			rc = read_penpals(o, job, err_r);
	}
	if (rc != MW_OK)
		rep_orders_fini(o);
	return rc;
}

/* A printable text of the orders into buf; false when it is there and is not that. */
static bool read_text(struct mw_octets orders, const char *name, char *buf, size_t size)
{
	struct mw_cur c;

	return !mw_map_find(orders, name, &c) || mw_cur_text(&c, buf, size);
}

static enum mw_rc read_ids(struct rep_lesson *l, const struct mw_job *job, struct mw_err *err_r)
{
	char outcome[2] = "";

	mw_strlcpy(l->mail_id, job->mail_id, sizeof(l->mail_id));
	mw_strlcpy(l->log_id, job->log_id, sizeof(l->log_id));
	if (!read_text(job->orders, "mail_id", l->mail_id, sizeof(l->mail_id)) ||
		(l->keep && !is_mail_id(l->mail_id)))
		return wrong(err_r, "mail_id");
	if (!read_text(job->orders, "log_id", l->log_id, sizeof(l->log_id)))
		return wrong(err_r, "log_id");
	if (!read_text(job->orders, "outcome", outcome, sizeof(outcome)) ||
		(outcome[0] != '\0' && strchr("shb", outcome[0]) == NULL))
		return wrong(err_r, "outcome");
	l->outcome = outcome[0];
	l->message_id = mw_map_octets(job->orders, "message_id");
	if (l->message_id.n > REP_MESSAGE_ID_MAX)
		l->message_id = mw_octets_of(NULL, 0);
	return MW_OK;
}

static void leave_out_ignored(
	struct rep_lesson *l, const struct mw_net *ignored, size_t ignored_count)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->ip_count; i++) {
		if (mw_nets_find(ignored, ignored_count, &l->ips[i]) != 1)
			l->ips[kept++] = l->ips[i];
	}
	l->ip_count = kept;
}

/* Whom our user wrote to. A null sender has no correspondents: nobody answers to it. */
static enum mw_rc read_passed(struct rep_orders *o, const struct mw_job *job, struct mw_err *err_r)
{
	struct rep_lesson *l = &o->lesson;
	struct mw_octets list = { NULL, 0 };
	unsigned char *room;
	struct mw_cur c;
	enum mw_rc rc;

	if (mw_map_find(job->orders, "passed", &c) && !mw_cur_raw(&c, &list))
		return wrong(err_r, "passed");
	if (!count_items(list, &o->rcpts_total))
		return wrong(err_r, "passed");
	rc = make_room(o, job, list, o->rcpts_total);
	if (rc != MW_OK)
		return rc;
	room = o->mem;
	l->sender = put_address(job->sender, &room);
	if (l->sender.n == 0)
		return MW_OK;
	if (read_rcpts(o, list, l->sender, NULL, 0, room, &l->rcpt_count) != MW_OK)
		return wrong(err_r, "passed");
	l->rcpts = o->rcpts;
	return MW_OK;
}

enum mw_rc rep_orders_lesson(struct rep_orders *o, const struct mw_job *job,
	const struct mw_net *ignored, size_t ignored_count, struct mw_err *err_r)
{
	struct rep_lesson *l = &o->lesson;
	enum mw_rc rc;

	memset(o, 0, sizeof(*o));
	l->keep = mw_map_bool(job->orders, "originating", false);
	rc = read_time(job, &l->time_ms, err_r);
	if (rc == MW_OK)
		rc = read_ids(l, job, err_r);
	if (rc == MW_OK)
		rc = read_ips(o, job, l->ips, &l->ip_count, err_r);
	if (rc == MW_OK && l->keep)
		rc = read_passed(o, job, err_r);
	if (rc != MW_OK)
		rep_orders_fini(o);
	else
		leave_out_ignored(l, ignored, ignored_count);
	return rc;
}

void rep_orders_fini(struct rep_orders *o)
{
	free(o->mem);
	free(o->rcpts);
	free(o->rcpt_index);
	o->mem = NULL;
	o->rcpts = NULL;
	o->rcpt_index = NULL;
}
