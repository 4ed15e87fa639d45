/* mailweir explain MAIL_ID: what the logger kept of a mail, read again. The files are opened for
 * reading only; what a record holds comes from outside and is printed escaped. */
#include "explain_record.h"

#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "decision_store.h"
#include "digest.h"

#define RECORDS_MAX 100 /* of one Message-ID, as a loop would make them */

/* ------------------------------------------------------------------ for a person */

static void octets(struct mw_octets o)
{
	char buf[4 * 1024 + 3];

	/* Without the quotes. */
	mw_quote_octets(buf, sizeof(buf), o.p != NULL ? (const void *)o.p : "", o.n);
	printf("%.*s", (int)strlen(buf) - 2, buf + 1);
}

static void field(const char *name, struct mw_octets o)
{
	if (o.n == 0)
		return;
	printf("  %-18s ", name);
	octets(o);
	putchar('\n');
}

static void list(const char *name, const struct mw_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		field(i == 0 ? name : "", l->items[i]);
}

static void when(const char *name, uint64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	char text[40];
	struct tm tm;

	if (ms == 0 || localtime_r(&s, &tm) == NULL)
		return;
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	printf("  %-18s %s.%03u\n", name, text, (unsigned)(ms % 1000));
}

/* In a column of that width, a blank behind it. */
static void column(struct mw_octets o, int width)
{
	octets(o);
	printf("%*s ", o.n < (size_t)width ? width - (int)o.n : 0, "");
}

static void points(int32_t milli)
{
	printf("%.10g", (double)milli / 1000);
}

static void print_head(const struct mw_record *r)
{
	printf("Mail ");
	octets(r->mail_id);
	printf("%s\n", r->aborted ? ", which its client gave up" : "");
	field("log_id", r->log_id);
	field("caused by", r->mail_id_parent);
	when("received", r->time_ms);
	when("settings read", r->settings_ms);
	field("host", r->host);
	printf("  %-18s <", "from");
	octets(r->mail_from);
	printf(">%s\n", r->originating ? ", originating" : "");
	list("author", &r->author);
	field("subject", r->subject);
	field("Message-ID", r->message_id);
	field("client", r->client_ip);
	field("client's name", r->client_name);
	field("HELO", r->helo);
	field("protocol", r->protocol);
	field("queue id", r->queue_id);
	printf("  %-18s %" PRIu64 " octets\n", "size", r->size);
}

static void print_banks(const struct mw_record *r)
{
	printf("\nPolicy banks, each on top of those before it\n");
	if (r->policy_banks.count == 0)
		printf("  none\n");
	for (size_t i = 0; i < r->policy_banks.count; i++) {
		printf("  ");
		octets(r->policy_banks.items[i]);
		if (i < r->bank_rules.count) {
			printf(", loaded by: ");
			octets(r->bank_rules.items[i]);
		}
		putchar('\n');
	}
}

static void print_check(const struct mw_record_check *c)
{
	static const char *const words[] = { "done", "cut short by a limit", "FAILED" };

	printf("  ");
	column(c->kind, 12);
	printf("%s",
		c->ran ? words[c->status < MW_STATUS_COUNT ? c->status : MW_FAILED] : "not run");
	if (c->reason.n > 0) {
		printf(": ");
		octets(c->reason);
	}
	if (c->ran)
		printf("; %.1f ms, waited %.1f ms, CPU %.1f ms", (double)c->wall_us / 1000,
			(double)c->wait_us / 1000, (double)c->cpu_us / 1000);
	if (c->attempts > 1)
		printf(", %" PRIu32 " attempts", c->attempts);
	if (c->worker.n > 0) {
		printf(", by ");
		octets(c->worker);
	}
	putchar('\n');
}

static void print_part(const struct mw_record_part *p, size_t number)
{
	char digest[2 * MW_SHA256_OCTETS + 1] = "none";

	if (p->digest.n == MW_SHA256_OCTETS)
		mw_hex(p->digest.p, p->digest.n, digest);
	printf("  part %zu", number);
	if (p->parent > 0)
		printf(" in %" PRIu32, p->parent);
	printf(", %" PRIu64 " octets", p->size);
	for (int i = 0; i < 3; i++) {
		struct mw_octets o = i == 0 ? p->type : i == 1 ? p->name : p->attributes;

		if (o.n > 0)
			printf(", ");
		octets(o);
	}
	printf(", sha256 %s\n", digest);
}

static void print_found(const struct mw_record *r)
{
	printf("\nChecks\n");
	for (size_t i = 0; i < r->check_count; i++)
		print_check(&r->checks[i]);
	printf("\nFound\n");
	for (size_t i = 0; i < r->av_count; i++) {
		printf("  virus ");
		octets(r->av[i].name);
		printf(" by ");
		octets(r->av[i].scanner);
		putchar('\n');
	}
	for (size_t i = 0; i < r->test_count; i++) {
		printf("  %+9.3f  ", (double)r->tests[i].milli / 1000);
		octets(r->tests[i].name);
		putchar('\n');
	}
	if (r->has_score) {
		printf("  score ");
		points(r->score_milli);
		printf(" (the highest of all recipients)\n");
	}
	list("header section", &r->bad_header);
	list("valid signature", &r->dkim_valid_sig);
	list("file names", &r->attached_file_names);
	for (size_t i = 0; i < r->part_count; i++)
		print_part(&r->parts[i], i + 1);
	if (r->poison)
		printf("  poison: cages died on it\n");
}

static void rcpt_field(const char *name, struct mw_octets o)
{
	if (o.n == 0)
		return;
	printf("    %-16s ", name);
	octets(o);
	putchar('\n');
}

