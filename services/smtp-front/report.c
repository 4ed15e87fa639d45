#include "report.h"

#include "policy/db.h"
#include "outcome/clerk.h"
#include "policy/dnsl.h"
#include "policy/hooks.h"

#include <stdio.h>
#include <stdlib.h>

#include "intake/intake.h"
#include "outcome/decide.h"
#include "outcome/log_line.h"
#include "outcome/quarantine.h"
#include "report_why.h"

static struct mw_octets text(const char *s)
{
	return mw_octets_of_text(s != NULL ? s : "");
}

/* The id that a next hop names at the end of its words: "... queued as X". */
static struct mw_octets queued_as(const char *reply)
{
	const char *p = reply != NULL ? strstr(reply, "queued as ") : NULL;
	size_t n = p != NULL ? strcspn(p + 10, " \t\n;,)") : 0;

	return n > 0 && n < 64 ? mw_octets_of(p + 10, n) : text("");
}

static struct mw_list list_of(struct txn *t, const char *const *texts, size_t count)
{
	struct mw_octets *items = smtp_arena_array(&t->arena, count, sizeof(*items));

	for (size_t i = 0; i < count && items != NULL; i++)
		items[i] = mw_octets_of_text(texts[i]);
	return (struct mw_list){ items != NULL ? count : 0, items };
}

static void fill_rcpts(struct txn *t, struct mw_record *r, bool aborted)
{
	struct mw_record_rcpt *out = smtp_arena_array(&t->arena, t->rcpt_count, sizeof(*out));

	if (out == NULL)
		return;
	for (size_t i = 0; i < t->rcpt_count; i++) {
		const struct txn_rcpt *in = &t->rcpts[i];

		out[i] = (struct mw_record_rcpt){
			.addr = text(in->addr),
			.is_local = in->is_local,
			.action = aborted ? MW_ACT_TEMPFAIL : in->action,
			.smtp_response = text(in->reply),
			.queued_as = queued_as(in->delivered ? in->reply : NULL),
			.has_score = in->has_score,
			.score_milli = in->score_milli,
			.bypass_virus = in->bypass_virus,
			.bypass_banned = in->bypass_banned,
			.bypass_spam = in->bypass_spam,
			.ccat_main = in->ccat_count > 0 ? in->ccats[0] : 0,
			.ccat_blocking = in->ccat_blocking,
			.mail_id_related = in->mail_id_related,
			.penpals_age_s = in->penpals_age_s,
			.tagged = in->tagged,
			.deliver_to = text(in->deliver_to),
			.delivered = in->delivered,
			.dsn = (enum mw_dsn)in->dsn, /* the same three */
			.banned_part = text(in->banned_part),
			.banned_key = text(in->banned_key),
			.banned_comment = text(in->banned_comment),
			.banned_paths = list_of(t, in->banned_paths, in->banned_count),
		};
		report_why_rcpt(t, i, &out[i]);
		if (in->has_score && (!r->has_score || in->score_milli > r->score_milli)) {
			r->has_score = true;
			r->score_milli = in->score_milli;
		}
	}
	r->rcpts = out;
	r->rcpt_count = t->rcpt_count;
}

/* Hooks stand behind the checks, as hook_new and so on. */
static void fill_hooks(struct txn *t, struct mw_record *r, struct mw_record_check *out)
{
	for (int i = 0; i < HOOK_POINTS && t->hooked != NULL; i++) {
		const struct hook_said *s = &t->hooked->said[i];

		if (s->called)
			out[r->check_count++] = (struct mw_record_check){
				.kind = text(
					smtp_arena_printf(&t->arena, "hook_%s", hook_names[i])),
				.ran = true,
				.status = s->failed ? MW_FAILED : MW_DONE,
				.reason = text(s->text),
				.attempts = 1,
				.wall_us = s->wall_us,
				.cpu_us = s->wall_us,
			};
	}
}

