/* mailweir-logger: mail records, alerts and gaps become lines of JSON, and go to stdout, a file and
 * a Redis list. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "decisions.h"
#include "events.h"
#include "log.h"
#include "positions.h"
#include "record_json.h"
#include "redis_out.h"
#include "service.h"
#include "stream.h"

#define SOCKETS 600   /* two for each front */
#define DRAIN_MS 2000 /* for what is queued, at SIGTERM */
#define CHECK_MS 50   /* looking whether a full queue has room again, or is empty */

struct logsvc {
	struct mw_service *service;
	struct mw_zctx z;
	struct mw_subscriber *sub;
	struct logsvc_lines lines;
	struct logsvc_stream *out, *file;
	struct logsvc_redis *redis;
	struct logsvc_decisions *decisions;
	struct logsvc_positions *positions;
	struct mw_timer *check;
	struct mw_text text; /* of the line being made */
	char host[256];
	uint64_t drain_until_ms;
	bool paused;
};

/* ------------------------------------------------------------------ events become lines */

/* The bank loaded last that says something else than the base decides (amavisd: a policy-bank
 * setting). */
static const char *redis_key(struct logsvc *l, const struct mw_list *banks)
{
	const struct mw_conf *conf = l->service->conf;
	const char *base = mw_conf_text(conf, "redis_logging_key"), *key = base;

	if (l->redis == NULL)
		return NULL;
	for (size_t i = 0; banks != NULL && i < banks->count; i++) {
		const struct mw_conf *bank;
		const char *own;
		char name[128];

		if (!mw_strncpy(name, sizeof(name), banks->items[i].p, banks->items[i].n))
			continue;
		bank = mw_conf_bank(conf, name);
		own = bank != NULL ? mw_conf_text(bank, "redis_logging_key") : base;
		if (own != base && (own == NULL || base == NULL || strcmp(own, base) != 0))
			key = own;
	}
	return key != NULL && *key != '\0' && strcmp(key, "0") != 0 ? key : NULL;
}

/* Take what l->text holds. Without memory for it the position must not pass it: the process ends,
 * and the next one asks again. */
static void add_line(struct logsvc *l, uint64_t incarnation, uint64_t sequence,
	const struct mw_list *banks, struct logsvc_mail *mail)
{
	struct mw_octets text = mw_octets_of(l->text.p, l->text.n);

	if (l->text.failed || !logsvc_lines_add(&l->lines, incarnation, sequence,
				      redis_key(l, banks), text, mail)) {
		mw_log(MW_ERROR, "no_memory",
			"effect=\"ending; records since the saved position are asked for again\"");
		exit(1);
	}
	mw_text_clear(&l->text);
	if (l->lines.octets > l->lines.most && !l->paused && !logsvc_lines_make_room(&l->lines)) {
		mw_log(MW_WARN, "queue_full",
			"octets=%llu effect=\"no events are taken; the fronts keep them\"",
			(unsigned long long)l->lines.octets);
		l->paused = true;
		mw_subscriber_pause(l->sub, true);
		mw_timer_start(l->check, CHECK_MS, CHECK_MS);
	}
}

static struct logsvc_note note(const struct logsvc *l, uint64_t incarnation, uint64_t sequence)
{
	return (struct logsvc_note){ l->host, mw_wall_ms(), incarnation, sequence };
}

/* NULL: nobody keeps it. */
static struct logsvc_mail *mail_of(struct logsvc *l, const struct mw_record *r)
{
	struct logsvc_mail *m;
	struct mw_pack frame;

	if (l->decisions == NULL)
		return NULL;
	mw_pack_init(&frame);
	mw_record_encode(&frame, r);
	m = frame.failed ? NULL
			 : logsvc_mail_new(r->mail_id, r->message_id, r->time_ms,
				   mw_octets_of(frame.p, frame.n));
	mw_pack_fini(&frame);
	if (m == NULL)
		l->text.failed = true;
	return m;
}

static void on_mail(void *arg, const struct mw_record *r)
{
	struct logsvc *l = arg;

	logsvc_mail_json(&l->text, r);
	add_line(l, r->incarnation, r->sequence, &r->policy_banks, mail_of(l, r));
}

static void on_alert(void *arg, uint64_t incarnation, uint64_t sequence, const char *event,
	struct mw_octets text)
{
	struct logsvc *l = arg;
	const struct logsvc_note n = note(l, incarnation, sequence);

	logsvc_alert_json(&l->text, &n, event, text);
	add_line(l, incarnation, sequence, NULL, NULL);
}

