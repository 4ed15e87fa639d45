/* mailweir-smtp-front: wiring of the rooms, nothing else. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "endpoint.h"
#include "front.h"
#include "explain/explain.h"
#include "intake/intake.h"
#include "log.h"
#include "outcome/clerk.h"
#include "outcome/quarantine.h"
#include "policy/db.h"
#include "policy/db_store.h"
#include "policy/dnsl.h"
#include "policy/policy_warn.h"
#include "policy/policy_watch.h"
#include "quarantine_sweep.h"
#include "transaction.h"

#define DRAIN_DATA_MS                                                                              \
	10000	     /* a client in the middle of its data has so long to finish after TERM */
#define STATE_MS 500 /* the snapshot's interval, while anybody listens */

static void limits_from(struct front *f, const struct mw_conf *conf)
{
	f->limits = (struct front_limits){
		.line_octets = (size_t)mw_conf_int(conf, "smtpd_line_limit"),
		.errors = (unsigned)mw_conf_int(conf, "smtpd_error_limit"),
		.commands = (unsigned)mw_conf_int(conf, "smtpd_command_limit"),
		.sessions = (unsigned)mw_conf_int(conf, "smtpd_session_limit"),
		.sessions_per_client =
			(unsigned)mw_conf_int(conf, "smtpd_session_limit_per_client"),
	};
	smtp_body_pool_set(&f->bodies, (size_t)mw_conf_int(conf, "front.memory_octets"),
		(uint64_t)mw_conf_int(conf, "front.held_octets"),
		mw_conf_text(conf, "front.spool_dir"));
}

static uint64_t file_interval_ms(const struct mw_conf *conf)
{
	return (uint64_t)mw_conf_int(conf, "lookup.file_interval") * 1000;
}

/* Mails in flight keep their copies where their policies say: a database that is not named any more
 * serves until the last of them is over. */
static void close_store(struct front *f)
{
	struct mw_err err;

	if (f->leaving == NULL || f->leaving->refs > 1)
		return;
	policy_set_unref(&f->leaving);
	if (db_reload(f->store, f->policies->conf, &err) != MW_OK)
		mw_log(MW_WARN, "storage_sql_dsn", "why=%s", mw_quote(err.text));
}

static void state_tick(void *arg)
{
	struct front *f = arg;

	txn_tick(f);
	close_store(f);
	front_tell_down(f);
	front_publish_state(f);
}

/* Quarantined mail is answered 2xx: a folder that cannot be written is an error now, not for the
 * first virus. */
static enum mw_rc check_quarantine(const struct policy_set *set, struct mw_err *err_r)
{
	const char *dir = set->quarantine_dir;
	char poison[300];

	for (const struct policy *p = set->base; p != NULL; p = p->next) {
		if (!policy_keeps_files(p))
			continue;
		mkdir(dir, 0750);
		if (*dir == '\0' || access(dir, W_OK | X_OK) != 0)
			return mw_fail(err_r, MW_ERR_CONF,
				"QUARANTINEDIR = \"%s\" is no folder that we may write, but a "
				"*_quarantine_method keeps mail there",
				dir);
	}
	snprintf(poison, sizeof(poison), "%s/poison", dir);
	if (*dir != '\0')
		mkdir(poison, 0750);
	return MW_OK;
}

static enum mw_rc check_retention(const struct mw_conf *conf, struct mw_err *err_r)
{
	struct mw_qretention retention;

	return mw_qretention_from(conf, &retention, err_r);
}

/* Once for each address, by the bank that brought it. */
static void try_sources(const struct policy_set *set)
{
	for (const struct policy *p = set->base; p != NULL; p = p->next)
		if (p->below == NULL || (p->below == set->base &&
						strcmp(p->source.text, p->below->source.text) != 0))
			delivery_try_source(&p->source, p->bank);
}

/* Of the sockets that there are: they stay as they are until a restart. */
static void tell_warnings(const struct front *f)
{
	struct policy_socket *sockets;
	size_t count = intake_sockets(f, &sockets);

	policy_warn_log(f->policies, sockets, count);
	free(sockets);
}

