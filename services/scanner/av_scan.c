#include "av_scan.h"

#include <stdio.h>
#include <stdlib.h>

#include "av_client.h"
#include "log.h"

#define TICK_MS 100
#define CONNECT_MS 10000 /* amavisd's limit for a scanner that does not take a connection */
#define AGAIN_MS 200	 /* before another try */
#define STATE_MAX 96
#define NOT_FOUND "did not find the EICAR test file"

enum place_state { UNTESTED, TRUSTED, DOWN };

/* One entry at work. */
struct place {
	enum place_state state;
	unsigned failures, running;
	char why[AVS_WHY_MAX]; /* it is down */
	uint64_t test_at_ms;
	bool testing;
	struct avs_scan *test;
	struct avs_ask *first, *last; /* waiting for a slot */
	void *kept;
	uint64_t answers[AVS_ANSWERS], us; /* of mails; the time they took */
};

struct avs_ask {
	struct avs_task task; /* first: what clients see */
	struct avs_scan *scan;
	struct place *place;
	struct avs_told *told;
	struct mw_timer *timer;
	enum { ASK_OVER, ASK_WAITS, ASK_RUNS, ASK_PAUSES } state;
	bool infected, connected;
	unsigned tries;
	uint64_t from_us, until_ms;
	struct avs_ask *next; /* waiting */
};

struct avs_scan {
	struct avs *avs;
	void (*done)(void *arg, const struct avs_result *r);
	void *arg;
	const struct avs_file *files;
	bool starting, test;
	unsigned pending, ask_count;
	struct mw_timer *timer; /* says what was over before it began */
	struct avs_ask asks[AVS_ENTRIES_MAX];
	struct avs_result result;
	struct avs_scan *next, **prev_p;
};

struct avs {
	struct mw_loop *loop;
	const struct avs_ops *ops;
	void *arg;
	struct avs_conf conf;
	struct place places[AVS_ENTRIES_MAX];
	struct mw_timer *tick;
	struct avs_scan *scans;
	bool ready;
	unsigned holders; /* the owner, and jobs */
	bool closing;	  /* the owner let go of it */
	char state[STATE_MAX];
	struct avs_file test_file;
};

static const struct avs_client *const clients[AVS_TYPE_COUNT] = {
	[AVS_CLAMD] = &avs_clamd_client,
	[AVS_ICAP] = &avs_icap_client,
	[AVS_PROGRAM] = &avs_program_client,
};

struct mw_octets avs_test_file(void)
{
	/* In pieces, so that this program is not taken for what it looks for. */
	static const char text[] = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$"
				   "EICAR-STANDARD-ANTIVIRUS-TEST-FILE"
				   "!$H+H*";

	return mw_octets_of(text, sizeof(text) - 1);
}

struct mw_octets avs_file_at(const struct avs_file *f, size_t at, size_t most)
{
	for (unsigned i = 0; i < f->piece_count; i++) {
		if (at < f->pieces[i].n) {
			size_t n = f->pieces[i].n - at;

			return mw_octets_of(f->pieces[i].p + at, n < most ? n : most);
		}
		at -= f->pieces[i].n;
	}
	return mw_octets_of(NULL, 0);
}

bool avs_answered(const struct avs_result *r)
{
	for (unsigned i = 0; i < r->told_count; i++)
		if (r->told[i].answer <= AVS_INFECTED)
			return true;
	return false;
}

/* ------------------------------------------------------------------ who can be trusted */

static void tell_state(struct avs *a)
{
	size_t n = 0;

	a->state[0] = '\0';
	for (unsigned i = 0; i < a->conf.count && n < sizeof(a->state); i++)
		if (a->places[i].state == DOWN)
			n += (size_t)snprintf(a->state + n, sizeof(a->state) - n, "; %s down",
				a->conf.entries[i].name);
}

static const char *name_of(const struct avs *a, const struct place *p)
{
	return a->conf.entries[p - a->places].name;
}

