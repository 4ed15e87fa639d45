/* mailweir quarantine: copies that are rows of a database. smtp-front, which has its password, is
 * asked about them. */
#include <stdlib.h>
#include <unistd.h>

#include "quarantine.h"

#define FIELDS 12 /* of a row, as ampdp_stored.c of smtp-front has them */

bool qtool_has_sql(const struct qtool *t)
{
	const struct mw_val *v = mw_conf_val(t->conf, "storage_sql_dsn");

	return v != NULL && v->tag == MW_V_TABLE && v->count > 0;
}

void qtool_rows_fini(struct qtool_rows *rows)
{
	free(rows->items);
	mw_text_fini(&rows->answer);
	mw_text_fini(&rows->octets);
	*rows = (struct qtool_rows){ 0 };
}

/* ------------------------------------------------------------------ answers */

/* False: no memory, or that is no row. */
static bool take_row(struct qtool_rows *rows, char *line)
{
	struct qtool_row *more = realloc(rows->items, (rows->count + 1) * sizeof(*more)), *r;
	char *fields[FIELDS];
	size_t n = 0;

	if (more == NULL)
		return false;
	rows->items = more;
	for (char *p = line; p != NULL && n < FIELDS; n++) {
		fields[n] = strsep(&p, " ");
		qtool_decode(fields[n]);
	}
	if (n < FIELDS)
		return false;
	r = &more[rows->count++];
	snprintf(r->place, sizeof(r->place), "sql:%.20s", fields[1]);
	r->e = (struct mw_qentry){ .mail_id = fields[0],
		.time_ms = strtoull(fields[2], NULL, 10),
		.ccat = (unsigned)strtoul(fields[3], NULL, 10),
		.size = strtoull(fields[4], NULL, 10),
		.has_score = *fields[5] != '\0',
		.score_milli = (int32_t)strtol(fields[5], NULL, 10),
		.secret_id = fields[6],
		.log_id = fields[7],
		.sender = fields[8],
		.subject = fields[9],
		.rcpts = fields[10],
		.released_ms = *fields[11] != '\0' ? MW_QRELEASED_SOMETIME : 0,
		.released_by = "",
		.quar_type = 'Q' };
	r->e.class = r->e.ccat / 10;
	return true;
}

/* False: told why not, unless the answer is that there is no such mail. */
static bool take_answer(struct qtool_rows *rows, bool *gone_r)
{
	bool ok = !rows->answer.failed, done = false;
	char *save = NULL;

	for (char *line = strtok_r(rows->answer.p, "\r\n", &save); ok && line != NULL;
		line = strtok_r(NULL, "\r\n", &save)) {
		if (strncmp(line, "row=", 4) == 0) {
			ok = take_row(rows, line + 4);
		} else if (strncmp(line, "octets=", 7) == 0) {
			size_t n = qtool_decode(line + 7);

			mw_text_add_octets(&rows->octets, line + 7, n);
			ok = !rows->octets.failed;
		} else if (strncmp(line, "setreply=", 9) == 0) {
			qtool_decode(line + 9);
			done = line[9] == '2';
			*gone_r = strstr(line + 9, "no such mail") != NULL;
			if (!done && !*gone_r) {
				fputs("mailweir: ", stderr);
				qtool_put_text(stderr, line + 9, strlen(line + 9), 600);
				fputc('\n', stderr);
			}
		}
	}
	/* Their array has stopped moving. */
	for (size_t i = 0; i < rows->count; i++)
		rows->items[i].e.path = rows->items[i].place;
	return ok && done;
}

static bool ask(
	const struct qtool *t, struct mw_text *request, struct qtool_rows *rows_r, bool *gone_r)
{
	int fd = qtool_front(t);
	bool ok = fd >= 0 && qtool_ask(fd, request, &rows_r->answer);

	*gone_r = false;
	if (fd >= 0)
		close(fd);
	if (fd >= 0 && !ok)
		fprintf(stderr, "mailweir: no answer; see smtp-front's log\n");
	ok = ok && take_answer(rows_r, gone_r);
	if (!ok && !*gone_r)
		fprintf(stderr, "mailweir: copies in the database (storage_sql_dsn) are not among "
				"these\n");
	mw_text_fini(request);
	return ok;
}

/* ------------------------------------------------------------------ questions */

static void add_number(struct mw_text *out, const char *name, uint64_t n)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	qtool_add_line(out, name, text);
}

static void add_text(struct mw_text *out, const char *name, const char *text)
{
	if (text != NULL)
		qtool_add_line(out, name, text);
}

bool qtool_sql_find(const struct qtool *t, size_t limit, struct qtool_rows *rows_r)
{
	const struct mw_qquery *q = &t->query;
	struct mw_text request = { 0 };
	bool gone;

	*rows_r = (struct qtool_rows){ 0 };
	qtool_add_line(&request, "request", "stored");
	qtool_add_line(&request, "action", "find");
	add_number(&request, "limit", limit);
	add_number(&request, "since", q->since_ms);
	add_number(&request, "before", q->before_ms);
	if (q->class >= 0)
		add_number(&request, "category", (uint64_t)q->class);
	if (q->released >= 0)
		add_number(&request, "released", (uint64_t)q->released);
	add_text(&request, "oldest", q->oldest_first ? "yes" : NULL);
	add_text(&request, "sender", q->sender);
	add_text(&request, "recipient", q->rcpt);
	add_text(&request, "subject", q->subject);
	add_text(&request, "text", q->text);
	return ask(t, &request, rows_r, &gone);
}

bool qtool_sql_mail(const struct qtool *t, const char *action, const char *mail_id,
	struct qtool_rows *rows_r, bool *gone_r)
{
	struct mw_text request = { 0 };

	*rows_r = (struct qtool_rows){ 0 };
	qtool_add_line(&request, "request", "stored");
	qtool_add_line(&request, "action", action);
	qtool_add_line(&request, "mail_id", mail_id);
	add_text(&request, "raw", t->raw ? "yes" : NULL);
	return ask(t, &request, rows_r, gone_r);
}
