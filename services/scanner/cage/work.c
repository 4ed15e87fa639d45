#include <stdio.h>
#include <stdlib.h>

#include "decode.h"
#include "log.h"
#include "unpack.h"
#include "work.h"

#define SCRATCH_KEEP (1u << 20) /* octets of decoding memory kept between mails */

struct leaf {
	struct mw_octets body;
	enum mime_encoding encoding;
};

struct work {
	const struct scan_conf *conf;
	struct av *av;
	/* of the message at hand */
	struct budget budget;
	struct findings f;
	bool virus, odd, failed, no_memory, worn;
	char why[AV_WHY_MAX]; /* first thing that the engine did not do */
	uint64_t virus_us;
	struct mime mime;
	struct leaf *seen; /* of the first reading */
	size_t seen_count, seen_cap;
	/* decoded leaf; one at a time, because leaves do not nest */
	unsigned char *scratch;
	size_t scratch_cap;
};

struct work *work_new(const struct scan_conf *conf, struct av *av)
{
	struct work *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->conf = conf;
	w->av = av;
	return w;
}

void work_destroy(struct work **w_p)
{
	struct work *w = *w_p;

	*w_p = NULL;
	if (w == NULL)
		return;
	free(w->scratch);
	free(w->seen);
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
		w->budget.met |= MW_BIT(r->end == AV_TIME ? SCAN_LIMIT_TIME : SCAN_LIMIT_ENGINE);
}

static void scan(struct work *w, struct mw_octets octets, const char *part, bool mail)
{
	struct av_result r;
	uint64_t from;

	if (!w->virus || octets.n == 0 || !budget_time(&w->budget))
		return;
	from = mw_mono_us();
	av_scan(w->av, octets, mail, w->conf->quota, budget_ms_left(&w->budget), &r);
	w->virus_us += mw_mono_us() - from;
	take_result(w, &r, part);
}

/* ------------------------------------------------------------------ leaves and what is inside them
 */

static void look_into(struct work *w, struct mw_octets octets, const char *part, unsigned level);

/* Append one step to a path, cut where it does not fit. */
static void path_add(char path[SCAN_PATH_MAX], const char *step)
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
};

static bool take_member(void *arg, const struct unpack_member *m)
{
	struct place *at = arg;
	struct work *w = at->w;
	const char *slash = strrchr(m->name, '/');
	char part[SCAN_PATH_MAX];

	mw_strlcpy(part, at->part, sizeof(part));
	path_add(part, m->name);
	w->f.parts++;
	findings_name(&w->f, slash != NULL && slash[1] != '\0' ? slash + 1 : m->name, at->level);
	if (m->encrypted) {
		findings_encrypted(&w->f, part);
		return true;
	}
	w->f.decoded_octets += m->octets.n;
	look_into(w, m->octets, part, at->level);
	return budget_time(&w->budget);
}

/* Scan octets as a whole, then what libarchive can get out of them. level: of the members. */
static void look_into(struct work *w, struct mw_octets octets, const char *part, unsigned level)
{
	const struct unpack_kind *kind = unpack_kind_of(octets);
	struct place at = { w, part, level + 1 };

	scan(w, octets, part, false);
	if (kind == NULL || !budget_level(&w->budget, at.level))
		return;
	switch (unpack(octets, kind, &w->budget, take_member, &at)) {
	case UNPACK_WHOLE:
	case UNPACK_CUT: /* the budget knows */
		return;
	case UNPACK_BROKEN: /* the engine has seen it raw; amavisd goes on likewise */
		w->f.archive_broken = true;
		return;
	case UNPACK_NO_MEMORY:
		w->no_memory = true;
		return;
	}
}

static bool scratch_for(struct work *w, size_t n)
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

/* ------------------------------------------------------------------ readings of the message */

static void read_message(
	struct work *w, struct mw_octets message, const char *prefix, unsigned level);

/* An encoded message/rfc822 (forbidden, and sent all the same): decoded, it is read as a message of
 * its own. */
static bool is_encoded_message(const struct mime_entity *e)
{
	return strncmp(e->type, "message/", 8) == 0 && strcmp(e->type, "message/partial") != 0 &&
	       strcmp(e->type, "message/external-body") != 0 && e->encoding != MIME_IDENTITY;
}

static void part_name(char part[SCAN_PATH_MAX], const char *prefix, const struct mime_entity *e)
{
	mw_strlcpy(part, prefix, SCAN_PATH_MAX);
	path_add(part, e->path);
	path_add(part, e->name);
}

