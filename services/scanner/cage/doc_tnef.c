/*
 * TNEF, "winmail.dat" ([MS-OXTNEF]): attachments with their names, messages and OLE objects in
 * them, and the body in all its forms.
 */
#include "doc.h"

#define MAGIC "\x78\x9f\x3e\x22"
#define HEAD 6	     /* signature, key */
#define ATTRIBUTE 9  /* level, number, length */
#define CHECK_SUM 2  /* behind each attribute */
#define OBJECT_ID 16 /* in front of an object: what kind it is */

enum {
	ATT_BODY = 0x0002800c,
	ATT_TITLE = 0x00018010,
	ATT_DATA = 0x0006800f,
	ATT_TRANSPORT = 0x00069001,  /* a name, too */
	ATT_RENDER = 0x00069002,     /* the first one of each attachment */
	ATT_MAPI = 0x00069003,	     /* properties of the message */
	ATT_ATTACHMENT = 0x00069005, /* properties of an attachment */
};

/* Numbers of properties, [MS-OXPROPS]. */
enum {
	PR_BODY = 0x1000,
	PR_RTF = 0x1009,
	PR_HTML = 0x1013,
	PR_DISPLAY_NAME = 0x3001,
	PR_DATA = 0x3701,
	PR_SHORT_NAME = 0x3704,
	PR_LONG_NAME = 0x3707,
	PR_TRANSPORT_NAME = 0x370c,
};

/* Which name an attachment is likely to be saved under: the least. */
enum { RANK_LONG, RANK_TITLE, RANK_SHORT, RANK_SHOWN, RANK_TRANSPORT };

#define DATAS_MAX 4 /* of one attachment; readers take one of them */

enum {
	PT_OBJECT = 0x0d,
	PT_STRING8 = 0x1e,
	PT_UNICODE = 0x1f,
	PT_BINARY = 0x102,
	PT_MULTIPLE = 0x1000,
};

struct tnef {
	const struct container_job *job;
	enum container_end end;
	/* of the attachment at hand */
	struct doc_names names;
	struct mw_octets datas[DATAS_MAX];
	unsigned data_count;
};

static void give(struct tnef *t, const char *name, struct mw_octets o)
{
	if (o.n != 0 && !doc_stops(t->end))
		t->end = doc_worse(t->end, doc_give_range(t->job, name, NULL, o));
}

static void give_datas(struct tnef *t)
{
	struct container_member m = { 0 };

	doc_names_tell(&t->names, &m);
	for (unsigned i = 0; i < t->data_count && !doc_stops(t->end); i++) {
		m.octets = t->datas[i];
		t->end = doc_worse(t->end, budget_octets(t->job->budget, m.octets.n)
						   ? doc_give(t->job, &m)
						   : CONTAINER_CUT);
	}
	t->data_count = 0;
}

/* The attachment that was gathered, when another one or the end comes. */
static void end_attachment(struct tnef *t)
{
	give_datas(t);
	t->names.n = 0;
}

static void take_data(struct tnef *t, struct mw_octets o)
{
	if (o.n == 0)
		return;
	if (t->data_count == DATAS_MAX) { /* names that come later are missing then */
		give_datas(t);
		t->end = doc_worse(t->end, CONTAINER_BROKEN);
	}
	t->datas[t->data_count++] = o;
}

static void take_name(struct tnef *t, unsigned rank, struct mw_octets o, bool wide)
{
	char name[CONTAINER_NAME_MAX];

	(wide ? doc_name16 : doc_name8)(name, o);
	if (!doc_names_add(&t->names, rank, name))
		t->end = doc_worse(t->end, CONTAINER_BROKEN); /* one of them is told by nobody */
}

/* ------------------------------------------------------------------ properties */

struct property {
	unsigned number, type;
	struct mw_octets value; /* each of several in turn */
};