static void fill_checks(struct txn *t, struct mw_record *r)
{
	struct mw_record_check *out =
		smtp_arena_array(&t->arena, JOB_LEARN + HOOK_POINTS, sizeof(*out));

	if (out == NULL)
		return;
	for (int kind = 0; kind < JOB_LEARN; kind++) {
		const struct txn_check *c = &t->checks[kind];

		if (c->state == CHECK_SKIPPED && c->skipped == NULL)
			continue; /* the path ended before it came up */
		out[r->check_count++] = (struct mw_record_check){
			.kind = text(dispatch_kind_names[kind]),
			.worker = text(c->worker),
			.ran = c->state != CHECK_SKIPPED,
			.status = c->state == CHECK_OVER ? c->status : MW_FAILED,
			.reason = text(c->state == CHECK_SKIPPED   ? c->skipped
				       : c->state == CHECK_WAITING ? "cancelled"
								   : c->reason),
			.attempts = c->attempts,
			.wait_us = c->wait_us,
			.wall_us = c->wall_us,
			.cpu_us = c->cpu_us,
		};
	}
	fill_hooks(t, r, out);
	r->checks = out;
}

static void fill_parts(struct txn *t, struct mw_record *r)
{
	struct mw_record_part *out = smtp_arena_array(&t->arena, t->found.part_count, sizeof(*out));

	for (size_t i = 0; out != NULL && i < t->found.part_count; i++) {
		const struct finding_part *p = &t->found.parts[i];

		out[i] = (struct mw_record_part){
			.parent = (uint32_t)p->parent,
			.place = p->placement,
			.type = p->type,
			.name = p->names.count > 0 ? p->names.items[0] : text(""),
			.attributes = p->attributes,
			.size = p->size,
			.digest = p->digest,
		};
	}
	r->parts = out;
	r->part_count = out != NULL ? t->found.part_count : 0;
}

static void fill_found(struct txn *t, struct mw_record *r)
{
	const struct findings *f = &t->found;
	struct mw_record_av *av = smtp_arena_array(&t->arena, f->virus_count, sizeof(*av));
	struct mw_octets *valid = smtp_arena_array(&t->arena, f->signature_count, sizeof(*valid));
	size_t n = 0;

	for (size_t i = 0; av != NULL && i < f->virus_count; i++)
		av[i] = (struct mw_record_av){ f->viruses[i].scanner, f->viruses[i].name };
	r->av = av;
	r->av_count = av != NULL ? f->virus_count : 0;
	for (size_t i = 0; valid != NULL && i < f->signature_count; i++) {
		const struct finding_signature *s = &f->signatures[i];

		if (!mw_octets_ieq(s->result, "pass") || s->expired)
			continue;
		valid[n++] = s->d;
		for (size_t k = 0; k < t->facts.author.count; k++) {
			struct mw_octets a = t->facts.author.items[k];

			if (s->d.n > 0 && a.n > s->d.n + 1 && a.p[a.n - s->d.n - 1] == '@' &&
				mw_octets_ieq(mw_octets_of(a.p + a.n - s->d.n, s->d.n),
					(const char *)s->d.p))
				r->dkim_author_sig = s->d;
		}
	}
	r->dkim_valid_sig = (struct mw_list){ n, valid };
	r->dkim_signatures = (uint32_t)f->signature_count;
	r->dkim_new_sig = f->signed_domains;
	r->tests = f->tests;
	r->test_count = f->test_count;
	r->ip_repu_milli = f->ip_milli;
	r->attached_file_names = f->names;
	fill_parts(t, r);
	r->header_checked = t->header_checked;
	r->banned_checked = t->banned_checked;
	r->bad_header = list_of(t, t->badh.texts, t->badh.count);
	r->penpals_asked = t->checks[JOB_REPUTATION].state == CHECK_OVER && !t->originating;
	r->poison = t->poison || t->poison_known;
}

static void add_elapsed(struct mw_record *r, struct mw_record_elapsed *out, const char *section,
	uint64_t wall, uint64_t cpu)
{
	if (wall != 0 || cpu != 0)
		out[r->elapsed_count++] = (struct mw_record_elapsed){ text(section), wall, cpu };
}

