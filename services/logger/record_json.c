/* The table of fields of the main event, sorted by name, and how each is had from a record. */
#include "record_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "results_json.h"
#include "subject.h"

struct field {
	const char *name;
	void (*put)(struct logsvc_json *j, const struct field *f, const struct mw_record *r);
	size_t at; /* of the member, for the plain shapes */
};

static const void *member(const struct field *f, const struct mw_record *r)
{
	return (const char *)r + f->at;
}

/* ------------------------------------------------------------------ plain shapes */

static void put_always(struct logsvc_json *j, const struct field *f, const struct mw_record *r)
{
	logsvc_json_text(j, f->name, *(const struct mw_octets *)member(f, r));
}

static void put_text(struct logsvc_json *j, const struct field *f, const struct mw_record *r)
{
	if (((const struct mw_octets *)member(f, r))->n > 0)
		put_always(j, f, r);
}

static void put_list_always(struct logsvc_json *j, const struct field *f, const struct mw_record *r)
{
	const struct mw_list *list = member(f, r);

	logsvc_json_open(j, f->name, '[');
	for (size_t i = 0; i < list->count; i++)
		logsvc_json_text(j, NULL, list->items[i]);
	logsvc_json_close(j, ']');
}

static void put_list(struct logsvc_json *j, const struct field *f, const struct mw_record *r)
{
	if (((const struct mw_list *)member(f, r))->count > 0)
		put_list_always(j, f, r);
}

static void put_port(struct logsvc_json *j, const struct field *f, const struct mw_record *r)
{
	uint32_t port = *(const uint32_t *)member(f, r);

	if (port > 0)
		logsvc_json_uint(j, f->name, port);
}

static void put_bool(struct logsvc_json *j, const struct field *f, const struct mw_record *r)
{
	logsvc_json_bool(j, f->name, *(const bool *)member(f, r));
}

static void put_true(struct logsvc_json *j, const struct field *f, const struct mw_record *r)
{
	if (*(const bool *)member(f, r))
		logsvc_json_bool(j, f->name, true);
}

/* ------------------------------------------------------------------ times, constants */

static void put_timestamp(struct logsvc_json *j, const char *name, uint64_t time_ms)
{
	time_t s = (time_t)(time_ms / 1000);
	char text[64] = "", whole[80];
	struct tm tm;

	if (gmtime_r(&s, &tm) != NULL)
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(whole, sizeof(whole), "%s.%03uZ", text, (unsigned)(time_ms % 1000));
	logsvc_json_word(j, name, whole);
}

static void put_time(struct logsvc_json *j, const struct field *f, const struct mw_record *r)
{
	put_timestamp(j, f->name, r->time_ms);
}

static void put_time_unix(struct logsvc_json *j, const struct field *f, const struct mw_record *r)
{
	logsvc_json_seconds(j, f->name, (r->time_ms % (UINT64_MAX / 1000)) * 1000);
}

static void put_week_date(struct logsvc_json *j, const struct field *f, const struct mw_record *r)
{
	time_t s = (time_t)(r->time_ms / 1000);
	char text[32] = "";
	struct tm tm;

	if (localtime_r(&s, &tm) != NULL)
		(void)strftime(text, sizeof(text), "%G-W%V-%u", &tm);
	logsvc_json_word(j, f->name, text);
}

static void put_event(struct logsvc_json *j, const struct field *f, const struct mw_record *r)
{
	static const char *const words[MW_OWN_COUNT] = { "main", "dsn", "notification", "copy" };

	logsvc_json_word(j, f->name, words[r->own]);
}

static void put_type(struct logsvc_json *j, const struct field *f, const struct mw_record *r)
{
	(void)r;
	logsvc_json_word(j, f->name, "amavis");
}

static void put_partition(struct logsvc_json *j, const struct field *f, const struct mw_record *r)
{
	(void)r;
	logsvc_json_word(j, f->name, "0");
}

/* About a mail that came; true only when one has really gone. */
static void put_dsn_sent(struct logsvc_json *j, const struct field *f, const struct mw_record *r)
{
	bool sent = false;

	for (size_t i = 0; i < r->rcpt_count; i++)
		sent = sent || r->rcpts[i].dsn == MW_DSN_SENT;
	if (r->own == MW_OWN_NONE)
		logsvc_json_bool(j, f->name, sent);
}