static void place_down(struct avs *a, struct place *p, const char *why)
{
	mw_strlcpy(p->why, why, sizeof(p->why));
	p->test_at_ms = mw_mono_ms() + a->conf.retry_ms;
	if (p->state == DOWN)
		return;
	p->state = DOWN;
	mw_log(MW_ERROR, "av_scanner_down", "scanner=%s why=%s", mw_quote(name_of(a, p)),
		mw_quote(why));
	tell_state(a);
}

static void place_up(struct avs *a, struct place *p)
{
	bool was = p->state == TRUSTED;

	p->failures = 0;
	p->test_at_ms = mw_mono_ms() + a->conf.test_interval_ms;
	p->state = TRUSTED;
	if (was)
		return;
	mw_log(MW_INFO, "av_scanner_up", "scanner=%s", mw_quote(name_of(a, p)));
	tell_state(a);
}

static void place_count(struct place *p, enum avs_answer answer, uint64_t us)
{
	p->answers[answer]++;
	p->us += us;
}

/* How a mail fared: a scanner that keeps failing is asked no more. */
static void place_judge(struct avs *a, struct place *p, const struct avs_told *t)
{
	if (t->answer != AVS_FAILED) {
		p->failures = 0;
		return;
	}
	mw_log(MW_WARN, "av_scanner_failed", "scanner=%s why=%s in_a_row=%u", mw_quote(t->scanner),
		mw_quote(t->why), p->failures + 1);
	if (++p->failures >= AVS_FAILURES_MAX)
		place_down(a, p, t->why);
}

static void look_whether_ready(struct avs *a)
{
	if (a->ready || a->closing)
		return;
	for (unsigned i = 0; i < a->conf.count; i++)
		if (a->places[i].state == UNTESTED)
			return;
	a->ready = true;
	a->ops->ready(a->arg, a);
}

static void place_tested(struct avs *a, struct place *p, bool found, const char *why)
{
	p->testing = false;
	mw_log(MW_DEBUG, "av_scanner_tested", "scanner=%s found=%d", mw_quote(name_of(a, p)),
		found);
	if (found)
		place_up(a, p);
	else
		place_down(a, p, why[0] != '\0' ? why : NOT_FOUND);
	look_whether_ready(a);
}

/* ------------------------------------------------------------------ one mail at one scanner */

/* Nobody finds it any more; its result stays. */
static void scan_unlink(struct avs_scan *s)
{
	mw_timer_destroy(&s->timer);
	for (unsigned i = 0; i < s->ask_count; i++)
		mw_timer_destroy(&s->asks[i].timer);
	*s->prev_p = s->next;
	if (s->next != NULL)
		s->next->prev_p = s->prev_p;
}

static void scan_over(void *arg)
{
	struct avs_scan *s = arg;

	scan_unlink(s);
	s->done(s->arg, &s->result); /* it may let go of s->avs, the last to hold it */
	free(s);
}

static void ask_run(struct avs_ask *k);

static void place_next(struct place *p)
{
	struct avs_ask *k = p->first;

	if (k == NULL)
		return;
	p->first = k->next;
	if (p->first == NULL)
		p->last = NULL;
	ask_run(k);
}

static void ask_wait(struct avs_ask *k)
{
	struct place *p = k->place;

	k->state = ASK_WAITS;
	k->next = NULL;
	if (p->last != NULL)
		p->last->next = k;
	else
		p->first = k;
	p->last = k;
}

static void ask_unwait(struct avs_ask *k)
{
	struct place *p = k->place;
	struct avs_ask *before = NULL;

	struct avs_ask *q = p->first;

	for (; q != NULL && q != k; q = q->next)
		before = q;
	if (q == NULL)
		return; /* its turn to wait had not come */
	if (before != NULL)
		before->next = k->next;
	else
		p->first = k->next;
	if (p->last == k)
		p->last = before;
}