static void fill_elapsed(struct txn *t, struct mw_record *r)
{
	struct mw_record_elapsed *out = smtp_arena_array(&t->arena, 8, sizeof(*out));
	uint64_t now = mw_mono_us(), checks_end = t->checks_us != 0 ? t->checks_us : now, cpu = 0;

	if (out == NULL)
		return;
	for (int kind = 0; kind < JOB_LEARN; kind++)
		cpu += t->checks[kind].cpu_us;
	cpu += t->cpu_receiving_us + t->cpu_checks_us + t->cpu_sending_us;
	add_elapsed(r, out, "receiving", t->dot_us - t->start_us, t->cpu_receiving_us);
	add_elapsed(r, out, "checks", checks_end - t->dot_us, t->cpu_checks_us);
	add_elapsed(r, out, "decode", t->found.decode_us, 0);
	add_elapsed(r, out, "virus", t->found.virus_us, t->checks[JOB_SCAN].cpu_us);
	add_elapsed(r, out, "spam", t->checks[JOB_SPAM].wall_us, t->checks[JOB_SPAM].cpu_us);
	add_elapsed(r, out, "penpals", t->checks[JOB_REPUTATION].wall_us,
		t->checks[JOB_REPUTATION].cpu_us);
	if (t->sending_us != 0)
		add_elapsed(r, out, "sending", now - t->sending_us, t->cpu_sending_us);
	add_elapsed(r, out, "total", now - t->start_us, cpu);
	r->elapsed = out;
}

/* Connections end outside of any mail: what ended since the last record is told with the next. */
static void fill_connections(struct front *f, struct mw_record *r)
{
	struct delivery_stats now = delivery_stats(f->delivery);

	r->conn_quit = (uint32_t)(now.conn_quit - f->told.conn_quit);
	r->conn_reuse_fail = (uint32_t)(now.conn_reuse_fail - f->told.conn_reuse_fail);
	f->told = now;
}

static void fill_deliveries(const struct txn *t, struct mw_record *r)
{
	for (size_t i = 0; i < t->cluster_count; i++) {
		const struct txn_cluster *c = &t->clusters[i];
		const struct txn_rcpt *first =
			c->rcpt_count > 0 ? &t->rcpts[c->rcpt_index[0]] : NULL;

		if (first == NULL || c->rcpts[0].code == 0)
			continue;
		r->out_msgs++;
		r->out_msgs_failed += first->code / 100 == 4;
		r->out_msgs_rejected += first->code / 100 == 5;
		if (first->delivered)
			for (size_t p = 0; p < c->piece_count; p++)
				r->out_octets += c->pieces[p].n;
	}
	fill_connections(t->front, r);
	r->conn_new = t->conn_new;
	r->conn_reuse = r->out_msgs - (t->conn_new < r->out_msgs ? t->conn_new : r->out_msgs);
}

void report_mail(struct txn *t, bool aborted)
{
	struct mw_octets banks[POLICY_BANKS_MAX], copies[QUARANTINE_COPIES_MAX];
	struct mw_record r = {
		.host = text(t->set->myhostname),
		.log_id = text(t->log_id),
		.mail_id = text(t->mail_id),
		.mail_id_parent = text(t->parent_mail_id),
		.own = t->own_kind,
		.time_ms = t->time_ms,
		.policy_banks = { t->policy->bank_count, banks },
		.originating = t->originating,
		.src_ip = text(t->peer_ip),
		.dst_ip = text(t->local_ip),
		.src_port = t->peer_port,
		.dst_port = t->local_port,
		.client_ip = text(t->client_ip),
		.client_port = t->client_port,
		.client_name = text(t->xforward.name),
		.helo = text(t->helo),
		.protocol = text(t->protocol),
		.queue_id = text(t->xforward.ident),
		.ip_trace = t->facts.ip_trace,
		.ip_proto_trace = t->facts.ip_proto_trace,
		.mail_from = text(t->sender),
		.sender = t->facts.sender,
		.subject = t->facts.subject,
		.message_id = t->facts.message_id,
		.user_agent = t->facts.user_agent,
		.author = t->facts.author,
		.to_addr = t->facts.to,
		.cc_addr = t->facts.cc,
		.references = t->facts.references,
		.size = t->body != NULL ? smtp_body_size(t->body) : 0,
		.is_auto = t->facts.is_auto,
		.is_mlist = t->facts.is_mlist,
		.is_bulk = t->facts.is_bulk,
		.is_bounce = *t->sender == '\0',
		.ccat = decide_ccat(t),
		.quarantine = text(t->quarantined ? t->copies[0].name : NULL),
		.quar_type = mw_octets_of(t->quarantined ? &t->copies[0].type : "", t->quarantined),
		.quarantines = { 0, copies },
		.quarantine_octets = t->quarantined ? t->quarantine_octets : 0,
		.reply = text(t->reply),
		.aborted = aborted,
	};

	for (size_t i = 0; i < t->policy->bank_count; i++)
		banks[i] = text(t->policy->banks[i]);
	for (size_t i = 0; i < t->copy_count && t->copies[i].name != NULL; i++)
		copies[r.quarantines.count++] = text(t->copies[i].name);
	fill_rcpts(t, &r, aborted);
	fill_checks(t, &r);
	fill_found(t, &r);
	fill_deliveries(t, &r);
	fill_elapsed(t, &r);
	report_why(t, &r);
	log_line(t, &r);
	log_timing(t, &r);
	/* A copy is its mail's, and in that one's record. */
	if (t->own_kind != MW_OWN_COPY)
		mw_publish_mail(t->front->pub, &r);
}

