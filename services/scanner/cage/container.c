#include <strings.h>

#include "arj.h"
#include "cms.h"
#include "doc.h"
#include "lzop.h"
#include "sfx.h"
#include "unopened.h"
#include "unpack.h"
#include "zip.h"

#define TAIL_LEAST 16 /* octets; nothing that holds anything is shorter */

const struct container *const container_rows[] = {
	&container_libarchive,
	&container_text, /* uuencode and the like in text */
	&container_mbox,
	&container_tnef,
	&container_cfb,
	&container_mso,
	&container_html,
	&container_script,
	&container_rtf,
	&container_wide,
	&container_one,
	&container_pdf,
	&container_page,
	&container_ical,
	&container_odf,
	&container_xml,
	&container_cms,
	&container_zip,
	&container_lzop,
	&container_arj,
	&container_sfx,
	&container_unopened,
	NULL,
};

const char *const container_mark_words[CONTAINER_MARKS] = {
	[CONTAINER_MACROS] = "macros",
	[CONTAINER_ENCRYPTED] = "encrypted_document",
};

void container_has(const struct container_job *job, enum container_mark mark)
{
	if (job->marks != NULL)
		*job->marks |= MW_BIT(mark);
}

void container_name(char buf[CONTAINER_NAME_MAX], const char *path, size_t n)
{
	size_t cut = n >= CONTAINER_NAME_MAX ? n - (CONTAINER_NAME_MAX - 1) : 0;

	for (size_t i = cut; i < n; i++) {
		unsigned char c = (unsigned char)path[i];

		buf[i - cut] = c < 0x20 || c == 0x7f ? '?' : (char)c;
	}
	buf[n - cut] = '\0';
}

bool container_is_tail(struct mw_octets octets)
{
	return octets.n >= TAIL_LEAST &&
	       (octets.p[0] != 0 || memcmp(octets.p, octets.p + 1, octets.n - 1) != 0);
}

void container_inner_name(char buf[CONTAINER_NAME_MAX], const char *name)
{
	static const struct {
		const char *ends, *instead;
	} suffixes[] = { { ".gz", "" }, { ".bz2", "" }, { ".bz", "" }, { ".xz", "" },
		{ ".lzma", "" }, { ".lz", "" }, { ".zst", "" }, { ".lz4", "" }, { ".lzo", "" },
		{ ".z", "" }, { ".tgz", ".tar" }, { ".tbz", ".tar" }, { ".tbz2", ".tar" },
		{ ".txz", ".tar" }, { ".tlz", ".tar" }, { ".tzst", ".tar" }, { ".svgz", ".svg" },
		{ ".p7m", "" } };
	size_t n = name != NULL ? strlen(name) : 0;

	buf[0] = '\0';
	for (size_t i = 0; i < MW_COUNT(suffixes); i++) {
		size_t end = strlen(suffixes[i].ends);

		if (n <= end || strcasecmp(name + n - end, suffixes[i].ends) != 0)
			continue;
		container_name(buf, name, n - end);
		n = strlen(buf);
		mw_strlcpy(buf + n, suffixes[i].instead, CONTAINER_NAME_MAX - n);
		return;
	}
}
