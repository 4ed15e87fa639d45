#include "arj.h"
#include "inflate.h"
#include "zip_head.h"

/* ARJ's technote.txt, "ARJ archive structure". Numbers have their lowest octet first. */
#define MAGIC "\x60\xea"
#define HEADER_MOST 2600
#define HEADER_LEAST 30
enum { GARBLED = 1, CONTINUES = 4, CONTINUED = 8 };
enum { TYPE_MAIN = 2, TYPE_DIRECTORY = 3, TYPE_LABEL = 4 };

struct head {
	size_t end; /* the member's octets begin there; 0: the end of the archive */
	unsigned flags, method, type;
	uint32_t packed, size, crc;
	struct mw_octets name;
};

/* False: there is no header at that place, or not the whole of it. */
static bool read_head(struct mw_octets o, size_t at, struct head *h_r)
{
	struct head h = { 0 };
	struct mw_octets basic;
	size_t n, first, end;

	if (at > o.n || o.n - at < 4 || memcmp(o.p + at, MAGIC, 2) != 0)
		return false;
	n = zip_16(o.p + at + 2);
	*h_r = h;
	if (n == 0) {
		h_r->end = at + 4;
		h_r->type = UINT8_MAX;
		return true;
	}
	if (n > HEADER_MOST || n < HEADER_LEAST || o.n - at < 4 + n + 6)
		return false;
	basic = mw_octets_of(o.p + at + 4, n);
	if (inflate_crc32(basic) != zip_32(basic.p + n))
		return false;
	first = basic.p[0];
	if (first < HEADER_LEAST || first >= n)
		return false;
	h.flags = basic.p[4];
	h.method = basic.p[5];
	h.type = basic.p[6];
	h.packed = zip_32(basic.p + 12);
	h.size = zip_32(basic.p + 16);
	h.crc = zip_32(basic.p + 20);
	h.name = mw_octets_of(basic.p + first, strnlen((const char *)basic.p + first, n - first));
	end = at + 4 + n + 4;
	while (zip_16(o.p + end) != 0) { /* extended headers, each with its CRC */
		size_t more = zip_16(o.p + end) + 6u;

		if (o.n - end < more + 2)
			return false;
		end += more;
	}
	h.end = end + 2;
	*h_r = h;
	return true;
}

static enum container_end member_octets(const struct container_job *job, const struct head *h,
	struct grow *g, struct mw_octets *out_r)
{
	struct mw_octets o = job->octets, packed;
	enum container_end end;

	packed = mw_octets_of(o.p + h->end, h->packed < o.n - h->end ? h->packed : o.n - h->end);
	if (h->method == ARJ_STORED) { /* no copy, but as dear as one */
		out_r->p = packed.p;
		out_r->n = packed.n <= job->budget->octets ? packed.n : (size_t)job->budget->octets;
		end = budget_octets(job->budget, packed.n) ? CONTAINER_WHOLE : CONTAINER_CUT;
	} else {
		end = arj_decode(h->method, packed, h->size, job->budget, g);
		*out_r = mw_octets_of(g->p, g->n);
	}
	if (end == CONTAINER_WHOLE && (packed.n < h->packed || inflate_crc32(*out_r) != h->crc))
		end = CONTAINER_BROKEN;
	return end;
}

static enum container_end give(
	const struct container_job *job, const struct head *h, struct grow *g)
{
	char name[CONTAINER_NAME_MAX];
	struct container_member m = { .name = name, .encrypted = (h->flags & GARBLED) != 0 };
	enum container_end end = CONTAINER_WHOLE;

	container_name(name, (const char *)h->name.p, h->name.n);
	if (h->type == TYPE_DIRECTORY || h->type == TYPE_LABEL) {
		m.kind = h->type == TYPE_DIRECTORY ? 'D' : 'S';
		return job->got(job->arg, &m) ? CONTAINER_WHOLE : CONTAINER_CUT;
	}
	if (!budget_file(job->budget))
		return CONTAINER_CUT;
	if (!m.encrypted)
		end = member_octets(job, h, g, &m.octets);
	if (end == CONTAINER_NO_MEMORY)
		return end;
	m.broken = end == CONTAINER_BROKEN || (h->flags & (CONTINUES | CONTINUED)) != 0;
	return job->got(job->arg, &m) ? end : CONTAINER_CUT;
}

static bool knows(struct mw_octets o)
{
	struct head h;

	return read_head(o, 0, &h) && h.type == TYPE_MAIN;
}

static enum container_end give_all(const struct container_job *job, struct grow *g, size_t *at)
{
	enum container_end all = CONTAINER_WHOLE, end;
	struct head h;

	while (read_head(job->octets, *at, &h)) {
		bool has_octets = h.type < TYPE_DIRECTORY && h.type != TYPE_MAIN;

		*at = h.end;
		if (h.type == UINT8_MAX)
			return all;
		if (h.type == TYPE_MAIN)
			continue;
		if (!budget_time(job->budget))
			return CONTAINER_CUT;
		end = give(job, &h, g);
		if (end == CONTAINER_CUT || end == CONTAINER_NO_MEMORY)
			return end;
		if (end == CONTAINER_BROKEN || (h.flags & (CONTINUES | CONTINUED)) != 0)
			all = CONTAINER_BROKEN;
		if (h.packed > job->octets.n - h.end)
			return CONTAINER_BROKEN;
		if (has_octets)
			*at += h.packed;
	}
	return CONTAINER_BROKEN; /* its end is missing */
}

static enum container_end open_arj(const struct container_job *job)
{
	struct container_member tail = { .name = "" };
	struct grow g = { 0 };
	size_t at = 0;
	enum container_end end = give_all(job, &g, &at);

	grow_fini(&g);
	tail.octets = mw_octets_of(job->octets.p + at, job->octets.n - at);
	if (end != CONTAINER_WHOLE || !container_is_tail(tail.octets))
		return end;
	if (!budget_file(job->budget) || !job->got(job->arg, &tail))
		return CONTAINER_CUT;
	return CONTAINER_WHOLE;
}

const struct container container_arj = { "arj", knows, open_arj };
