/*
 * Documents in compound files: Word, Excel, PowerPoint, Outlook's messages, installers. Every
 * stream is a member; what is known to hold a file besides is opened:
 *
 *   \1Ole10Native            a packager's file                           [MS-OLEDS] 2.3.6
 *   __substg1.0_37010102     an attachment, its names beside it          [MS-OXMSG] 2.2.2
 *   __substg1.0_10090102     compressed RTF                              [MS-OXRTFCP]
 *   PowerPoint Document      OLE objects, deflated                       [MS-PPT] 2.10.34
 *   Workbook, WordDocument   are told encrypted, or to have macros       [MS-XLS], [MS-DOC]
 *   EncryptedPackage         with a password that fits: the document     [MS-OFFCRYPTO]
 */
#include "cfb.h"
#include "office_crypt.h"

struct doc {
	const struct container_job *job;
	struct cfb cfb;
	struct doc_buf stream; /* of the one at hand */
	uint32_t entry;
	char path[CONTAINER_NAME_MAX];
};

static enum container_end give(
	struct doc *d, const char *name, const char *also, struct mw_octets charged)
{
	const struct container_member m = { .name = name, .aliases = { also }, .octets = charged };

	return doc_give(d->job, &m);
}

/* ------------------------------------------------------------------ Outlook's messages */

/* Properties that have an attachment's name, the likeliest first: Outlook takes the long one,
 * others the one that is shown, or the short one ([MS-OXMSG] section 2.2.2, [MS-OXPROPS]). */
static const char *const name_properties[] = {
	"__substg1.0_3707001F", "__substg1.0_3707001E", /* long, as UTF-16 and in octets */
	"__substg1.0_3704001F", "__substg1.0_3704001E", /* short */
	"__substg1.0_3001001F", "__substg1.0_3001001E", /* shown */
	"__substg1.0_370C001F", "__substg1.0_370C001E", /* on its way */
};

/* Which of them a stream is; their count: none. */
static unsigned name_property(const struct doc *d, uint32_t entry)
{
	unsigned i = 0;

	if (cfb_name16(&d->cfb, entry).n < 40 || cfb_kind(&d->cfb, entry) != CFB_STREAM)
		return MW_COUNT(name_properties);
	while (i < MW_COUNT(name_properties) && !cfb_is_named(&d->cfb, entry, name_properties[i]))
		i++;
	return i;
}

/* All names that stand beside the stream at hand. BROKEN: some have no room. */
static enum container_end take_names(struct doc *d, struct doc_names *names)
{
	uint32_t parent = d->cfb.parents[d->entry];
	enum container_end end = CONTAINER_WHOLE;
	char name[CONTAINER_NAME_MAX];
	struct doc_buf buf = { 0 };
	struct mw_octets o;

	for (uint32_t e = 1; e < d->cfb.entries && !doc_stops(end); e++) {
		unsigned which = d->cfb.parents[e] == parent ? name_property(d, e)
							     : MW_COUNT(name_properties);

		if (which == MW_COUNT(name_properties))
			continue;
		end = doc_worse(end, cfb_stream(&d->cfb, e, &buf, &o));
		if (doc_stops(end))
			break;
		(which % 2 == 0 ? doc_name16 : doc_name8)(name, o);
		if (!doc_names_add(names, which, name))
			end = CONTAINER_BROKEN;
	}
	doc_free(&buf);
	return end;
}

static enum container_end open_attachment(struct doc *d, struct mw_octets o)
{
	struct container_member m = { .octets = o };
	struct doc_names names = { 0 };
	enum container_end end = take_names(d, &names);

	if (doc_stops(end))
		return end;
	doc_names_tell(&names, &m);
	if (names.n == 0)
		m.name = d->path;
	return doc_worse(end, doc_give(d->job, &m));
}

static enum container_end open_rtf(struct doc *d, struct mw_octets o)
{
	struct doc_buf rtf = { 0 };
	enum container_end end = doc_lzfu(d->job->budget, o, &rtf);

	if (rtf.n != 0 && end != CONTAINER_NO_MEMORY)
		end = doc_worse(end, give(d, "body.rtf", NULL, doc_octets(&rtf)));
	doc_free(&rtf);
	return end;
}

#define PROPERTY_SMALL 4096 /* octets; a larger one may be anything */

/*
 * A message of a hundred recipients has thousands of short properties: subjects, addresses, dates.
 * They are no files, and no reason to call the message too large to look into.
 */
