#include <stdio.h>
#include <stdlib.h>

#include "log.h"
#include "container.h"
#include "scarcity.h"
#include "mail.h"
#include "work_priv.h"

#define MAGIC_MAX 8
/* What the engine may unpack in all, as a multiple of what we may: nested archives are unpacked by
 * it at every level. */
#define ENGINE_TIMES 2
/* Once a mail is known for a bomb: octets and milliseconds for looking at what is at hand. */
#define BURST_OCTETS (32u << 20)
#define BURST_FILES 200
#define BURST_MS 500
#define DIGEST_OCTETS (256u << 20) /* of one mail: some half a second */
#define RAW_LEAST_MS 500	   /* the raw mail is scanned, however late it is */
#define SCRATCH_KEEP (1u << 20)	   /* octets of decoding memory kept between mails */

struct work *work_new(const struct scan_conf *conf, struct av *av, struct types *types)
{
	struct work *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->conf = conf;
	w->av = av;
	w->types = types;
	w->leaves.fd = -1;
	return w;
}

void work_leaves(struct work *w, int fd)
{
	w->leaves.fd = fd;
}

enum scan_engine_end work_engine(const struct work *w)
{
	/* A limit inside an engine is told as such, whoever else fails. And without memory it is
	 * not the engine alone that failed: leaves are missing, and nobody else can stand for it.
	 */
	bool failed =
		w->failed && !w->no_memory && (w->budget.met & MW_BIT(SCAN_LIMIT_ENGINE)) == 0;

	return !w->virus ? SCAN_ENGINE_NOT_ASKED
	       : failed	 ? SCAN_ENGINE_FAILED
			 : SCAN_ENGINE_ANSWERED;
}

void work_destroy(struct work **w_p)
{
	struct work *w = *w_p;

	*w_p = NULL;
	if (w == NULL)
		return;
	free(w->scratch);
	free(w->reader.seen);
	free(w->reader.index);
	mw_text_fini(&w->reader.boundaries);
	mw_text_fini(&w->reader.said);
	free(w);
}

/* ------------------------------------------------------------------ the engine */

static void keep_why(struct work *w, const char *why)
{
	if (w->why[0] == '\0')
		mw_strlcpy(w->why, why, sizeof(w->why));
}

static void take_result(struct work *w, const struct av_result *r, const char *part)
{
	for (unsigned i = 0; i < r->viruses; i++)
		findings_virus(&w->f, r->names[i], part);
	w->worn = w->worn || r->worn;
	if (r->whole)
		return;
	keep_why(w, r->why);
	if (r->end == AV_FAILED)
		w->failed = true;
	else
		/* The moments that a bomb gets are no time of the job's. */
		w->budget.met |= MW_BIT(r->end == AV_TIME && w->burst_us == 0 ? SCAN_LIMIT_TIME
									      : SCAN_LIMIT_ENGINE);
}

/* True when the mail is a bomb, from then on: what the engine still may is little. */
static bool burst(struct work *w)
{
	if (w->burst_us != 0 || !budget_burst(&w->budget))
		return w->burst_us != 0;
	w->burst_us = w->virus_us + 1;
	if (w->engine_octets > BURST_OCTETS)
		w->engine_octets = BURST_OCTETS;
	return true;
}

static void ask(struct work *w, struct mw_octets octets, const char *part, bool mail, uint64_t ms)
{
	struct av_room room = { w->engine_octets, UINT64_MAX, UINT64_MAX };
	struct av_result r;
	uint64_t from = mw_mono_us();

	if (burst(w))
		room = (struct av_room){ w->engine_octets, BURST_OCTETS, BURST_FILES };
	av_allow(w->av, &room);
	av_scan(w->av, octets, mail, w->conf->quota, ms, &r);
	w->engine_octets -= r.unpacked < w->engine_octets ? r.unpacked : w->engine_octets;
	w->virus_us += mw_mono_us() - from;
	take_result(w, &r, part);
}

