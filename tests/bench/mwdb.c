/*
 * Asks databases as the policy room of smtp-front does: its own files db_*.c in a program of their
 * own, driven by lines on stdin.
 *
 *	mwdb SETTINGS
 *
 * Lines, fields separated by tabs:
 *	ask ID WAIT_MS FLAGS QUERY ...	FLAGS: l local, c case-sensitive, d delimiter "+", - none;
 *		QUERY: policy|ADDRESS or wblist|ADDRESS|ARGUMENT
 *	cancel ID
 *	reload SETTINGS
 *	stats
 * The end of stdin ends it. Answers are a line of JSON each; octets of values are \u00XX.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "policy/db.h"

#define LINE_MAX_OCTETS (4 * 1024 * 1024)
#define ASKED_MAX 100000

struct asked {
	char id[32];
	size_t count;
	uint64_t began_us;
	struct db_request *request; /* NULL: over */
};

struct driver {
	struct mw_loop *loop;
	struct db *db;
	struct mw_fd *watch;
	struct mw_text input;
	struct asked *asked[ASKED_MAX];
	size_t asked_count;
};

static struct driver d;

/* ------------------------------------------------------------------ answers */

static void add_octets(struct mw_text *out, const char *p, size_t n)
{
	mw_text_add(out, "\"");
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];

		if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
			mw_text_addf(out, "\\u%04x", c);
		else
			mw_text_add_octets(out, p + i, 1);
	}
	mw_text_add(out, "\"");
}

static void add_records(struct mw_text *out, const struct db_records *r)
{
	mw_text_add(out, "[");
	for (size_t i = 0; i < r->count; i++) {
		const struct db_record *record = &r->records[i];

		mw_text_addf(out, "%s{\"source\":\"%s\",\"cells\":[", i > 0 ? "," : "",
			record->source == DB_SQL ? "sql" : "ldap");
		for (size_t c = 0; c < record->count; c++) {
			mw_text_add(out, c > 0 ? ",[" : "[");
			add_octets(out, record->cells[c].name, strlen(record->cells[c].name));
			mw_text_add(out, ",");
			if (record->cells[c].value != NULL)
				add_octets(out, record->cells[c].value, record->cells[c].n);
			else
				mw_text_add(out, "null");
			mw_text_add(out, "]");
		}
		mw_text_add(out, "]}");
	}
	mw_text_add(out, "]");
}

static void print_answer(const struct asked *a, const char *how, enum mw_rc rc,
	struct db_records *const *answers, const char *error)
{
	struct mw_text out = { 0 };

	mw_text_addf(&out,
		"{\"id\":\"%s\",\"how\":\"%s\",\"rc\":\"%s\",\"us\":%llu,\"error\":", a->id, how,
		mw_rc_name(rc), (unsigned long long)(mw_mono_us() - a->began_us));
	add_octets(&out, error, strlen(error));
	mw_text_add(&out, ",\"answers\":[");
	for (size_t i = 0; answers != NULL && i < a->count; i++) {
		if (i > 0)
			mw_text_add(&out, ",");
		add_records(&out, answers[i]);
	}
	mw_text_add(&out, "]}\n");
	fputs(out.p, stdout);
	fflush(stdout);
	mw_text_fini(&out);
}

static void on_done(void *arg, enum mw_rc rc, struct db_records *const *answers, const char *error)
{
	struct asked *a = arg;

	a->request = NULL;
	print_answer(a, "thread", rc, answers, error);
}

/* ------------------------------------------------------------------ commands */

static bool parse_query(char *text, bool local, struct db_query *q)
{
	char *address = strchr(text, '|'), *arg;

	if (address == NULL)
		return false;
	*address++ = '\0';
	*q = (struct db_query){ .address = address, .local = local };
	q->clause = strcmp(text, "wblist") == 0 ? DB_SEL_WBLIST : DB_SEL_POLICY;
	arg = q->clause == DB_SEL_WBLIST ? strchr(address, '|') : NULL;
	if (arg != NULL) {
		*arg++ = '\0';
		q->args[q->arg_count++] = arg;
	}
	return true;
}