static bool is_small_property(const struct doc *d, size_t n)
{
	static const char *const bodies[] = { "1000", "1013" }; /* text, HTML */
	char name[CONTAINER_NAME_MAX];

	if (n >= PROPERTY_SMALL)
		return false;
	cfb_name(&d->cfb, d->entry, name);
	if (strcmp(name, "__properties_version1.0") == 0)
		return true;
	if (strncmp(name, "__substg1.0_", 12) != 0)
		return false;
	for (size_t i = 0; i < MW_COUNT(bodies); i++)
		if (strncmp(name + 12, bodies[i], 4) == 0)
			return false;
	return true;
}

/* ------------------------------------------------------------------ office documents */

static enum container_end open_native(struct doc *d, struct mw_octets o)
{
	enum container_end end = give(d, d->path, NULL, o);
	enum container_end package;

	if (end != CONTAINER_WHOLE)
		return end;
	package = doc_give_package(d->job, o, true);
	/* Another program's data behind its size: not a file of the packager's. */
	return doc_stops(package) ? package : CONTAINER_WHOLE;
}

#define PPT_RECORD 8	  /* octets of a record's head */
#define PPT_OBJECT 0x1011 /* RT_ExternalOleObjectStg: a compound file, the macros among them */
#define PPT_DEFLATED 1	  /* recInstance */
#define PPT_BOX 0xf	  /* recVer of a record that holds records */

static enum container_end open_ppt_object(struct doc *d, unsigned instance, struct mw_octets o)
{
	struct doc_buf object = { 0 };
	enum container_end end;

	if (instance != PPT_DEFLATED)
		return doc_give_range(d->job, "object", NULL, o);
	end = doc_inflate(d->job->budget, doc_from(o, 4), 15, &object);
	if (object.n != 0 && end != CONTAINER_NO_MEMORY)
		end = doc_worse(end, give(d, "object", NULL, doc_octets(&object)));
	doc_free(&object);
	return end;
}

static enum container_end open_ppt(struct doc *d, struct mw_octets o)
{
	enum container_end end = give(d, d->path, NULL, o), one;
	size_t at = 0;

	while (at + PPT_RECORD <= o.n && !doc_stops(end)) {
		unsigned first = doc_u16(o, at), type = doc_u16(o, at + 2);
		size_t n = doc_u32(o, at + 4);

		at += PPT_RECORD;
		if (type == PPT_OBJECT) {
			one = open_ppt_object(d, first >> 4, doc_range(o, at, n));
			end = doc_worse(end, one);
		}
		if ((first & 0xf) != PPT_BOX)
			at += n;
	}
	return end;
}

static enum container_end give_encrypted(struct doc *d)
{
	const struct container_member m = { .name = d->path, .encrypted = true };

	container_has(d->job, CONTAINER_ENCRYPTED);
	return doc_give(d->job, &m);
}

/* What is encrypted stands among what is not: the octets are given out, too. */
static enum container_end give_sealed(struct doc *d, struct mw_octets o, bool encrypted)
{
	enum container_end end = give(d, d->path, NULL, o);

	return encrypted && end == CONTAINER_WHOLE ? give_encrypted(d) : end;
}

#define BIFF_FILEPASS 0x2f
#define BIFF_SHEET 0x85
#define BIFF_SHEET_MACROS 1 /* a sheet of Excel 4.0 macros */

static enum container_end open_workbook(struct doc *d, struct mw_octets o)
{
	bool encrypted = false;

	for (size_t at = 0; at + 4 <= o.n; at += 4 + (size_t)doc_u16(o, at + 2)) {
		encrypted = encrypted || doc_u16(o, at) == BIFF_FILEPASS;
		if (doc_u16(o, at) == BIFF_SHEET && doc_u8(o, at + 9) == BIFF_SHEET_MACROS)
			container_has(d->job, CONTAINER_MACROS);
	}
	return give_sealed(d, o, encrypted);
}

#define USER_TOKEN 12 /* offset in the CurrentUserAtom, [MS-PPT] 2.3.2 */
#define USER_ENCRYPTED 0xf3d1c4df

/* It says whether the presentation beside it is encrypted. */
static enum container_end open_user(struct doc *d, struct mw_octets o)
{
	return give_sealed(d, o, doc_u32(o, USER_TOKEN) == USER_ENCRYPTED);
}

#define FIB_FLAGS 10
#define FIB_ENCRYPTED 0x0100

static enum container_end open_word(struct doc *d, struct mw_octets o)
{
	return give_sealed(d, o, (doc_u16(o, FIB_FLAGS) & FIB_ENCRYPTED) != 0);
}

static enum container_end open_vba(struct doc *d, struct mw_octets o)
{
	container_has(d->job, CONTAINER_MACROS);
	return give(d, d->path, NULL, o);
}

/* The stream of that name beside the one at hand: the first; *count_r: how many there are, of which
 * readers see one or the other. NO_MEMORY, CUT, or *o_r has what there is. */