static void put_incarnation(struct logsvc_json *j, const struct field *f, const struct mw_record *r)
{
	char text[24];

	/* A string: 64 bits do not fit into the numbers of every reader. */
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)r->incarnation);
	logsvc_json_word(j, f->name, text);
}

static void put_sequence(struct logsvc_json *j, const struct field *f, const struct mw_record *r)
{
	logsvc_json_uint(j, f->name, r->sequence);
}

/* ------------------------------------------------------------------ envelope, header */

/* ASCII letters rotated by 13, in place. */
static void rot13(char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char lower = (char)(p[i] | 0x20), base = (char)(p[i] & 0x60);

		if ((unsigned char)p[i] < 0x80 && lower >= 'a' && lower <= 'z')
			p[i] = (char)(base + 1 + (lower - 'a' + 13) % 26);
	}
}

static void put_subject(struct logsvc_json *j, const struct field *f, const struct mw_record *r)
{
	struct mw_text text = { 0 };

	if (r->subject.n == 0)
		return;
	mw_subject_decode(r->subject, &text);
	if (f->at == 1 && text.n > 0)
		rot13(text.p, text.n);
	logsvc_json_text(j, f->name, mw_octets_of(text.p, text.n));
	if (text.failed)
		j->out->failed = true;
	mw_text_fini(&text);
}

static void put_size(struct logsvc_json *j, const struct field *f, const struct mw_record *r)
{
	if (r->size > 0)
		logsvc_json_uint(j, f->name, r->size);
}

static void put_rcpt_num(struct logsvc_json *j, const struct field *f, const struct mw_record *r)
{
	logsvc_json_uint(j, f->name, r->rcpt_count);
}

static void put_rcpt_to(struct logsvc_json *j, const struct field *f, const struct mw_record *r)
{
	logsvc_json_open(j, f->name, '[');
	for (size_t i = 0; i < r->rcpt_count; i++)
		logsvc_json_text(j, NULL, r->rcpts[i].addr);
	logsvc_json_close(j, ']');
}

/* What results_json.c tells. */
static void put_result(struct logsvc_json *j, const struct field *f, const struct mw_record *r)
{
	logsvc_result_json(j, f->name, r);
}

#define M(name, put, m)                                                                            \
	{                                                                                          \
		name, put, offsetof(struct mw_record, m)                                           \
	}
static const struct field fields[] = {
	{ "@timestamp", put_time, 0 },
	{ "action", put_result, 0 },
	{ "actions_performed", put_result, 0 },
	M("attached_file_names", put_list, attached_file_names),
	M("author", put_list, author),
	{ "av_scan", put_result, 0 },
	M("bad_header", put_list, bad_header),
	M("cc_addr", put_list, cc_addr),
	{ "checks", put_result, 0 },
	{ "checks_performed", put_result, 0 },
	M("client_ip", put_text, client_ip),
	M("client_name", put_text, client_name),
	M("client_port", put_port, client_port),
	{ "content_type", put_result, 0 },
	M("dkim_author_sig", put_text, dkim_author_sig),
	M("dkim_new_sig", put_list, dkim_new_sig),
	M("dkim_valid_sig", put_list, dkim_valid_sig),
	{ "dsn_sent", put_dsn_sent, 0 },
	M("dst_ip", put_text, dst_ip),
	M("dst_port", put_port, dst_port),
	{ "elapsed", put_result, 0 },
	{ "event", put_event, 0 },
	M("helo", put_text, helo),
	M("host", put_always, host),
	M("ip_proto_trace", put_list_always, ip_proto_trace),
	M("ip_trace", put_list, ip_trace),
	M("is_auto_resp", put_true, is_auto),
	M("is_bulk", put_true, is_bulk),
	M("is_mlist", put_true, is_mlist),
	M("log_id", put_always, log_id),
	M("mail_from", put_always, mail_from),
	M("mail_id", put_text, mail_id),
	M("mail_id_parent", put_text, mail_id_parent),
	{ "mail_id_related", put_result, 0 },
	{ "message", put_result, 0 },
	M("message_id", put_text, message_id),
	M("originating", put_bool, originating),
	{ "partition", put_partition, 0 },
	{ "parts", put_result, 0 },
	M("poison", put_true, poison),
	M("policy_banks", put_list_always, policy_banks),
	M("protocol", put_text, protocol),
	{ "publisher_incarnation", put_incarnation, 0 },
	{ "publisher_sequence", put_sequence, 0 },
	M("quar_type", put_text, quar_type),
	M("quarantine", put_text, quarantine),
	M("queue_id", put_text, queue_id),
	{ "queued_as", put_result, 0 },
	{ "rcpt_num", put_rcpt_num, 0 },
	{ "rcpt_to", put_rcpt_to, 0 },
	{ "recipients", put_result, 0 },
	M("references", put_list, references),
	M("reply", put_text, reply),
	M("sender", put_text, sender),
	{ "size", put_size, 0 },
	{ "smtp_code", put_result, 0 },
	{ "spam_score", put_result, 0 },
	M("src_ip", put_text, src_ip),
	{ "subject", put_subject, 0 },
	{ "subject_rot13", put_subject, 1 },
	{ "tests", put_result, 0 },
	{ "tests_ham", put_result, 0 },
	{ "tests_scores", put_result, 0 },
	{ "tests_spam", put_result, 0 },
	{ "time_iso_week_date", put_week_date, 0 },
	{ "time_unix", put_time_unix, 0 },
	M("to_addr", put_list, to_addr),
	{ "type", put_type, 0 },
	M("user_agent", put_text, user_agent),
	{ "virusnames", put_result, 0 },
};
#undef M

