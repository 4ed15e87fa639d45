#include <stdlib.h>

#include "findings.h"

void findings_begin(struct findings *f)
{
	f->virus_count = f->encrypted_count = f->name_count = 0;
	f->names_octets = 0;
	f->parts = f->decoded_octets = 0;
	f->mime_errors = f->content = 0;
	f->archive_broken = f->archive_ambiguous = f->archive_password = false;
	f->ambiguous = false;
	f->decode_us = f->virus_us = 0;
	f->tell_parts = f->parts_cut = false;
	f->part_count = 0;
	f->part_octets = 0;
}

static void copy_utf8(char *dst, size_t size, const char *src)
{
	scan_copy_utf8(dst, size, mw_octets_of_text(src));
}

void findings_virus(struct findings *f, const char *name, const char *part)
{
	/* The whole message is scanned besides its parts: a name is told once, with the part, which
	 * comes first. */
	for (unsigned i = 0; i < f->virus_count; i++)
		if (strcmp(f->viruses[i].name, name) == 0)
			return;
	if (f->virus_count == FINDINGS_VIRUSES_MAX)
		return;
	mw_strlcpy(f->viruses[f->virus_count].name, name, AV_NAME_MAX);
	copy_utf8(f->viruses[f->virus_count].part, SCAN_PATH_MAX, part);
	f->virus_count++;
}

void findings_encrypted(struct findings *f, const char *part)
{
	if (f->encrypted_count < FINDINGS_ENCRYPTED_MAX)
		copy_utf8(f->encrypted[f->encrypted_count++], SCAN_PATH_MAX, part);
}

void findings_name(struct findings *f, const char *name, unsigned depth)
{
	char clean[MIME_NAME_MAX];
	size_t n;

	if (name[0] == '\0' || f->name_count == FINDINGS_NAMES_MAX)
		return;
	copy_utf8(clean, sizeof(clean), name);
	n = strlen(clean) + 1;
	if (n > sizeof(f->names_text) - f->names_octets)
		return;
	memcpy(f->names_text + f->names_octets, clean, n);
	f->names[f->name_count].depth = depth;
	f->names[f->name_count++].at = (uint32_t)f->names_octets;
	f->names_octets += n;
}

/* ------------------------------------------------------------------ the tree of parts */

static bool part_add_text(struct findings *f, const char *text)
{
	size_t room = sizeof(f->part_text) - f->part_octets;

	if (strlen(text) + 1 > room)
		return false;
	copy_utf8(f->part_text + f->part_octets, room, text);
	f->part_octets += strlen(f->part_text + f->part_octets) + 1;
	return true;
}

unsigned findings_part(struct findings *f, unsigned parent, const char *placement, const char *type,
	const char *names, unsigned name_count)
{
	struct findings_part *p = &f->part[f->part_count];
	size_t at = f->part_octets;
	bool fits = f->part_count < FINDINGS_PARTS_MAX;

	if (!f->tell_parts)
		return FINDINGS_ROOT;
	fits = fits && part_add_text(f, placement) && part_add_text(f, type);
	for (unsigned i = 0; i < name_count && fits; i++, names += strlen(names) + 1)
		fits = part_add_text(f, names);
	if (!fits) {
		f->part_octets = at;
		f->parts_cut = true;
		return FINDINGS_ROOT;
	}
	*p = (struct findings_part){ .parent = parent, .at = (uint32_t)at, .names = name_count };
	return ++f->part_count;
}

void findings_part_is(struct findings *f, unsigned part, const char *const *types, uint64_t size)
{
	if (part == FINDINGS_ROOT)
		return;
	f->part[part - 1].types = types;
	f->part[part - 1].size = size;
}

void findings_part_digest(
	struct findings *f, unsigned part, const unsigned char digest[MW_SHA256_OCTETS])
{
	if (part == FINDINGS_ROOT)
		return;
	f->part[part - 1].has_digest = true;
	memcpy(f->part[part - 1].digest, digest, MW_SHA256_OCTETS);
}

void findings_part_same(struct findings *f, unsigned part, unsigned as)
{
	if (part == FINDINGS_ROOT || as == FINDINGS_ROOT)
		return;
	findings_part_is(f, part, f->part[as - 1].types, f->part[as - 1].size);
	if (f->part[as - 1].has_digest)
		findings_part_digest(f, part, f->part[as - 1].digest);
	f->part[part - 1].attributes |= f->part[as - 1].attributes;
}

void findings_part_has(struct findings *f, unsigned part, enum part_attribute attribute)
{
	if (part != FINDINGS_ROOT)
		f->part[part - 1].attributes |= MW_BIT(attribute);
}

static const char *pack_text_at(const char *text, struct mw_pack *b)
{
	mw_pack_text(b, text);
	return text + strlen(text) + 1;
}

/* Names come first: a digest is told as long as there is room that no text has taken. */
static void pack_digest(const struct findings_part *p, size_t *room, struct mw_pack *b)
{
	bool told = p->has_digest && *room >= MW_SHA256_OCTETS;

	*room -= told ? MW_SHA256_OCTETS : 0;
	mw_pack_bin(b, mw_octets_of(p->digest, told ? MW_SHA256_OCTETS : 0));
}