static enum container_end beside(struct doc *d, const char *name, struct doc_buf *buf,
	struct mw_octets *o_r, unsigned *count_r)
{
	uint32_t parent = d->cfb.parents[d->entry];
	enum container_end end = CONTAINER_WHOLE;

	*o_r = mw_octets_of(NULL, 0);
	*count_r = 0;
	for (uint32_t e = 1; e < d->cfb.entries; e++)
		if (d->cfb.parents[e] == parent && cfb_kind(&d->cfb, e) == CFB_STREAM &&
			cfb_is_named(&d->cfb, e, name) && (*count_r)++ == 0)
			end = cfb_stream(&d->cfb, e, buf, o_r);
	return end;
}

/* It is a zip, or something was made up so that it opens. */
static enum container_end give_opened(struct doc *d, struct mw_octets package, bool sure)
{
	enum container_end end = give(d, d->path, NULL, package);

	if (sure && doc_starts(package, "PK", 2))
		return end;
	return doc_stops(end) ? end : doc_worse(end, give_encrypted(d));
}

/* A document whose octets open with a password only ([MS-OFFCRYPTO] 2.3.4.4). */
static enum container_end open_encrypted(struct doc *d, struct mw_octets o)
{
	struct doc_buf buf = { 0 }, plain = { 0 };
	unsigned infos;
	struct mw_octets info;
	enum container_end end = beside(d, "EncryptionInfo", &buf, &info, &infos);
	enum office_crypt got = OFFICE_LOCKED;

	if (!doc_stops(end))
		got = office_decrypt(info, o, d->job->passwords, d->job->budget, &plain);
	switch (got) {
	case OFFICE_OPEN:
		container_has(d->job, CONTAINER_ENCRYPTED);
		/* fall through */
	case OFFICE_SHOWN:
		end = give_opened(d, doc_octets(&plain), infos == 1);
		break;
	case OFFICE_LOCKED:
		end = doc_stops(end) ? end : give_encrypted(d);
		break;
	case OFFICE_CUT:
		end = CONTAINER_CUT;
		break;
	default:
		end = CONTAINER_NO_MEMORY;
	}
	doc_free(&buf);
	doc_free(&plain);
	return end;
}

static const struct special {
	const char *name;
	enum container_end (*open)(struct doc *d, struct mw_octets o);
} specials[] = {
	{ "\1Ole10Native", open_native },
	{ "__substg1.0_37010102", open_attachment },
	{ "__substg1.0_10090102", open_rtf },
	{ "PowerPoint Document", open_ppt },
	{ "Current User", open_user },
	{ "Workbook", open_workbook },
	{ "Book", open_workbook },
	{ "WordDocument", open_word },
	{ "_VBA_PROJECT", open_vba },
	{ "EncryptedPackage", open_encrypted },
};

/* ------------------------------------------------------------------ the row */

static enum container_end open_entry(struct doc *d)
{
	const struct special *special = NULL;
	struct mw_octets o;
	enum container_end end = cfb_stream(&d->cfb, d->entry, &d->stream, &o), one;

	if (doc_stops(end))
		return end;
	if (o.n == 0)
		return end;
	cfb_path(&d->cfb, d->entry, d->path);
	for (size_t i = 0; i < MW_COUNT(specials) && special == NULL; i++)
		if (cfb_is_named(&d->cfb, d->entry, specials[i].name))
			special = &specials[i];
	if (special == NULL && is_small_property(d, o.n))
		return end;
	one = special != NULL ? special->open(d, o) : give(d, d->path, NULL, o);
	return doc_worse(end, one);
}

/* In the directory's order, so that what the tree does not lead to is seen, too. */
static enum container_end open_entries(struct doc *d)
{
	enum container_end end = d->cfb.broken ? CONTAINER_BROKEN : CONTAINER_WHOLE;

	for (d->entry = 1; d->entry < d->cfb.entries && !doc_stops(end); d->entry++) {
		if (!budget_time(d->job->budget))
			return CONTAINER_CUT;
		if (cfb_kind(&d->cfb, d->entry) == CFB_STREAM)
			end = doc_worse(end, open_entry(d));
		else if (cfb_is_named(&d->cfb, d->entry, "VBA"))
			container_has(d->job, CONTAINER_MACROS);
	}
	return end;
}

static bool knows(struct mw_octets octets)
{
	return doc_starts(octets, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8);
}

static enum container_end open_cfb(const struct container_job *job)
{
	struct doc d = { .job = job };
	enum container_end end = cfb_open(&d.cfb, job->octets, job->budget);

	if (end == CONTAINER_WHOLE)
		end = open_entries(&d);
	doc_free(&d.stream);
	cfb_close(&d.cfb);
	return end;
}

const struct container container_cfb = { "cfb", knows, open_cfb };