static void ask_rearm(struct avs_ask *k, uint64_t most_ms)
{
	uint64_t now = mw_mono_ms(), left = k->until_ms > now ? k->until_ms - now : 1;

	mw_timer_start(k->timer, left < most_ms ? left : most_ms, 0);
}

static void ask_run(struct avs_ask *k)
{
	k->state = ASK_RUNS;
	k->connected = false;
	k->place->running++;
	k->task.client = NULL;
	ask_rearm(k, CONNECT_MS);
	clients[k->task.entry->type]->start(k);
}

static void ask_slot_free(struct avs_ask *k)
{
	k->place->running--;
	place_next(k->place);
}

/* Take it away from wherever it is. */
static void ask_stop(struct avs_ask *k)
{
	int was = k->state;

	k->state = ASK_OVER;
	mw_timer_stop(k->timer);
	if (was == ASK_WAITS)
		ask_unwait(k);
	if (was != ASK_RUNS)
		return;
	clients[k->task.entry->type]->cancel(k);
	ask_slot_free(k);
}

static void scan_stop_others(struct avs_scan *s)
{
	for (unsigned i = 0; i < s->ask_count; i++) {
		struct avs_ask *k = &s->asks[i];

		if (k->state == ASK_OVER)
			continue;
		ask_stop(k);
		s->pending--;
		k->told->answer = AVS_SILENT;
		mw_strlcpy(k->told->why, "another one was first", AVS_WHY_MAX);
	}
}

static void ask_over(struct avs_ask *k, enum avs_answer answer, const char *why)
{
	struct avs_scan *s = k->scan;
	struct avs_told *t = k->told;

	k->state = ASK_OVER;
	mw_timer_stop(k->timer);
	t->answer = k->infected ? AVS_INFECTED : answer;
	t->us = mw_mono_us() - k->from_us;
	mw_strlcpy(t->why, why, sizeof(t->why));
	if (!s->test)
		place_count(k->place, t->answer, t->us);
	if (!s->test && !s->avs->closing)
		place_judge(s->avs, k->place, t);
	s->pending--;
	if (t->answer == AVS_INFECTED && s->avs->conf.first_stops)
		scan_stop_others(s);
	if (s->pending == 0 && !s->starting)
		scan_over(s);
}

struct avs_task *avs_ask_task(struct avs_ask *k)
{
	return &k->task;
}

void avs_ask_connected(struct avs_ask *k)
{
	k->connected = true;
	ask_rearm(k, UINT64_MAX);
}