const char *logsvc_mail_field(size_t i)
{
	return i < MW_COUNT(fields) ? fields[i].name : NULL;
}

void logsvc_mail_json(struct mw_text *out, const struct mw_record *r)
{
	struct logsvc_json j;

	logsvc_json_begin(&j, out);
	logsvc_json_open(&j, NULL, '{');
	for (size_t i = 0; i < MW_COUNT(fields); i++)
		fields[i].put(&j, &fields[i], r);
	logsvc_json_close(&j, '}');
}

/* ------------------------------------------------------------------ alerts and gaps */

static void put_note(struct logsvc_json *j, const struct logsvc_note *n, bool numbered)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)n->incarnation);
	logsvc_json_word(j, "publisher_incarnation", text);
	if (numbered)
		logsvc_json_uint(j, "publisher_sequence", n->sequence);
}

void logsvc_alert_json(
	struct mw_text *out, const struct logsvc_note *n, const char *event, struct mw_octets text)
{
	struct logsvc_json j;

	logsvc_json_begin(&j, out);
	logsvc_json_open(&j, NULL, '{');
	put_timestamp(&j, "@timestamp", n->time_ms);
	logsvc_json_word(&j, "alert", event);
	logsvc_json_word(&j, "event", "alert");
	logsvc_json_word(&j, "host", n->host);
	logsvc_json_text(&j, "message", text);
	put_note(&j, n, true);
	logsvc_json_seconds(&j, "time_unix", n->time_ms * 1000);
	logsvc_json_word(&j, "type", "mailweir");
	logsvc_json_close(&j, '}');
}

void logsvc_gap_json(struct mw_text *out, const struct logsvc_note *n, uint64_t from, uint64_t to,
	uint64_t missing, const char *why)
{
	struct logsvc_json j;

	logsvc_json_begin(&j, out);
	logsvc_json_open(&j, NULL, '{');
	put_timestamp(&j, "@timestamp", n->time_ms);
	logsvc_json_word(&j, "event", "gap");
	if (to > 0)
		logsvc_json_uint(&j, "from", from);
	logsvc_json_word(&j, "host", n->host);
	logsvc_json_uint(&j, "missing", missing);
	put_note(&j, n, false);
	logsvc_json_word(&j, "reason", why);
	logsvc_json_seconds(&j, "time_unix", n->time_ms * 1000);
	if (to > 0)
		logsvc_json_uint(&j, "to", to);
	logsvc_json_word(&j, "type", "mailweir");
	logsvc_json_close(&j, '}');
}