static void on_gap(void *arg, uint64_t incarnation, uint64_t from, uint64_t to)
{
	struct logsvc *l = arg;
	const struct logsvc_note n = note(l, incarnation, to);

	logsvc_gap_json(&l->text, &n, from, to, to - from + 1, "replay");
	add_line(l, incarnation, to, NULL, NULL);
}

/* ------------------------------------------------------------------ full queue, drain */

static void check(void *arg)
{
	struct logsvc *l = arg;

	if (l->drain_until_ms != 0 &&
		(l->lines.first == NULL || mw_mono_ms() >= l->drain_until_ms)) {
		mw_service_stop(l->service);
		return;
	}
	if (l->paused)
		(void)logsvc_lines_make_room(&l->lines); /* an output may lose by now */
	if (l->paused && logsvc_lines_roomy(&l->lines) && l->drain_until_ms == 0) {
		l->paused = false;
		mw_timer_stop(l->check);
		mw_subscriber_pause(l->sub, false);
		mw_log(MW_INFO, "queue_has_room", "octets=%llu",
			(unsigned long long)l->lines.octets);
	}
}

static void drain(void *arg, struct mw_service *s)
{
	struct logsvc *l = arg;

	(void)s;
	l->drain_until_ms = mw_mono_ms() + DRAIN_MS;
	mw_subscriber_pause(l->sub, true);
	if (l->decisions != NULL)
		logsvc_decisions_hurry(l->decisions);
	mw_timer_start(l->check, 0, CHECK_MS);
}

/* ------------------------------------------------------------------ life */

static enum mw_rc open_outputs(struct logsvc *l, struct mw_service *s, struct mw_err *err_r)
{
	const char *path = mw_conf_text(s->conf, "logger.file");
	int64_t limit = mw_conf_int(s->conf, "redis_logging_queue_size_limit");
	struct logsvc_redis_conf redis;
	enum mw_rc rc = MW_OK;

	if (mw_conf_bool(s->conf, "logger.stdout"))
		rc = logsvc_stream_open(&l->out, s->loop, &l->lines, NULL, err_r);
	if (rc == MW_OK && path != NULL && *path != '\0')
		rc = logsvc_stream_open(&l->file, s->loop, &l->lines, path, err_r);
	if (rc == MW_OK)
		rc = logsvc_redis_conf_read(&redis, s->conf, err_r);
	/* Beside another output Redis may lose: a site that is without it for hours still has its
	 * records. */
	if (rc == MW_OK && redis.count > 0 && limit > 0)
		rc = logsvc_redis_open(&l->redis, s->loop, &l->lines, &redis, limit,
			l->lines.cursor_count > 0, l->host, err_r);
	if (rc == MW_OK && l->lines.cursor_count == 0)
		mw_log(MW_WARN, "no_output",
			"hint=\"logger.stdout, logger.file, or redis_logging_key with a limit\"");
	/* Behind Redis: it is no reason for that one to lose. */
	if (rc == MW_OK && mw_conf_bool(s->conf, "decisions.store"))
		rc = logsvc_decisions_open(
			&l->decisions, s->loop, &l->lines, s->conf, s->instance, err_r);
	return rc;
}

static void own_name(struct logsvc *l, const struct mw_conf *conf)
{
	const char *name = mw_conf_text(conf, "myhostname");

	if (name != NULL)
		mw_strlcpy(l->host, name, sizeof(l->host));
	else if (gethostname(l->host, sizeof(l->host) - 1) != 0)
		mw_strlcpy(l->host, "localhost", sizeof(l->host));
}

static enum mw_rc open_service(void *arg, struct mw_service *s, struct mw_err *err_r)
{
	static const struct mw_subscriber_ops ops = {
		.mail = on_mail, .alert = on_alert, .gap = on_gap
	};
	struct logsvc *l = arg;
	enum mw_rc rc;

	l->service = s;
	logsvc_lines_init(&l->lines, (uint64_t)mw_conf_int(s->conf, "logger.queue"));
	own_name(l, s->conf);
	l->check = mw_timer_new(s->loop, check, l);
	rc = open_outputs(l, s, err_r);
	if (rc == MW_OK)
		rc = logsvc_positions_open(&l->positions, s->loop, &l->lines,
			mw_conf_text(s->conf, "logger.state_dir"), s->instance, err_r);
	if (rc == MW_OK)
		logsvc_positions_follow(l->positions, l->file);
	if (rc == MW_OK)
		rc = mw_zctx_open(&l->z, "logger", s->conf, s->loop, SOCKETS, err_r);
	if (rc == MW_OK)
		rc = mw_subscriber_open(&l->sub, &l->z, s->loop, s->conf, &ops, l,
			l->lines.positions, l->lines.position_count, true, err_r);
	if (rc == MW_OK)
		mw_service_ready(s, "outputs=%zu positions=%zu", l->lines.cursor_count,
			l->lines.position_count);
	return rc;
}