static void scan(struct work *w, struct mw_octets octets, const char *part)
{
	uint64_t ms, spent;

	if (!w->virus || octets.n == 0 || w->conf->scan_mode == SCAN_MESSAGE ||
		!budget_time(&w->budget))
		return;
	ms = budget_ms_left(&w->budget);
	if (burst(w)) {
		spent = (w->virus_us + 1 - w->burst_us) / 1000;
		if (ms > BURST_MS - (spent < BURST_MS ? spent : BURST_MS))
			ms = BURST_MS - (spent < BURST_MS ? spent : BURST_MS);
	}
	ask(w, octets, part, false, ms);
}

/* Whatever else was met, and whatever time it took: the raw mail is looked at whole. */
static void scan_raw(struct work *w, struct mw_octets message, bool mail)
{
	uint64_t ms = budget_ms_in_all(&w->budget);

	if (w->conf->scan_mode == SCAN_LEAVES && !mail && w->budget.met == 0)
		return;
	if (!w->virus)
		return;
	ms = ms > RAW_LEAST_MS ? ms : RAW_LEAST_MS;
	if (mail && burst(w)) { /* its parser would open the bomb once more */
		ask(w, message, "message", true, BURST_MS);
		mail = false;
	}
	ask(w, message, "message", mail, ms);
}

/* ------------------------------------------------------------------ leaves and what is inside them
 */

/* Append one step to a path, cut where it does not fit. */
void work_path_add(char path[SCAN_PATH_MAX], const char *step)
{
	size_t n = strlen(path);

	if (step[0] == '\0')
		return;
	if (n > 0 && n < SCAN_PATH_MAX - 1)
		path[n++] = '/';
	mw_strlcpy(path + n, step, SCAN_PATH_MAX - n);
}

/* Where a member stands: the archive's path, then its own. */
struct place {
	struct work *w;
	const char *part;
	unsigned level;
	unsigned number; /* of the archive, among the parts that are told */
};

static void member_has(struct findings *f, unsigned number, const struct container_member *m)
{
	if (m->encrypted || m->broken)
		findings_part_has(f, number, PART_UNDECIPHERABLE);
	if (m->encrypted)
		findings_part_has(f, number, PART_CRYPTED);
	if (m->ambiguous)
		findings_part_has(f, number, PART_AMBIGUOUS);
	if (m->kind != 0)
		findings_part_has(f, number,
			m->kind == 'D'	 ? PART_DIRECTORY
			: m->kind == 'L' ? PART_LINK
					 : PART_SPECIAL);
}

static const char *last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

static bool has_alias(const struct container_member *m, unsigned i)
{
	return i < CONTAINER_ALIASES_MAX && m->aliases[i] != NULL && m->aliases[i][0] != '\0';
}

/* A part of all the names that readers may see. */
static unsigned member_part(
	struct work *w, const struct place *at, const struct container_member *m)
{
	char names[(1 + CONTAINER_ALIASES_MAX) * CONTAINER_NAME_MAX];
	unsigned count = m->name[0] != '\0';
	size_t n = count != 0 ? mw_strlcpy(names, m->name, CONTAINER_NAME_MAX) + 1 : 0;

	for (unsigned i = 0; has_alias(m, i); i++) {
		if (strcmp(m->aliases[i], m->name) == 0)
			continue;
		n += mw_strlcpy(names + n, m->aliases[i], CONTAINER_NAME_MAX) + 1;
		count++;
	}
	return findings_part(&w->f, at->number, "", m->type != NULL ? m->type : "", names, count);
}

static bool member_is_mail(const struct container_member *m)
{
	if (m->mail || (m->type != NULL && strcmp(m->type, "message/rfc822") == 0) ||
		mail_by_name(m->name))
		return true;
	for (unsigned i = 0; has_alias(m, i); i++)
		if (mail_by_name(m->aliases[i]))
			return true;
	return mail_by_content(m->octets);
}