static size_t padded(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

/* Octets of a value whose type says its size; 0: the size stands in front of it. */
static size_t fixed_size(unsigned type)
{
	switch (type) {
	case PT_OBJECT:
	case PT_STRING8:
	case PT_UNICODE:
	case PT_BINARY:
		return 0;
	case 0x05: /* floating point, dates, 64 bits */
	case 0x06:
	case 0x07:
	case 0x14:
	case 0x40:
		return 8;
	case 0x48: /* GUID */
		return 16;
	default:
		return 4;
	}
}

/* Skip the name of a property that has one besides its number. */
static size_t skip_name(struct mw_octets o, size_t at)
{
	at += 16;
	if (doc_u32(o, at) == 0)
		return at + 8;
	return at + 8 + padded(doc_u32(o, at + 4));
}

typedef void taker(struct tnef *t, const struct property *p);

/* Read the property at *at_p, and take each of its values: readers differ about which one counts
 * where one is due. False: there is none, or it is damaged. */
static bool take_property(struct tnef *t, struct mw_octets o, size_t *at_p, taker *take)
{
	struct property p;
	size_t at = *at_p, fixed;
	uint32_t values = 1;

	if (at + 4 > o.n)
		return false;
	p.type = doc_u16(o, at) & ~(unsigned)PT_MULTIPLE;
	p.number = doc_u16(o, at + 2);
	at += 4;
	if (p.number >= 0x8000)
		at = skip_name(o, at);
	fixed = fixed_size(p.type);
	if (fixed == 0 || (doc_u16(o, *at_p) & PT_MULTIPLE) != 0) {
		values = doc_u32(o, at);
		at += 4;
	}
	for (; values > 0 && at < o.n && !doc_stops(t->end); values--) {
		size_t n = fixed;

		if (fixed == 0) {
			n = doc_u32(o, at);
			at += 4;
		}
		p.value = doc_range(o, at, n);
		take(t, &p);
		at += padded(n);
	}
	*at_p = at;
	return values == 0 && at <= o.n;
}

static void give_rtf(struct tnef *t, struct mw_octets o)
{
	struct doc_buf rtf = { 0 };
	struct container_member m = { .name = "body.rtf" };

	t->end = doc_worse(t->end, doc_lzfu(t->job->budget, o, &rtf));
	m.octets = doc_octets(&rtf);
	if (m.octets.n != 0 && t->end != CONTAINER_NO_MEMORY)
		t->end = doc_worse(t->end, doc_give(t->job, &m));
	doc_free(&rtf);
}

static void take_attachment_property(struct tnef *t, const struct property *p)
{
	static const struct {
		unsigned number, rank;
	} names[] = { { PR_LONG_NAME, RANK_LONG }, { PR_SHORT_NAME, RANK_SHORT },
		{ PR_DISPLAY_NAME, RANK_SHOWN }, { PR_TRANSPORT_NAME, RANK_TRANSPORT } };

	for (size_t i = 0; i < MW_COUNT(names); i++)
		if (p->number == names[i].number)
			take_name(t, names[i].rank, p->value, p->type == PT_UNICODE);
	if (p->number == PR_DATA)
		take_data(t, p->type == PT_OBJECT ? doc_from(p->value, OBJECT_ID) : p->value);
}

static void take_message_property(struct tnef *t, const struct property *p)
{
	switch (p->number) {
	case PR_BODY:
		give(t, "body.txt", p->value);
		break;
	case PR_HTML:
		give(t, "body.html", p->value);
		break;
	case PR_RTF:
		give_rtf(t, p->value);
		break;
	default:
		break;
	}
}

static void take_properties(struct tnef *t, struct mw_octets o, taker *take)
{
	uint32_t count = doc_u32(o, 0);
	size_t at = 4;

	for (; count > 0 && !doc_stops(t->end); count--)
		if (!take_property(t, o, &at, take)) {
			t->end = doc_worse(t->end, CONTAINER_BROKEN);
			return;
		}
}

/* ------------------------------------------------------------------ attributes */

static void take_attribute(struct tnef *t, uint32_t number, struct mw_octets o)
{
	switch (number) {
	case ATT_BODY:
		give(t, "body.txt", o);
		break;
	case ATT_RENDER:
		end_attachment(t);
		break;
	case ATT_TITLE:
		take_name(t, RANK_TITLE, o, false);
		break;
	case ATT_TRANSPORT:
		take_name(t, RANK_TRANSPORT, o, false);
		break;
	case ATT_DATA:
		take_data(t, o);
		break;
	case ATT_MAPI:
		take_properties(t, o, take_message_property);
		break;
	case ATT_ATTACHMENT:
		take_properties(t, o, take_attachment_property);
		break;
	default:
		break;
	}
}

static bool knows(struct mw_octets octets)
{
	return doc_starts(octets, MAGIC, 4);
}

static enum container_end open_tnef(const struct container_job *job)
{
	struct mw_octets o = job->octets;
	struct tnef t = { .job = job };
	size_t at = HEAD;

	while (at + ATTRIBUTE <= o.n && !doc_stops(t.end)) {
		size_t n = doc_u32(o, at + 5);

		if (!budget_time(job->budget)) {
			t.end = CONTAINER_CUT;
			break;
		}
		take_attribute(&t, doc_u32(o, at + 1), doc_range(o, at + ATTRIBUTE, n));
		if (n > o.n - at - ATTRIBUTE && !doc_stops(t.end))
			t.end = CONTAINER_BROKEN; /* cut; what is there was taken */
		at += ATTRIBUTE + n + CHECK_SUM;
	}
	end_attachment(&t);
	return t.end;
}

const struct container container_tnef = { "tnef", knows, open_tnef };