/* ------------------------------------------------------------------ the front's own figures */

static void task_state(const struct txn *t, struct mw_state_task *s)
{
	size_t n = strlen(t->states);

	mw_strlcpy(s->log_id, t->log_id, sizeof(s->log_id));
	s->age_ms = (mw_mono_us() - t->start_us) / 1000;
	s->letter = n > 0 ? t->states[n - 1] : 'm';
	mw_strlcpy(s->states, t->states, sizeof(s->states));
	s->size = t->body != NULL ? smtp_body_size(t->body) : 0;
	mw_strlcpy(s->client_ip, t->client_ip != NULL ? t->client_ip : t->peer_ip,
		sizeof(s->client_ip));
	for (int kind = 0; kind < JOB_LEARN; kind++) {
		size_t at = strlen(s->detail);

		if (t->checks[kind].state == CHECK_WAITING)
			snprintf(s->detail + at, sizeof(s->detail) - at, "%s%s", at > 0 ? "," : "",
				dispatch_kind_names[kind]);
	}
}

void front_publish_state(struct front *f)
{
	struct mw_state s = { .uptime_ms = mw_mono_ms() - f->started_ms,
		.sessions = f->intake->session_count,
		.in_flight = f->txn_count,
		.held_octets = smtp_body_held(&f->bodies),
		.mails_done = f->stats.mails };
	struct mw_pack b;

	if (!mw_publisher_wanted(f->pub, "state"))
		return;
	mw_strlcpy(s.host, f->policies->myhostname, sizeof(s.host));
	mw_strlcpy(s.front, f->service->instance, sizeof(s.front));
	mw_strlcpy(s.software, MW_VERSION, sizeof(s.software));
	s.tasks = calloc(f->txn_count < MW_STATE_TASKS_MAX ? f->txn_count + 1 : MW_STATE_TASKS_MAX,
		sizeof(*s.tasks));
	for (const struct txn *t = f->txns;
		t != NULL && s.tasks != NULL && s.task_count < MW_STATE_TASKS_MAX; t = t->next)
		task_state(t, &s.tasks[s.task_count++]);
	dispatch_state(f->dispatch, &s);
	mw_pack_init(&b);
	mw_state_encode(&b, &s);
	if (!b.failed)
		mw_publish_state(f->pub, &b);
	mw_pack_fini(&b);
	mw_state_fini(&s);
}

void front_tell_down(struct front *f)
{
	struct mw_down now = { 0 };

	db_down(f->db, &now);
	if (f->store != NULL)
		db_down(f->store, &now);
	dnsl_down(f->dnsl, &now);
	mw_publish_dependencies(f->pub, "smtp-front", &f->down, &now);
}

