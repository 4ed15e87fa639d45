/* What the tests of the readers of documents share: octets put together piece by piece, a reader
 * run over them, and what came out as text: "name=content;name|also=content;". */
#ifndef TEST_DOC_HELP_H
#define TEST_DOC_HELP_H

#include "help.h"

#include "doc.h"

struct made {
	size_t n;
	unsigned char p[1 << 20];
};

static inline void put(struct made *m, const void *p, size_t n)
{
	assert_true(n <= sizeof(m->p) - m->n);
	memcpy(m->p + m->n, p, n);
	m->n += n;
}

static inline void put_text(struct made *m, const char *text)
{
	put(m, text, strlen(text));
}

static inline void put_zeros(struct made *m, size_t n)
{
	assert_true(n <= sizeof(m->p) - m->n);
	memset(m->p + m->n, 0, n);
	m->n += n;
}

static inline void put16(struct made *m, unsigned v)
{
	const unsigned char p[2] = { (unsigned char)v, (unsigned char)(v >> 8) };

	put(m, p, sizeof(p));
}

static inline void put32(struct made *m, uint32_t v)
{
	put16(m, v & 0xffff);
	put16(m, v >> 16);
}

static inline struct mw_octets made(const struct made *m)
{
	return mw_octets_of(m->p, m->n);
}

struct given {
	unsigned count, encrypted, marks, stop_after;
	size_t octets;
	char text[65536]; /* what was given out, cut where it does not fit */
};

static inline void given_add(struct given *g, const void *p, size_t n)
{
	size_t at = strlen(g->text), room = sizeof(g->text) - 1 - at;

	memcpy(g->text + at, p, n < room ? n : room);
	g->text[at + (n < room ? n : room)] = '\0';
	for (char *c = g->text + at; n > 0 && c < g->text + sizeof(g->text) - 1 && n-- > 0; c++)
		if (*c == '\0' && n > 0)
			*c = '.';
}

static inline bool given_got(void *arg, const struct container_member *m)
{
	struct given *g = arg;

	g->count++;
	g->encrypted += m->encrypted;
	g->octets += m->octets.n;
	assert_true(strlen(m->name) < CONTAINER_NAME_MAX);
	given_add(g, m->name, strlen(m->name));
	for (size_t i = 0; i < CONTAINER_ALIASES_MAX && m->aliases[i] != NULL; i++) {
		assert_true(strlen(m->aliases[i]) < CONTAINER_NAME_MAX);
		given_add(g, "|", 1);
		given_add(g, m->aliases[i], strlen(m->aliases[i]));
	}
	given_add(g, "=", 1);
	if (m->octets.n != 0)
		given_add(g, m->octets.p, m->octets.n);
	given_add(g, ";", 1);
	return g->stop_after == 0 || g->count < g->stop_after;
}

static inline struct budget wide(void)
{
	static const struct budget_conf conf = { 14, 1500, 10 << 20, 10 << 20, 5, 500 };
	struct budget b;

	budget_open(&b, &conf, 1000, mw_mono_ms() + 60000);
	b.by_ratio = false;
	return b;
}

/* On memory that ends where the octets end, so that a sanitizer sees one octet too many. */
static inline enum container_end read_with(
	const struct container *row, struct mw_octets o, struct budget *b, struct given *g)
{
	unsigned char *exact = malloc(o.n != 0 ? o.n : 1);
	enum container_end end = CONTAINER_BROKEN;
	struct container_job job = { .budget = b, .got = given_got, .arg = g, .marks = &g->marks };

	if (o.n != 0)
		memcpy(exact, o.p, o.n);
	memset(g, 0, offsetof(struct given, text) + 1);
	job.octets = mw_octets_of(exact, o.n);
	if (row->knows(job.octets))
		end = row->open(&job);
	free(exact);
	return end;
}

/* What a reader gives out when nothing hinders it. */
static inline const char *members(const struct container *row, struct mw_octets o)
{
	static struct given g;
	struct budget b = wide();

	read_with(row, o, &b, &g);
	return g.text;
}

/* ... is this; what: the case, told when it is not. */
static inline void assert_gives(
	const struct container *row, struct mw_octets o, const char *what, const char *want)
{
	const char *got = members(row, o);

	if (strcmp(got, want) != 0)
		fail_msg("%s: \"%s\", not \"%s\"", what, got, want);
}

/* Cut at every octet and with every octet altered: it ends, and gives no more than its budget. */
static inline void every_damage_ends(const struct container *row, struct mw_octets whole)
{
	static const unsigned char masks[] = { 0xff, 0x01, 0x80 };
	static struct given g;
	unsigned char *copy = malloc(whole.n);
	struct budget b;

	for (size_t n = 0; n < whole.n; n++) {
		b = wide();
		read_with(row, mw_octets_of(whole.p, n), &b, &g);
	}
	for (size_t at = 0; at < whole.n; at++)
		for (size_t m = 0; m < sizeof(masks); m++) {
			memcpy(copy, whole.p, whole.n);
			copy[at] ^= masks[m];
			b = wide();
			read_with(row, mw_octets_of(copy, whole.n), &b, &g);
			assert_true(g.octets <= 10 << 20);
		}
	free(copy);
}

/* The budget's last octet, file and millisecond: with one less it is cut, and says why. */
static inline void every_limit_is_told(const struct container *row, struct mw_octets o)
{
	static struct given g;
	struct budget all = wide(), b = all;
	uint64_t octets;
	unsigned files;

	assert_int_equal(read_with(row, o, &b, &g), CONTAINER_WHOLE);
	octets = all.octets - b.octets;
	files = all.files - b.files;
	b = all;
	b.octets = octets;
	b.files = files;
	assert_int_equal(read_with(row, o, &b, &g), CONTAINER_WHOLE);
	assert_int_equal(b.met, 0);
	b = all;
	b.octets = octets - 1;
	assert_int_equal(read_with(row, o, &b, &g), CONTAINER_CUT);
	assert_int_equal(b.met, MW_BIT(SCAN_LIMIT_OCTETS));
	b = all;
	b.files = files - 1;
	assert_int_equal(read_with(row, o, &b, &g), CONTAINER_CUT);
	assert_int_equal(b.met, MW_BIT(SCAN_LIMIT_PARTS));
	b = all;
	b.deadline_ms = 1;
	assert_int_equal(read_with(row, o, &b, &g), CONTAINER_CUT);
	assert_int_equal(b.met, MW_BIT(SCAN_LIMIT_TIME));
}

#endif
