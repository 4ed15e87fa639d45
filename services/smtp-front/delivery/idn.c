#include "idn.h"

#include <idn2.h>
#include <stdio.h>

static bool is_ascii(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] >= 0x80)
			return false;
	return true;
}

/*
 * Mapping makes ASCII of what looks like it (U+FF1E becomes >): nothing but letters, digits,
 * hyphens and dots may get into a command.
 */
static bool is_host_name(const char *s)
{
	return *s != '\0' && s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					 "0123456789-.")] == '\0';
}

const char *idn_address(const char *addr, char buf[IDN_ADDRESS_MAX])
{
	size_t n = strlen(addr);
	const char *at = strrchr(addr, '@');
	char *domain = NULL;
	int written;

	if (is_ascii(addr, n))
		return addr;
	if (at == NULL || !is_ascii(addr, (size_t)(at - addr)))
		return NULL;
	if (idn2_to_ascii_8z(at + 1, &domain, IDN2_NONTRANSITIONAL) != IDN2_OK)
		return NULL;
	written = is_host_name(domain) ? snprintf(buf, IDN_ADDRESS_MAX, "%.*s@%s", (int)(at - addr),
						 addr, domain)
				       : 0;
	idn2_free(domain);
	return written > 0 && written < IDN_ADDRESS_MAX ? buf : NULL;
}
