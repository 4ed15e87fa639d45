#include <stdlib.h>

#include "findings.h"

void findings_begin(struct findings *f)
{
	f->virus_count = f->encrypted_count = f->name_count = 0;
	f->names_octets = 0;
	f->parts = f->decoded_octets = 0;
	f->mime_errors = 0;
	f->archive_broken = f->ambiguous = false;
	f->decode_us = f->virus_us = 0;
}

/* Length of the UTF-8 sequence at p (RFC 3629 section 4, without its finer points); 0: none. */
static size_t utf8_length(const unsigned char *p)
{
	size_t n = p[0] < 0x80			 ? 1
		   : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
		   : (p[0] & 0xf0) == 0xe0	 ? 3
		   : (p[0] & 0xf8) == 0xf0	 ? 4
						 : 0;

	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

/* Findings are texts: what is not UTF-8 becomes '?'. A sequence cut by the end of buf is dropped
 * whole. */
static void copy_utf8(char *dst, size_t size, const char *src)
{
	const unsigned char *p = (const unsigned char *)src;
	size_t n = 0;

	while (*p != '\0') {
		size_t one = utf8_length(p);
		size_t take = one != 0 ? one : 1;

		if (n + take >= size)
			break;
		if (one == 0)
			dst[n] = '?';
		else
			memcpy(dst + n, p, one);
		n += take;
		p += take;
	}
	dst[n] = '\0';
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

static void pack_words(struct mw_pack *b, const char *key, unsigned bits, const char *const *words,
	unsigned count, const char *extra)
{
	size_t n = extra != NULL;

	for (unsigned i = 0; i < count; i++)
		n += (bits & MW_BIT(i)) != 0;
	mw_pack_text(b, key);
	mw_pack_array(b, n);
	for (unsigned i = 0; i < count; i++)
		if ((bits & MW_BIT(i)) != 0)
			mw_pack_text(b, words[i]);
	if (extra != NULL)
		mw_pack_text(b, extra);
}

void findings_encode(
	const struct findings *f, unsigned limits, const struct av *av, struct mw_pack *b)
{
	mw_pack_map(b, 13);
	pack_viruses(f, b);
	mw_pack_kv_int(b, "parts", (int64_t)f->parts);
	mw_pack_kv_int(b, "decoded_octets", (int64_t)f->decoded_octets);
	pack_names(f, b);
	pack_words(b, "limits", limits, scan_limit_words, SCAN_LIMIT_COUNT, NULL);
	mw_pack_text(b, "encrypted");
	mw_pack_array(b, f->encrypted_count);
	for (unsigned i = 0; i < f->encrypted_count; i++)
		mw_pack_text(b, f->encrypted[i]);
	mw_pack_kv_bool(b, "ambiguous", f->ambiguous);
	pack_words(b, "mime_errors", f->mime_errors, mime_error_words, MIME_ERROR_COUNT,
		f->archive_broken ? "archive_broken" : NULL);
	mw_pack_kv_text(b, "engine", av_engine(av));
	mw_pack_kv_int(b, "signatures", (int64_t)av_signatures(av));
	mw_pack_kv_bool(b, "project_signatures", av_is_project(av));
	mw_pack_kv_int(b, "decode_us", (int64_t)f->decode_us);
	mw_pack_kv_int(b, "virus_us", (int64_t)f->virus_us);
}