static enum mw_rc front_open(void *arg, struct mw_service *s, struct mw_err *err_r)
{
	struct front *f = arg;
	struct mw_front_address doors;
	struct mw_text where = { 0 };
	uint32_t random;
	enum mw_rc rc;

	f->service = s;
	f->loop = s->loop;
	f->started_ms = mw_mono_ms();
	mw_random(&random, sizeof(random));
	/* Grows with time, so that people can sort; random below, so that two fronts differ. */
	f->incarnation = mw_wall_ms() / 1000 << 32 | random;
	limits_from(f, s->conf);
	f->dnsl = dnsl_new(s->loop);
	if (f->dnsl == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory");
	if ((rc = policy_set_new(s->conf, &f->policies, err_r)) != MW_OK ||
		(rc = check_quarantine(f->policies, err_r)) != MW_OK ||
		(rc = mw_front_doors(s->conf, s->instance, &doors, err_r)) != MW_OK ||
		(rc = mw_zctx_open(&f->z, "front", s->conf, s->loop,
			 (unsigned)mw_conf_int(s->conf, "pipeline.max_workers") * 3 + 16, err_r)) !=
			MW_OK ||
		(rc = mw_publisher_open(&f->pub, &f->z, s->loop, s->conf, &doors, f->incarnation,
			 err_r)) != MW_OK ||
		(rc = dispatch_open(&f->dispatch, &f->z, s->loop, s->conf,
			 doors.door[MW_DOOR_VERDICTS], f->incarnation, f->pub, err_r)) != MW_OK ||
		(rc = delivery_open(&f->delivery, s->loop, s->conf, err_r)) != MW_OK ||
		(rc = db_new(s->loop, s->conf, &f->db, err_r)) != MW_OK ||
		(rc = db_store_new(s->loop, s->conf, &f->store, err_r)) != MW_OK ||
		(rc = dnsl_configure(f->dnsl, s->conf, f->policies->dns_lists, err_r)) != MW_OK ||
		(rc = clerk_new(&f->clerk, s->loop, s->conf, err_r)) != MW_OK ||
		(rc = intake_open(f, s->conf, err_r)) != MW_OK)
		return rc;
	f->watch = policy_watch_new(s->loop, &f->policies, file_interval_ms(s->conf));
	if (f->watch == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory");
	f->state_timer = mw_timer_new(s->loop, state_tick, f);
	mw_timer_start(f->state_timer, STATE_MS, STATE_MS);
	try_sources(f->policies);
	tell_warnings(f);
	body_program_sweep(f, mw_conf_text(s->conf, "front.spool_dir"));
	intake_describe(f, &where);
	mw_service_ready(s, "smtp=%s verdicts=%s", where.p != NULL ? where.p : "",
		doors.door[MW_DOOR_VERDICTS]);
	mw_text_fini(&where);
	return MW_OK;
}

/* Both or none. */
static enum mw_rc reload_lookups(struct front *f, const struct mw_conf *conf,
	const struct policy_set *set, struct mw_err *err_r)
{
	enum mw_rc rc = dnsl_configure(f->dnsl, conf, set->dns_lists, err_r);
	struct mw_err ignored;

	if (rc == MW_OK && (rc = db_reload(f->db, conf, err_r)) != MW_OK)
		dnsl_configure(f->dnsl, f->policies->conf, f->policies->dns_lists, &ignored);
	return rc;
}

/* All of them or none. */
static enum mw_rc reload_databases(struct front *f, const struct mw_conf *conf,
	const struct policy_set *set, struct mw_err *err_r)
{
	bool stays = db_enabled(f->store) && mw_conf_val(conf, "storage_sql_dsn")->count == 0;
	enum mw_rc rc = stays ? MW_OK : db_reload(f->store, conf, err_r);
	struct mw_err ignored;

	if (rc != MW_OK)
		return rc;
	rc = reload_lookups(f, conf, set, err_r);
	if (rc != MW_OK && !stays)
		db_reload(f->store, f->policies->conf, &ignored);
	if (rc != MW_OK)
		return rc;
	policy_set_unref(&f->leaving);
	f->leaving = stays ? policy_set_ref(f->policies) : NULL;
	return MW_OK;
}

/* New limits and policies; sockets stay as they are until a restart. Mails in flight keep what they
 * began with. */
static enum mw_rc front_reload(void *arg, struct mw_service *s, struct mw_err *err_r)
{
	struct front *f = arg;
	struct policy_set *set;
	enum mw_rc rc = policy_set_new(s->conf, &set, err_r);

	if (rc == MW_OK && ((rc = check_quarantine(set, err_r)) != MW_OK ||
				   (rc = check_retention(s->conf, err_r)) != MW_OK ||
				   (rc = reload_databases(f, s->conf, set, err_r)) != MW_OK ||
				   (rc = clerk_configure(f->clerk, s->conf, err_r)) != MW_OK))
		policy_set_unref(&set);
	if (rc != MW_OK)
		return rc;
	policy_set_unref(&f->policies);
	f->policies = set;
	try_sources(set);
	limits_from(f, s->conf);
	policy_watch_every(f->watch, file_interval_ms(s->conf));
	dispatch_configure(f->dispatch, s->conf);
	delivery_configure(f->delivery, s->conf);
	tell_warnings(f);
	return MW_OK;
}

/* --check: everything that can be told without a socket. */
static enum mw_rc front_check(
	void *arg, const struct mw_conf *conf, struct mw_text *warnings, struct mw_err *err_r)
{
	struct policy_set *set;
	enum mw_rc rc = policy_set_new(conf, &set, err_r);

	(void)arg;
	if (rc != MW_OK)
		return rc;
	policy_warn_print(set, warnings);
	policy_set_unref(&set);
	return check_retention(conf, err_r);
}

void front_txn_over(struct front *f)
{
	if (f->draining && f->txns == NULL)
		mw_service_stop(f->service);
}

static void front_drain(void *arg, struct mw_service *s)
{
	struct front *f = arg;

	(void)s;
	mw_log(MW_INFO, "drain", "mails=%zu sessions=%zu", f->txn_count, f->intake->session_count);
	f->drain_until_ms = mw_loop_now_ms(f->loop) + DRAIN_DATA_MS;
	intake_drain(f);
	f->draining = true;
	front_txn_over(f);
}

static void front_close(void *arg, struct mw_service *s)
{
	struct front *f = arg;

	(void)s;
	f->draining = false;
	mw_timer_destroy(&f->state_timer);
	policy_watch_destroy(&f->watch);
	intake_close(f);
	if (f->dispatch != NULL && f->delivery != NULL)
		txn_destroy_all(f);
	clerk_destroy(&f->clerk);
	db_destroy(&f->db);
	db_destroy(&f->store);
	dnsl_destroy(&f->dnsl);
	delivery_close(&f->delivery);
	dispatch_close(&f->dispatch);
	mw_publisher_close(&f->pub);
	mw_zctx_close(&f->z);
	policy_set_unref(&f->leaving);
	policy_set_unref(&f->policies);
}

static void metrics(void *arg, struct mw_service *s, struct mw_text *out)
{
	(void)s;
	front_metrics(arg, out);
}

int main(int argc, char **argv)
{
	static const struct mw_service_ops ops = {
		.open = front_open,
		.reload = front_reload,
		.drain = front_drain,
		.close = front_close,
		.metrics = metrics,
		.check = front_check,
	};
	struct front *f = calloc(1, sizeof(*f));
	int code;

	if (f == NULL)
		return 1;
	smtp_body_pool_init(&f->bodies);
	/* For `mailweir explain`, which asks whoever knows. */
	if (argc > 1 && strcmp(argv[1], "--explain") == 0)
		code = explain_main(f, argc - 1, argv + 1);
	else
		code = mw_service_main(argc, argv, "smtp-front", &ops, f);
	smtp_body_pool_fini(&f->bodies);
	free(f->intake);
	free(f);
	return code;
}