static bool take_member(void *arg, const struct container_member *m)
{
	struct place *at = arg;
	struct work *w = at->w;
	char part[SCAN_PATH_MAX];
	struct mw_octets octets;
	unsigned number = member_part(w, at, m);

	member_has(&w->f, number, m);
	if (m->kind != 0 && m->octets.n == 0)
		return budget_time(&w->budget);

	mw_strlcpy(part, at->part, sizeof(part));
	work_path_add(part, m->name);
	w->f.parts++;
	findings_name(&w->f, last_name(m->name), at->level);
	for (unsigned i = 0; has_alias(m, i); i++)
		findings_name(&w->f, last_name(m->aliases[i]), at->level);
	if (m->encrypted) {
		findings_encrypted(&w->f, part);
		return true;
	}
	w->f.decoded_octets += m->octets.n;
	if (!m->broken)
		work_digest(w, m->octets, number);
	octets = m->octets;
	if (burst(w) && octets.n > w->engine_octets)
		octets.n = w->engine_octets;
	if (member_is_mail(m))
		work_read_file(w, octets, part, at->level, number);
	work_look_into(w, octets, part, at->level, number);
	return budget_time(&w->budget);
}

/* libmagic takes half a millisecond for what nobody knows; our own table has all that matters. */
static const char *const *types_for(struct work *w, struct mw_octets octets)
{
	const char *const *types = types_of(NULL, octets);

	if (strcmp(types[0], "dat") != 0 || w->types == NULL || w->magic_left == 0)
		return types;
	w->magic_left--;
	return types_of(w->types, octets);
}

static void take_end(struct work *w, enum container_end end, unsigned number)
{
	switch (end) {
	case CONTAINER_WHOLE:
	case CONTAINER_CUT: /* the budget knows */
		return;
	case CONTAINER_BROKEN: /* the engine has seen it raw; amavisd goes on likewise */
		w->f.archive_broken = true;
		findings_part_has(&w->f, number, PART_UNDECIPHERABLE);
		return;
	case CONTAINER_NO_MEMORY:
		w->no_memory = true;
		return;
	}
}

/* Of whole octets alone: from the first limit on, members may be cut where it was met. */
void work_digest(struct work *w, struct mw_octets octets, unsigned number)
{
	unsigned char digest[MW_SHA256_OCTETS];

	if (number == FINDINGS_ROOT || !w->digests || octets.n > w->digest_octets ||
		w->budget.met != 0)
		return;
	w->digest_octets -= octets.n;
	if (mw_sha256(octets.p, octets.n, digest))
		findings_part_digest(&w->f, number, digest);
}

/* A reader that says "damaged" may have been refused the memory that the octets ask for. */
static void open_container(
	struct work *w, const struct container *c, struct place *at, struct container_job *job)
{
	uint64_t refused = scarcity_refusals();
	enum container_end end;

	if (!budget_level(&w->budget, at->level))
		return;
	end = c->open(job);
	if (end == CONTAINER_BROKEN && scarcity_refusals() != refused) {
		budget_no_memory(&w->budget);
		w->worn = true;
	}
	take_end(w, end, at->number);
}

/*
 * What any container's reader gets out of octets, then they themselves as a whole: the engine
 * unpacks them, too, and by then it is known whether they are a bomb. level: of the octets.
 */
void work_look_into(
	struct work *w, struct mw_octets octets, const char *part, unsigned level, unsigned number)
{
	struct place at = { w, part, level + 1, number };
	struct container_job job = { .octets = octets,
		.name = last_name(part),
		.budget = &w->budget,
		.passwords = &w->passwords,
		.got = take_member,
		.arg = &at,
		.marks = &w->f.content,
		.ambiguous_r = &w->f.archive_ambiguous };

	if (number != FINDINGS_ROOT)
		findings_part_is(&w->f, number, types_for(w, octets), octets.n);
	leaves_add(&w->leaves, part, octets);
	for (const struct container *const *c = container_rows; *c != NULL; c++)
		if ((*c)->knows(octets))
			open_container(w, *c, &at, &job);
	scan(w, octets, part);
}