static void pack_part(
	const struct findings *f, const struct findings_part *p, size_t *room, struct mw_pack *b)
{
	static const char letters[PART_ATTRIBUTES + 1] = "UCBDSL";
	const char *text = f->part_text + p->at;
	char attributes[PART_ATTRIBUTES + 1];
	size_t n = 0, types = 0;

	while (p->types != NULL && p->types[types] != NULL)
		types++;
	for (unsigned i = 0; i < PART_ATTRIBUTES; i++)
		if ((p->attributes & MW_BIT(i)) != 0)
			attributes[n++] = letters[i];
	attributes[n] = '\0';
	mw_pack_array(b, 8);
	mw_pack_uint(b, p->parent);
	text = pack_text_at(text, b);
	text = pack_text_at(text, b);
	mw_pack_array(b, p->names);
	for (unsigned i = 0; i < p->names; i++)
		text = pack_text_at(text, b);
	mw_pack_array(b, types);
	for (size_t i = 0; i < types; i++)
		mw_pack_text(b, p->types[i]);
	mw_pack_text(b, attributes);
	mw_pack_uint(b, p->size);
	pack_digest(p, room, b);
}

static void pack_parts(const struct findings *f, struct mw_pack *b)
{
	size_t room = sizeof(f->part_text) - f->part_octets;

	if (!f->tell_parts)
		return;
	mw_pack_text(b, "tree");
	mw_pack_array(b, f->part_count);
	for (unsigned i = 0; i < f->part_count; i++)
		pack_part(f, &f->part[i], &room, b);
}

static void pack_viruses(const struct findings *f, struct mw_pack *b)
{
	mw_pack_text(b, "viruses");
	mw_pack_array(b, f->virus_count);
	for (unsigned i = 0; i < f->virus_count; i++) {
		mw_pack_map(b, 3);
		mw_pack_kv_text(b, "scanner", "ClamAV");
		mw_pack_kv_text(b, "name", f->viruses[i].name);
		mw_pack_kv_text(b, "part", f->viruses[i].part);
	}
}

/* Breadth first: level by level, in the message's order within a level. */
static void pack_names(const struct findings *f, struct mw_pack *b)
{
	unsigned deepest = 0;

	for (unsigned i = 0; i < f->name_count; i++)
		if (f->names[i].depth > deepest)
			deepest = f->names[i].depth;
	mw_pack_text(b, "names");
	mw_pack_array(b, f->name_count);
	for (unsigned depth = 0; f->name_count > 0 && depth <= deepest; depth++)
		for (unsigned i = 0; i < f->name_count; i++)
			if (f->names[i].depth == depth)
				mw_pack_text(b, f->names_text + f->names[i].at);
}

static void pack_words(
	struct mw_pack *b, const char *key, unsigned bits, const char *const *words, unsigned count)
{
	size_t n = 0;

	for (unsigned i = 0; i < count; i++)
		n += (bits & MW_BIT(i)) != 0;
	mw_pack_text(b, key);
	mw_pack_array(b, n);
	for (unsigned i = 0; i < count; i++)
		if ((bits & MW_BIT(i)) != 0)
			mw_pack_text(b, words[i]);
}

/* What was odd about entities, then about archives. */
static void pack_errors(const struct findings *f, struct mw_pack *b)
{
	static const char *const archive_words[] = { "archive_broken", "archive_ambiguous",
		"archive_password" };
	const char *words[MIME_ERROR_COUNT + MW_COUNT(archive_words)];

	memcpy(words, mime_error_words, MIME_ERROR_COUNT * sizeof(*words));
	memcpy(words + MIME_ERROR_COUNT, archive_words, sizeof(archive_words));
	pack_words(b, "mime_errors",
		f->mime_errors | (unsigned)f->archive_broken << MIME_ERROR_COUNT |
			(unsigned)f->archive_ambiguous << (MIME_ERROR_COUNT + 1) |
			(unsigned)f->archive_password << (MIME_ERROR_COUNT + 2),
		words, MW_COUNT(words));
}

void findings_encode(
	const struct findings *f, unsigned limits, const struct av *av, struct mw_pack *b)
{
	mw_pack_map(b, f->tell_parts ? 15 : 14);
	pack_viruses(f, b);
	mw_pack_kv_int(b, "parts", (int64_t)f->parts);
	mw_pack_kv_int(b, "decoded_octets", (int64_t)f->decoded_octets);
	pack_names(f, b);
	pack_words(b, "limits", limits, scan_limit_words, SCAN_LIMIT_COUNT);
	mw_pack_text(b, "encrypted");
	mw_pack_array(b, f->encrypted_count);
	for (unsigned i = 0; i < f->encrypted_count; i++)
		mw_pack_text(b, f->encrypted[i]);
	mw_pack_kv_bool(b, "ambiguous", f->ambiguous);
	pack_errors(f, b);
	pack_words(b, "content", f->content, container_mark_words, CONTAINER_MARKS);
	mw_pack_kv_text(b, "engine", av_engine(av));
	mw_pack_kv_int(b, "signatures", (int64_t)av_signatures(av));
	mw_pack_kv_bool(b, "project_signatures", av_is_project(av));
	mw_pack_kv_int(b, "decode_us", (int64_t)f->decode_us);
	mw_pack_kv_int(b, "virus_us", (int64_t)f->virus_us);
	pack_parts(f, b);
}
