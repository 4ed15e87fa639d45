#include "mail.h"

#include <strings.h>

#define HEADER_MAX 8192	  /* octets of a header section that are looked at */
#define FIELD_NAME_MAX 76 /* octets of a field's name */
#define ENOUGH 3	  /* points that make a mail */

bool mail_by_name(const char *name)
{
	static const char *const ends[] = { ".eml", ".mht", ".mhtml", ".nws" };
	size_t n = strlen(name);

	for (size_t i = 0; i < MW_COUNT(ends); i++) {
		size_t end = strlen(ends[i]);

		if (n >= end && strcasecmp(name + n - end, ends[i]) == 0)
			return true;
	}
	return false;
}

/* What few other texts begin with counts more. */
static const struct {
	const char *name;
	unsigned points;
} fields[] = {
	{ "from", 1 },
	{ "to", 1 },
	{ "subject", 1 },
	{ "date", 1 },
	{ "received", 2 },
	{ "return-path", 2 },
	{ "delivered-to", 2 },
	{ "message-id", 2 },
	{ "mime-version", 2 },
	{ "content-type", 2 },
	{ "content-transfer-encoding", 2 },
};

/* Octets of the field name that p begins with; 0: it begins with none. */
static size_t field_name(const unsigned char *p, size_t n)
{
	size_t i = 0;

	while (i < n && i < FIELD_NAME_MAX && p[i] > ' ' && p[i] < 0x7f && p[i] != ':')
		i++;
	return i < n && p[i] == ':' ? i : 0;
}

static unsigned points_of(const unsigned char *name, size_t n)
{
	for (size_t i = 0; i < MW_COUNT(fields); i++)
		if (mw_octets_ieq(mw_octets_of(name, n), fields[i].name))
			return fields[i].points;
	return 0;
}

bool mail_begins_with_field(struct mw_octets octets)
{
	return field_name(octets.p, octets.n) != 0;
}

bool mail_by_content(struct mw_octets octets)
{
	struct mw_octets head =
		mw_octets_of(octets.p, octets.n < HEADER_MAX ? octets.n : HEADER_MAX);
	const unsigned char *p = head.p, *end = p != NULL ? p + head.n : NULL;
	unsigned points = 0;

	if (octets.n == 0)
		return false;
	while (p < end && (*p == '\r' || *p == '\n')) /* readers forgive empty lines in front */
		p++;
	for (const unsigned char *line = p; line < end; line = p) {
		size_t name = field_name(line, (size_t)(end - line));
		bool folded = line > octets.p && (*line == ' ' || *line == '\t');

		p = memchr(line, '\n', (size_t)(end - line));
		p = p != NULL ? p + 1 : end;
		if (*line == '\n' || *line == '\r')
			break;
		if (name == 0 && !folded)
			return p == end && points >= ENOUGH; /* cut in the midst of a name */
		points += points_of(line, name);
	}
	return points >= ENOUGH;
}