static void ask(char *fields)
{
	struct db_query *queries = calloc(DB_QUERIES_MAX + 1, sizeof(*queries));
	struct asked *a = calloc(1, sizeof(*a));
	char *id = strsep(&fields, "\t"), *wait = strsep(&fields, "\t");
	char *flags = strsep(&fields, "\t");
	struct db_records **answers;
	struct db_ask what = { .queries = queries, .done = on_done, .arg = a };
	enum mw_rc rc;

	if (flags == NULL || d.asked_count == ASKED_MAX)
		exit(2);
	d.asked[d.asked_count++] = a;
	mw_strlcpy(a->id, id, sizeof(a->id));
	what.wait_ms = strtoull(wait, NULL, 10);
	what.case_sensitive = strchr(flags, 'c') != NULL;
	what.delimiter = strchr(flags, 'd') != NULL ? "+" : NULL;
	while (fields != NULL && what.count <= DB_QUERIES_MAX &&
		parse_query(
			strsep(&fields, "\t"), strchr(flags, 'l') != NULL, &queries[what.count]))
		what.count++;
	a->count = what.count;
	a->began_us = mw_mono_us();
	answers = calloc(what.count + 1, sizeof(struct db_records *));
	rc = db_ask(d.db, &what, answers, &a->request);
	if (rc != MW_AGAIN)
		print_answer(a, "at_once", rc, rc == MW_OK ? answers : NULL, mw_rc_name(rc));
	for (size_t i = 0; i < what.count; i++)
		db_records_unref(&answers[i]);
	free(answers);
	free(queries);
}

static void cancel(const char *id)
{
	for (size_t i = 0; i < d.asked_count; i++)
		if (strcmp(d.asked[i]->id, id) == 0 && d.asked[i]->request != NULL) {
			db_cancel(&d.asked[i]->request);
			printf("{\"cancelled\":\"%s\"}\n", id);
			fflush(stdout);
		}
}

static struct mw_conf *settings(const char *path)
{
	struct mw_conf *conf = NULL;
	char *errors = NULL;

	if (mw_conf_load(path, &conf, &errors) != MW_OK)
		fprintf(stderr, "%s\n", errors != NULL ? errors : "no settings");
	free(errors);
	return conf;
}

static void reload(const char *path)
{
	struct mw_conf *conf = settings(path);
	struct mw_err err = { "" };
	struct mw_text out = { 0 };
	enum mw_rc rc = conf != NULL ? db_reload(d.db, conf, &err) : MW_ERR_CONF;

	mw_conf_destroy(&conf);
	add_octets(&out, err.text, strlen(err.text));
	printf("{\"reload\":\"%s\",\"error\":%s}\n", mw_rc_name(rc), out.p);
	fflush(stdout);
	mw_text_fini(&out);
}

static void stats(void)
{
	struct mw_text text = { 0 }, out = { 0 };

	db_metrics(d.db, &text);
	add_octets(&out, text.p, text.n);
	printf("{\"stats\":%s}\n", out.p);
	fflush(stdout);
	mw_text_fini(&text);
	mw_text_fini(&out);
}

static void command(char *line)
{
	char *verb = strsep(&line, "\t");

	if (strcmp(verb, "ask") == 0 && line != NULL)
		ask(line);
	else if (strcmp(verb, "cancel") == 0 && line != NULL)
		cancel(line);
	else if (strcmp(verb, "reload") == 0 && line != NULL)
		reload(line);
	else if (strcmp(verb, "stats") == 0)
		stats();
	else
		exit(2);
}

static void on_input(void *arg, int events)
{
	char octets[65536];
	ssize_t n = read(STDIN_FILENO, octets, sizeof(octets));
	char *end, *at;

	(void)arg;
	(void)events;
	if (n <= 0 || d.input.n > LINE_MAX_OCTETS) {
		mw_loop_stop(d.loop);
		return;
	}
	mw_text_add_octets(&d.input, octets, (size_t)n);
	at = d.input.p;
	for (; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		*end = '\0';
		command(at);
	}
	n = (ssize_t)strlen(at);
	memmove(d.input.p, at, (size_t)n + 1);
	d.input.n = (size_t)n;
}

int main(int argc, char **argv)
{
	struct mw_conf *conf = argc == 2 ? settings(argv[1]) : NULL;
	struct mw_err err = { "" };
	enum mw_rc rc;

	if (conf == NULL)
		return 2;
	mw_log_open("mwdb", MW_DEBUG);
	d.loop = mw_loop_new();
	rc = db_new(d.loop, conf, &d.db, &err);
	mw_conf_destroy(&conf);
	if (rc != MW_OK) {
		fprintf(stderr, "mwdb: %s: %s\n", mw_rc_name(rc), err.text);
		mw_loop_destroy(&d.loop);
		return 1;
	}
	d.watch = mw_fd_new(d.loop, STDIN_FILENO, on_input, NULL);
	mw_fd_watch(d.watch, MW_READABLE);
	mw_loop_run(d.loop);
	db_destroy(&d.db);
	mw_fd_destroy(&d.watch);
	mw_loop_destroy(&d.loop);
	for (size_t i = 0; i < d.asked_count; i++)
		free(d.asked[i]);
	mw_text_fini(&d.input);
	return 0;
}