static void take_leaf(struct work *w, const struct mime_entity *e, const char *part, unsigned level)
{
	struct mw_octets octets = e->body;
	unsigned char *own = NULL;

	if (e->encoding == MIME_BASE64 || e->encoding == MIME_QUOTED) {
		if (!budget_octets(&w->budget, e->body.n) || !scratch_for(w, e->body.n))
			return;
		octets = mw_octets_of(w->scratch, mime_decode(e->encoding, e->body, w->scratch));
	} else if (e->encoding == MIME_OTHER || (e->type[0] == 't' && mime_has_uuencode(e->body))) {
		w->odd = true;
	}
	w->f.decoded_octets += octets.n;
	if (is_encoded_message(e) && budget_level(&w->budget, level + 1)) {
		own = w->scratch; /* the message inside decodes into memory of its own */
		w->scratch = NULL;
		w->scratch_cap = 0;
		read_message(w, octets, part, level + 1);
	}
	look_into(w, octets, part, level);
	free(own);
}

/* True when the first reading of the message itself had this very leaf. */
static bool seen_already(struct work *w, const struct mime_entity *e, bool first)
{
	struct leaf *bigger;

	if (!first) {
		for (size_t i = 0; i < w->seen_count; i++)
			if (w->seen[i].body.p == e->body.p && w->seen[i].body.n == e->body.n &&
				w->seen[i].encoding == e->encoding)
				return true;
		return false;
	}
	if (w->seen_count == w->seen_cap) {
		bigger = realloc(w->seen, (w->seen_cap + 64) * sizeof(*bigger));
		if (bigger == NULL)
			return false; /* then it is scanned twice */
		w->seen = bigger;
		w->seen_cap += 64;
	}
	w->seen[w->seen_count++] = (struct leaf){ e->body, e->encoding };
	return false;
}

static void read_once(
	struct work *w, struct mime *m, const char *prefix, unsigned level, bool first)
{
	struct mime_entity e;
	char part[SCAN_PATH_MAX];

	while (budget_time(&w->budget) && mime_next(m, &e)) {
		if (!budget_file(&w->budget))
			break;
		if (e.leaf && m == &w->mime && seen_already(w, &e, first))
			continue;
		if (first) {
			w->f.parts++;
			findings_name(&w->f, e.name, level + e.depth);
		}
		part_name(part, prefix, &e);
		if (e.leaf)
			take_leaf(w, &e, part, level + e.depth);
	}
	w->f.mime_errors |= m->errors;
	w->f.ambiguous = w->f.ambiguous || m->ambiguous;
	if (m->met & MIME_MET_DEPTH)
		w->budget.met |= MW_BIT(SCAN_LIMIT_DEPTH);
	if (m->met & MIME_MET_PARTS)
		w->budget.met |= MW_BIT(SCAN_LIMIT_PARTS);
}

/* A message inside needs a parser of its own while the outer one waits. */
static struct mime *parser_for(struct work *w, unsigned level)
{
	struct mime *m = level == 0 ? &w->mime : malloc(sizeof(*m));

	w->no_memory = w->no_memory || m == NULL;
	return m;
}

static void read_message(
	struct work *w, struct mw_octets message, const char *prefix, unsigned level)
{
	struct mime_limits limits = {
		.depth = w->budget.levels - (level < w->budget.levels ? level : w->budget.levels),
		.parts = (unsigned)w->conf->budget.max_files
	};
	struct mime *m = parser_for(w, level);

	if (m == NULL)
		return;
	if (level == 0)
		w->seen_count = 0;
	mime_open(m, message, &limits, MIME_FIRST);
	read_once(w, m, prefix, level, true);
	if (m->ambiguous || (m->errors & MIME_REREAD) != 0) {
		mime_open(m, message, &limits, MIME_LAST);
		read_once(w, m, prefix, level, false);
	}
	if (m != &w->mime)
		free(m);
}

/* ------------------------------------------------------------------ one job */

static void begin(struct work *w, struct mw_octets message, bool virus, uint64_t deadline_ms)
{
	budget_open(&w->budget, &w->conf->budget, message.n, deadline_ms);
	findings_begin(&w->f);
	w->virus = virus;
	w->odd = w->failed = w->no_memory = w->worn = false;
	w->why[0] = '\0';
	w->virus_us = 0;
}

static enum mw_status judge(const struct work *w, char reason[MW_REASON_MAX])
{
	reason[0] = '\0';
	if (w->no_memory && w->f.virus_count == 0) {
		mw_strlcpy(reason, "no_memory", MW_REASON_MAX);
		return MW_FAILED;
	}
	if (w->failed && w->f.virus_count == 0) {
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

enum mw_status work_run(struct work *w, struct mw_octets message, bool virus, bool decode,
	uint64_t deadline_ms, struct mw_pack *b, char reason[MW_REASON_MAX], bool *worn_r)
{
	uint64_t from = mw_mono_us();
	enum mw_status status;
	unsigned limits;

	begin(w, message, virus, deadline_ms);
	if (decode)
		read_message(w, message, "", 0);
	/* Our leaves stand for libclamav's own mail parser, ten times as slow, unless the mail is
	 * one that others may read in another way. */
	scan(w, message, "message",
		w->conf->mail_parser || !decode || w->odd || w->f.mime_errors != 0 ||
			w->f.ambiguous);
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