/* What is not printable ASCII in a name becomes '?'. */
void avs_ask_virus(struct avs_ask *k, const char *name, size_t file)
{
	struct avs_result *r = &k->scan->result;
	const struct mw_octets path = k->scan->files[file].path;
	struct avs_find *f = &r->finds[r->find_count];

	k->infected = true;
	for (unsigned i = 0; i < r->find_count; i++)
		if (r->finds[i].scanner == k->told->scanner &&
			strncmp(r->finds[i].name, name, AVS_VIRUS_MAX - 1) == 0)
			return;
	if (r->find_count == AVS_FINDS_MAX)
		return;
	r->find_count++;
	f->scanner = k->told->scanner;
	mw_strlcpy(f->name, name, sizeof(f->name));
	for (char *p = f->name; *p != '\0'; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	scan_copy_utf8(f->part, sizeof(f->part), path);
}

void avs_ask_end(struct avs_ask *k, enum avs_answer answer, const char *why)
{
	char kept[AVS_WHY_MAX]; /* it may stand in what is freed below */

	mw_strlcpy(kept, why, sizeof(kept));
	k->state = ASK_OVER;
	ask_slot_free(k);
	ask_over(k, answer, kept);
}

void avs_ask_again(struct avs_ask *k, const char *why)
{
	if (k->infected || k->tries++ >= k->task.entry->retries ||
		mw_mono_ms() + AGAIN_MS >= k->until_ms) {
		avs_ask_end(k, AVS_FAILED, why);
		return;
	}
	mw_strlcpy(k->told->why, why, sizeof(k->told->why));
	k->state = ASK_PAUSES;
	ask_slot_free(k);
	mw_timer_start(k->timer, AGAIN_MS, 0);
}

static void ask_timer(void *arg)
{
	struct avs_ask *k = arg;

	if (k->state == ASK_PAUSES && mw_mono_ms() < k->until_ms) {
		if (k->place->running < k->task.entry->slots || k->scan->test)
			ask_run(k);
		else {
			ask_wait(k);
			ask_rearm(k, UINT64_MAX);
		}
		return;
	}
	if (k->state == ASK_RUNS && !k->connected && mw_mono_ms() < k->until_ms) {
		ask_stop(k);
		ask_over(k, AVS_FAILED, "does not take the connection");
		return;
	}
	/* Time that was spent waiting for others says nothing about the scanner. */
	enum avs_answer answer = k->state == ASK_WAITS ? AVS_REFUSED : AVS_FAILED;

	ask_stop(k);
	ask_over(k, answer, answer == AVS_REFUSED ? "no slot was free in time" : "timeout");
}

/* ------------------------------------------------------------------ one mail */

static void ask_add(struct avs_scan *s, unsigned i, size_t count, uint64_t until_ms)
{
	struct avs *a = s->avs;
	struct avs_ask *k = &s->asks[s->ask_count++];
	const struct avs_entry *e = &a->conf.entries[i];
	uint64_t own = mw_mono_ms() + e->timeout_ms;

	k->told = &s->result.told[s->result.told_count++];
	k->told->scanner = e->name;
	k->scan = s;
	k->place = &a->places[i];
	k->until_ms = own < until_ms ? own : until_ms;
	k->from_us = mw_mono_us();
	k->task = (struct avs_task){ .entry = e,
		.conf = &a->conf,
		.loop = a->loop,
		.files = s->files,
		.file_count = count,
		.until_ms = k->until_ms,
		.kept = &a->places[i].kept };
	if (k->place->state == DOWN && !s->test) {
		k->told->answer = AVS_FAILED;
		mw_strlcpy(k->told->why, k->place->why, AVS_WHY_MAX);
		return;
	}
	if (count == 0) { /* an empty mail has no octet in which anything could be */
		k->told->answer = AVS_CLEAN;
		mw_strlcpy(k->told->why, "nothing to look at", AVS_WHY_MAX);
		return;
	}
	k->timer = mw_timer_new(a->loop, ask_timer, k);
	s->pending++;
	k->state = ASK_WAITS;
}

static void scan_run(struct avs_scan *s)
{
	s->starting = true;
	for (unsigned i = 0; i < s->ask_count; i++) {
		struct avs_ask *k = &s->asks[i];

		if (k->state != ASK_WAITS)
			continue; /* down, or stopped by one that was at once */
		if (k->place->running < k->task.entry->slots || s->test)
			ask_run(k);
		else {
			ask_wait(k);
			ask_rearm(k, UINT64_MAX);
		}
	}
	s->starting = false;
	if (s->pending == 0)
		mw_timer_start(s->timer, 0, 0);
}

static struct avs_scan *scan_new(struct avs *a, const struct avs_file *files,
	void (*done)(void *arg, const struct avs_result *r), void *arg)
{
	struct avs_scan *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->avs = a;
	s->done = done;
	s->arg = arg;
	s->files = files;
	s->timer = mw_timer_new(a->loop, scan_over, s);
	s->prev_p = &a->scans;
	s->next = a->scans;
	if (s->next != NULL)
		s->next->prev_p = &s->next;
	a->scans = s;
	return s;
}

struct avs_scan *avs_scan_start(struct avs *a, bool backup, const struct avs_file *files,
	size_t count, uint64_t until_ms, void (*done)(void *arg, const struct avs_result *r),
	void *arg)
{
	struct avs_scan *s = scan_new(a, files, done, arg);

	if (s == NULL)
		return NULL;
	for (unsigned i = 0; i < a->conf.count; i++)
		if (a->conf.entries[i].backup == backup && clients[a->conf.entries[i].type] != NULL)
			ask_add(s, i, count, until_ms);
	scan_run(s);
	return s;
}

void avs_scan_cancel(struct avs_scan **s_p)
{
	struct avs_scan *s = *s_p;

	*s_p = NULL;
	if (s == NULL)
		return;
	for (unsigned i = 0; i < s->ask_count; i++)
		if (s->asks[i].state != ASK_OVER)
			ask_stop(&s->asks[i]);
	scan_unlink(s);
	free(s);
}

/* ------------------------------------------------------------------ tests */

static void tested(void *arg, const struct avs_result *r)
{
	struct place *p = arg;
	struct avs *a = p->test->avs;

	p->test = NULL;
	place_tested(a, p, r->told[0].answer == AVS_INFECTED, r->told[0].why);
}

static void place_test(struct avs *a, struct place *p)
{
	unsigned i = (unsigned)(p - a->places);

	p->testing = true;
	if (clients[a->conf.entries[i].type] == NULL) {
		a->ops->test_builtin(a->arg, a);
		return;
	}
	p->test = scan_new(a, &a->test_file, tested, p);
	if (p->test == NULL) {
		place_tested(a, p, false, "no memory");
		return;
	}
	p->test->test = true;
	ask_add(p->test, i, 1, UINT64_MAX);
	scan_run(p->test);
}

static void tick(void *arg)
{
	struct avs *a = arg;
	uint64_t now = mw_mono_ms();

	for (unsigned i = 0; i < a->conf.count; i++)
		if (!a->places[i].testing && now >= a->places[i].test_at_ms)
			place_test(a, &a->places[i]);
}

static struct place *builtin_place(const struct avs *a)
{
	for (unsigned i = 0; i < a->conf.count; i++)
		if (a->conf.entries[i].type == AVS_LIBCLAMAV)
			return (struct place *)&a->places[i];
	return NULL;
}

void avs_builtin_tested(struct avs *a, bool found, const char *why)
{
	struct place *p = builtin_place(a);

	if (p != NULL)
		place_tested(a, p, found, why);
}

void avs_builtin_changed(struct avs *a, bool eicar)
{
	struct place *p = builtin_place(a);

	if (p == NULL)
		return;
	p->test_at_ms = 0;
	if (!eicar) {
		place_down(a, p, NOT_FOUND);
	} else if (p->state == UNTESTED) {
		p->state = TRUSTED; /* it has found the file already */
		look_whether_ready(a);
	}
}

void avs_builtin_told(struct avs *a, enum avs_answer answer, uint64_t us)
{
	struct place *p = builtin_place(a);

	if (p != NULL)
		place_count(p, answer, us);
}

/* ------------------------------------------------------------------ open and close */

enum mw_rc avs_open(struct avs **a_r, struct mw_loop *loop, const struct mw_conf *conf,
	const struct avs_ops *ops, void *arg, struct mw_err *err)
{
	struct avs *a = calloc(1, sizeof(*a));
	struct mw_octets octets = avs_test_file();
	enum mw_rc rc;

	*a_r = a;
	if (a == NULL)
		return mw_fail(err, MW_ERR_NOMEM, "no memory");
	a->holders = 1;
	a->loop = loop;
	a->ops = ops;
	a->arg = arg;
	a->test_file = (struct avs_file){ .path = mw_octets_of_text("eicar.com"),
		.pieces = { octets },
		.piece_count = 1,
		.octets = octets.n };
	rc = avs_conf_read(&a->conf, conf, err);
	if (rc != MW_OK)
		return rc;
	a->tick = mw_timer_new(loop, tick, a);
	mw_timer_start(a->tick, 0, TICK_MS);
	return MW_OK;
}

static void avs_free(struct avs *a)
{
	for (unsigned i = 0; i < a->conf.count; i++) {
		const struct avs_client *c = clients[a->conf.entries[i].type];

		if (c != NULL && c->forget != NULL && a->places[i].kept != NULL)
			c->forget(&a->places[i].kept);
	}
	avs_conf_fini(&a->conf);
	free(a);
}

void avs_close(struct avs **a_p)
{
	struct avs *a = *a_p;

	if (a == NULL)
		return;
	a->closing = true;
	mw_timer_destroy(&a->tick);
	for (unsigned i = 0; i < a->conf.count; i++)
		avs_scan_cancel(&a->places[i].test);
	avs_release(a_p);
}

struct avs *avs_hold(struct avs *a)
{
	a->holders++;
	return a;
}

void avs_release(struct avs **a_p)
{
	struct avs *a = *a_p;

	*a_p = NULL;
	if (a != NULL && --a->holders == 0)
		avs_free(a);
}

/* ------------------------------------------------------------------ questions */

bool avs_ready(const struct avs *a)
{
	return a->ready;
}

bool avs_builtin(const struct avs *a, bool backup, bool *listed_r, const char **why_r)
{
	const struct place *p = builtin_place(a);

	*listed_r = p != NULL && a->conf.entries[p - a->places].backup == backup;
	*why_r = p != NULL ? p->why : "";
	return *listed_r && p->state == TRUSTED;
}

const char *avs_builtin_name(const struct avs *a)
{
	const struct place *p = builtin_place(a);

	return p != NULL ? name_of(a, p) : "";
}

bool avs_others(const struct avs *a, bool backup)
{
	for (unsigned i = 0; i < a->conf.count; i++)
		if (a->conf.entries[i].backup == backup && a->conf.entries[i].type != AVS_LIBCLAMAV)
			return true;
	return false;
}

bool avs_first_stops(const struct avs *a)
{
	return a->conf.first_stops;
}

unsigned avs_slots(const struct avs *a)
{
	unsigned most = 0;

	for (unsigned i = 0; i < a->conf.count; i++)
		if (a->conf.entries[i].type != AVS_LIBCLAMAV && a->conf.entries[i].slots > most)
			most = a->conf.entries[i].slots;
	return most;
}

const char *avs_state(const struct avs *a)
{
	return a->state;
}

const char *avs_answer_name(enum avs_answer answer)
{
	static const char *const words[AVS_ANSWERS] = {
		[AVS_CLEAN] = "clean",
		[AVS_INFECTED] = "infected",
		[AVS_SILENT] = "silent",
		[AVS_REFUSED] = "refused",
		[AVS_FAILED] = "failed",
	};

	return words[answer];
}

void avs_down(const struct avs *a, struct mw_down *down)
{
	for (unsigned i = 0; i < a->conf.count; i++)
		if (a->places[i].state == DOWN)
			mw_down_add(down, a->conf.entries[i].name);
}

static void place_metric(const struct avs *a, const struct place *p, const char *name,
	const char *answer, uint64_t value, struct mw_text *out)
{
	mw_text_addf(out, "mailweir_virus_scanner_%s{", name);
	mw_text_add_label(out, "scanner", name_of(a, p));
	if (answer != NULL) {
		mw_text_add(out, ",");
		mw_text_add_label(out, "answer", answer);
	}
	mw_text_addf(out, "} %llu\n", (unsigned long long)value);
}

void avs_metrics(const struct avs *a, struct mw_text *out)
{
	for (unsigned i = 0; i < a->conf.count; i++) {
		const struct place *p = &a->places[i];

		place_metric(a, p, "up", NULL, p->state == TRUSTED, out);
		place_metric(a, p, "running", NULL, p->running, out);
		for (int answer = 0; answer < AVS_ANSWERS; answer++)
			place_metric(a, p, "mails_total", avs_answer_name((enum avs_answer)answer),
				p->answers[answer], out);
		place_metric(a, p, "us_total", NULL, p->us, out);
	}
}