static enum mw_rc reload(void *arg, struct mw_service *s, struct mw_err *err_r)
{
	struct logsvc *l = arg;
	const char *path = mw_conf_text(s->conf, "logger.file");

	l->lines.most = (uint64_t)mw_conf_int(s->conf, "logger.queue");
	if (l->decisions != NULL)
		logsvc_decisions_reload(l->decisions, s->conf);
	return l->file != NULL && path != NULL && *path != '\0'
		       ? logsvc_stream_reopen(l->file, path, err_r)
		       : MW_OK;
}

static void close_service(void *arg, struct mw_service *s)
{
	struct logsvc *l = arg;

	(void)s;
	mw_subscriber_close(&l->sub);
	mw_zctx_close(&l->z);
	logsvc_redis_close(&l->redis);
	logsvc_decisions_close(&l->decisions);
	logsvc_positions_close(&l->positions);
	logsvc_stream_close(&l->file);
	logsvc_stream_close(&l->out);
	if (l->check != NULL)
		mw_timer_destroy(&l->check);
	logsvc_lines_fini(&l->lines);
	mw_text_fini(&l->text);
}

/* ------------------------------------------------------------------ health and metrics */

static void metrics(void *arg, struct mw_service *s, struct mw_text *out)
{
	struct logsvc *l = arg;
	struct mw_subscriber_stats st;

	(void)s;
	mw_subscriber_stats(l->sub, &st);
	mw_text_addf(out, "mailweir_logger_mails_total %llu\n", (unsigned long long)st.mails);
	mw_text_addf(out, "mailweir_logger_alerts_total %llu\n", (unsigned long long)st.alerts);
	mw_text_addf(
		out, "mailweir_logger_events_missing_total %llu\n", (unsigned long long)st.lost);
	mw_text_addf(
		out, "mailweir_logger_bad_frames_total %llu\n", (unsigned long long)st.bad_frames);
	mw_text_addf(out, "mailweir_logger_replay_requests_total %llu\n",
		(unsigned long long)st.replay_asks);
	mw_text_addf(out, "mailweir_logger_fronts %zu\n", st.fronts_up);
	mw_text_addf(
		out, "mailweir_logger_queue_bytes %llu\n", (unsigned long long)l->lines.octets);
	mw_text_addf(out, "mailweir_logger_paused %d\n", l->paused ? 1 : 0);
	for (size_t i = 0; i < l->lines.cursor_count; i++) {
		const struct logsvc_cursor *c = l->lines.cursors[i];

		mw_text_addf(out, "mailweir_logger_lines_total{output=\"%s\"} %llu\n", c->name,
			(unsigned long long)c->done);
		mw_text_addf(out, "mailweir_logger_lines_skipped_total{output=\"%s\"} %llu\n",
			c->name, (unsigned long long)c->skipped);
		mw_text_addf(out, "mailweir_logger_lines_waiting{output=\"%s\"} %llu\n", c->name,
			(unsigned long long)c->waiting);
	}
	if (l->redis != NULL)
		mw_text_addf(
			out, "mailweir_logger_redis_up %d\n", logsvc_redis_up(l->redis) ? 1 : 0);
}

static bool healthy(void *arg, struct mw_service *s, struct mw_err *why_r)
{
	struct logsvc *l = arg;

	(void)s;
	if ((l->file != NULL && logsvc_stream_failing(l->file)) ||
		(l->out != NULL && logsvc_stream_failing(l->out)))
		mw_fail(why_r, MW_ERR_IO, "lines cannot be written; they are kept and tried again");
	else if (l->decisions != NULL && logsvc_decisions_failing(l->decisions))
		mw_fail(why_r, MW_ERR_IO,
			"decisions cannot be written; they are kept and tried again");
	else if (logsvc_positions_failing(l->positions))
		mw_fail(why_r, MW_ERR_IO, "the positions cannot be saved in logger.state_dir");
	else if (l->paused)
		mw_fail(why_r, MW_ERR_LIMIT, "the queue is full (logger.queue)");
	else
		return true;
	return false;
}

int main(int argc, char **argv)
{
	static struct logsvc l;
	static const struct mw_service_ops ops = {
		.open = open_service,
		.reload = reload,
		.drain = drain,
		.close = close_service,
		.metrics = metrics,
		.healthy = healthy,
	};

	return mw_service_main(argc, argv, "logger", &ops, &l);
}
