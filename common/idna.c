#include "idna.h"

#include <ctype.h>
#include <idn2.h>

bool mw_is_ascii(const void *p, size_t n)
{
	const unsigned char *s = p;

	for (size_t i = 0; i < n; i++)
		if (s[i] >= 0x80)
			return false;
	return true;
}

/*
 * Mapping makes ASCII of what looks like it (U+FF1E becomes >): nothing but letters, digits,
 * hyphens and dots may come out of it.
 */
static bool is_host_name(const char *s)
{
	return *s != '\0' && s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					 "0123456789-.")] == '\0';
}

bool mw_idna_to_ascii(const char *domain, char buf[MW_IDNA_MAX])
{
	char *made = NULL;
	const char *ascii = domain;
	bool ok;

	if (!mw_is_ascii(domain, strlen(domain))) {
		if (idn2_to_ascii_8z(domain, &made, IDN2_NONTRANSITIONAL) != IDN2_OK)
			return false;
		ascii = made;
	}
	ok = is_host_name(ascii) && strlen(ascii) < MW_IDNA_MAX;
	for (size_t i = 0; ok && i <= strlen(ascii); i++)
		buf[i] = (char)tolower((unsigned char)ascii[i]);
	idn2_free(made);
	return ok;
}

bool mw_idna_to_unicode(const char *domain, struct mw_text *out)
{
	char *made = NULL;

	if (strcasestr(domain, "xn--") == NULL || idn2_to_unicode_8z8z(domain, &made, 0) != IDN2_OK)
		return false;
	mw_text_add(out, made);
	idn2_free(made);
	return true;
}