static void print_categories(const struct mw_record_rcpt *c)
{
	printf("    categories       ");
	for (size_t i = 0; i < c->ccats.n; i++)
		printf("%s%s", i > 0 ? ", " : "", mw_ccat_name(c->ccats.p[i]));
	if (c->ccats.n == 0)
		printf("%s", mw_ccat_name(c->ccat_main));
	if (c->ccat_blocking != 0)
		printf("; blocked as %s", mw_ccat_name(c->ccat_blocking));
	putchar('\n');
}

static void print_rcpt(const struct mw_record *r, size_t i)
{
	const struct mw_record_rcpt *c = &r->rcpts[i];

	printf("\nRecipient <");
	octets(c->addr);
	printf(">%s\n", c->is_local ? ", local" : "");
	print_categories(c);
	if (c->has_score) {
		printf("    score            ");
		points(c->score_milli);
		printf("%s\n", c->tagged ? ", marked" : "");
	}
	printf("    destiny          ");
	octets(c->destiny);
	printf("; %s%s\n", mw_action_name(c->action), c->delivered ? ", delivered" : "");
	rcpt_field("reply", c->smtp_response);
	rcpt_field("delivered to", c->deliver_to);
	rcpt_field("banned part", c->banned_part);
	for (size_t k = 0; k < c->banned_paths.count; k++)
		rcpt_field(k == 0 ? "lies in" : "", c->banned_paths.items[k]);
	rcpt_field("banned by", c->banned_key);
	if (c->dsn != MW_DSN_NONE)
		printf("    %-16s %s\n", "its sender",
			c->dsn == MW_DSN_SENT ? "was notified" : "was not notified: suppressed");
	if (c->cluster >= 0 && (size_t)c->cluster < r->edits.count) {
		printf("    header edits     ");
		octets(r->edits.items[c->cluster]);
		putchar('\n');
	}
	if (c->said_count > 0)
		printf("    settings that mattered\n");
	for (size_t k = 0; k < c->said_count; k++) {
		const struct mw_record_said *s = &c->said[k];

		printf("      ");
		octets(s->name);
		printf(" = ");
		octets(s->value);
		printf("\n        ");
		octets(s->by);
		putchar('\n');
	}
}

static void print_record(const struct mw_record *r)
{
	print_head(r);
	print_banks(r);
	print_found(r);
	for (size_t i = 0; i < r->rcpt_count; i++)
		print_rcpt(r, i);
	printf("\nOutcome\n");
	printf("  %-18s %s\n", "category", mw_ccat_name(r->ccat));
	list("quarantine", &r->quarantines);
	list("signed for", &r->dkim_new_sig);
	printf("  %-18s %" PRIu32 " (%" PRIu32 " refused for now, %" PRIu32 " rejected)\n",
		"deliveries", r->out_msgs, r->out_msgs_failed, r->out_msgs_rejected);
	field("reply", r->reply);
	for (size_t i = 0; i < r->elapsed_count; i++) {
		printf("  ");
		column(r->elapsed[i].section, 18);
		printf("%.1f ms, CPU %.1f ms\n", (double)r->elapsed[i].wall_us / 1000,
			(double)r->elapsed[i].cpu_us / 1000);
	}
}

/* ------------------------------------------------------------------ the files */

struct search {
	const char *id;
	bool json;
	size_t found, unreadable;
};

static void show(struct search *s, const void *p, size_t n)
{
	struct mw_record_arena *arena;
	struct mw_record r;

	if (mw_record_decode(mw_octets_of(p, n), &r, &arena) != MW_OK) {
		s->unreadable++; /* of another version */
		return;
	}
	if (s->json) {
		explain_record_json(&r);
	} else {
		if (s->found > 0)
			printf("\n");
		print_record(&r);
	}
	s->found++;
	mw_record_fini(&arena);
}

static bool search_file(struct search *s, const char *path)
{
	sqlite3_stmt *find = NULL;
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_busy_timeout(db, 5000);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(db, MW_DECISIONS_FIND, -1, &find, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(find, 1, s->id, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int(find, 2, RECORDS_MAX);
	while (rc == SQLITE_OK && sqlite3_step(find) == SQLITE_ROW) {
		const void *p = sqlite3_column_blob(find, 0);

		show(s, p, (size_t)sqlite3_column_bytes(find, 0));
	}
	if (rc != SQLITE_OK)
		fprintf(stderr, "mailweir: %s: %s\n", path,
			db != NULL ? sqlite3_errmsg(db) : "out of memory");
	sqlite3_finalize(find);
	sqlite3_close(db);
	return rc == SQLITE_OK;
}

int explain_record(const struct mw_conf *conf, const char *id, bool json)
{
	struct search s = { .id = id, .json = json };
	char pattern[PATH_MAX];
	bool ok = true;
	glob_t files;

	snprintf(pattern, sizeof(pattern), "%.300s/" MW_DECISIONS_PATTERN,
		mw_conf_text(conf, "logger.state_dir"));
	if (glob(pattern, 0, NULL, &files) != 0) {
		fprintf(stderr,
			"mailweir: %s: no such file; mailweir-logger keeps them with "
			"decisions.store, and whoever asks has to be allowed to read them\n",
			pattern);
		return MW_TOOL_FAILED;
	}
	for (size_t i = 0; i < files.gl_pathc; i++)
		ok = search_file(&s, files.gl_pathv[i]) && ok;
	globfree(&files);
	if (s.unreadable > 0)
		fprintf(stderr, "mailweir: %zu records of another version are left out\n",
			s.unreadable);
	if (s.found == 0 && ok)
		fprintf(stderr,
			"mailweir: no mail of that mail_id or Message-ID is known; records are "
			"kept for decisions.days, and come a moment after the mail\n");
	return s.found > 0 && ok ? MW_TOOL_OK : MW_TOOL_FAILED;
}