static void counter(struct mw_text *out, const char *name, uint64_t value)
{
	mw_text_addf(out, "mailweir_front_%s %llu\n", name, (unsigned long long)value);
}

static void hook_metrics(const struct front *f, struct mw_text *out)
{
	for (int i = 0; i < HOOK_POINTS; i++) {
		const char *point = hook_names[i];

		mw_text_addf(out, "mailweir_front_hook_calls_total{point=\"%s\"} %llu\n", point,
			(unsigned long long)f->hooks[i].calls);
		mw_text_addf(out, "mailweir_front_hook_failures_total{point=\"%s\"} %llu\n", point,
			(unsigned long long)f->hooks[i].failed);
		mw_text_addf(out, "mailweir_front_hook_us_total{point=\"%s\"} %llu\n", point,
			(unsigned long long)f->hooks[i].us);
	}
}

void front_metrics(const struct front *f, struct mw_text *out)
{
	struct dispatch_stats d = dispatch_stats(f->dispatch);
	struct delivery_stats o = delivery_stats(f->delivery);

	db_metrics(f->db, out);
	db_metrics(f->store, out);
	dnsl_metrics(f->dnsl, out);
	clerk_metrics(f->clerk, out);
	counter(out, "mails_total", f->stats.mails);
	counter(out, "mails_passed_total", f->stats.passed);
	counter(out, "mails_rejected_total", f->stats.rejected);
	counter(out, "mails_discarded_total", f->stats.discarded);
	counter(out, "mails_tempfailed_total", f->stats.tempfailed);
	counter(out, "mails_aborted_total", f->stats.aborted);
	counter(out, "mails_bare_lf_total", f->stats.bare_lf);
	for (int own = MW_OWN_NONE + 1; own < MW_OWN_COUNT; own++)
		for (int failed = 0; failed < 2; failed++)
			mw_text_addf(out, "mailweir_front_own_mails%s_total{kind=\"%s\"} %llu\n",
				failed ? "_failed" : "", mw_own_name((enum mw_own)own),
				(unsigned long long)f->stats.own[own][failed]);
	counter(out, "mails_in_flight", f->txn_count);
	counter(out, "held_octets", smtp_body_held(&f->bodies));
	counter(out, "sessions", f->intake->session_count);
	counter(out, "sessions_total", f->stats.sessions);
	counter(out, "sessions_refused_total", f->stats.refused);
	counter(out, "sessions_tls_total", f->stats.tls_in);
	counter(out, "sessions_tls_failed_total", f->stats.tls_in_failed);
	counter(out, "lookup_files", mw_lookup_files_count(f->policies->files));
	counter(out, "lookup_files_bad", mw_lookup_files_bad(f->policies->files));
	if (f->policies->hooks != NULL)
		hook_metrics(f, out);
	counter(out, "workers", d.workers);
	counter(out, "jobs_redispatched_total", d.redispatched);
	counter(out, "verdicts_late_total", d.late);
	counter(out, "jobs_dropped_total", d.dropped);
	for (int kind = 0; kind < JOB_KINDS; kind++) {
		mw_text_addf(out, "mailweir_front_jobs_total{kind=\"%s\"} %llu\n",
			dispatch_kind_names[kind], (unsigned long long)d.jobs[kind]);
		mw_text_addf(out, "mailweir_front_jobs_failed_total{kind=\"%s\"} %llu\n",
			dispatch_kind_names[kind], (unsigned long long)d.failed[kind]);
		mw_text_addf(out, "mailweir_front_jobs_waiting{kind=\"%s\"} %zu\n",
			dispatch_kind_names[kind], d.waiting[kind]);
	}
	counter(out, "delivery_connections", o.connections);
	counter(out, "delivery_connections_new_total", o.conn_new);
	counter(out, "delivery_connections_reused_total", o.conn_reuse);
	counter(out, "delivery_connections_stale_total", o.conn_reuse_fail);
	counter(out, "delivery_connections_tls_total", o.tls);
	counter(out, "delivery_tls_failed_total", o.tls_failed);
	counter(out, "delivery_mails_total", o.mails);
	counter(out, "delivery_octets_total", o.octets);
}