bool work_scratch_for(struct work *w, size_t n)
{
	unsigned char *p;

	if (n <= w->scratch_cap)
		return true;
	p = realloc(w->scratch, n);
	if (p == NULL) {
		w->no_memory = true;
		return false;
	}
	w->scratch = p;
	w->scratch_cap = n;
	return true;
}

/* ------------------------------------------------------------------ one job */

static void begin(struct work *w, struct mw_octets message, const struct scan_order *order,
	uint64_t deadline_ms)
{
	budget_open(&w->budget, &w->conf->budget, message.n, deadline_ms);
	findings_begin(&w->f);
	w->f.tell_parts = order->parts || order->digests;
	w->virus = order->virus;
	w->digests = order->digests;
	w->digest_octets = DIGEST_OCTETS;
	w->leaves.left = w->conf->quota;
	w->leaves.cut = false;
	w->magic_left = order->parts ? MAGIC_MAX : 0;
	w->odd = w->failed = w->no_memory = w->worn = false;
	w->why[0] = '\0';
	w->virus_us = w->burst_us = 0;
	w->engine_octets = w->budget.octets < UINT64_MAX / ENGINE_TIMES
				   ? ENGINE_TIMES * w->budget.octets
				   : UINT64_MAX;
	passwords_begin(&w->passwords, message,
		mw_octets_of(w->conf->passwords, w->conf->passwords_octets),
		(unsigned)w->conf->passwords_max);
}

static enum mw_status judge(const struct work *w, char reason[MW_REASON_MAX])
{
	reason[0] = '\0';
	if (w->no_memory && w->f.virus_count == 0) {
		mw_strlcpy(reason, "no_memory", MW_REASON_MAX);
		return MW_FAILED;
	}
	if (w->failed && w->f.virus_count == 0 && w->leaves.fd < 0) {
		snprintf(reason, MW_REASON_MAX, "engine: %s", w->why);
		return MW_FAILED;
	}
	if (w->failed || w->no_memory || w->budget.met != 0) {
		if (w->why[0] != '\0')
			snprintf(reason, MW_REASON_MAX, "engine: %s", w->why);
		return MW_LIMIT;
	}
	return MW_DONE;
}

enum mw_status work_run(struct work *w, struct mw_octets message, const struct scan_order *order,
	uint64_t deadline_ms, struct mw_pack *b, char reason[MW_REASON_MAX], bool *worn_r)
{
	uint64_t from = mw_mono_us();
	enum mw_status status;
	unsigned limits;

	begin(w, message, order, deadline_ms);
	if (order->decode)
		work_read_message(w, message, NULL, "", 0, FINDINGS_ROOT);
	w->f.archive_password = w->passwords.opened;
	w->f.ambiguous = w->f.ambiguous || w->f.archive_ambiguous;
	/* A part that is not told cannot be banned: nobody may take the list for whole. */
	if (w->f.parts_cut && order->parts)
		w->budget.met |= MW_BIT(SCAN_LIMIT_PARTS);
	if (w->leaves.cut)
		w->budget.met |= MW_BIT(SCAN_LIMIT_OCTETS);
	/* Our leaves stand for libclamav's own mail parser, ten times as slow, unless the mail is
	 * one that others may read in another way. */
	scan_raw(w, message,
		w->conf->mail_parser || w->conf->scan_mode == SCAN_MESSAGE || !order->decode ||
			w->odd || w->f.ambiguous ||
			(w->f.mime_errors & ~MW_BIT(MIME_EXTERNAL)) != 0);
	w->f.virus_us = w->virus_us;
	w->f.decode_us = mw_mono_us() - from - w->virus_us;
	status = judge(w, reason);
	*worn_r = w->worn || w->no_memory;
	limits = w->budget.met | (w->failed || w->no_memory ? MW_BIT(SCAN_LIMIT_ENGINE) : 0);
	findings_encode(&w->f, limits, w->av, b);
	if (w->scratch_cap > SCRATCH_KEEP) {
		free(w->scratch);
		w->scratch = NULL;
		w->scratch_cap = 0;
	}
	return status;
}
