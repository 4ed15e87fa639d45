#include "idn.h"

#include <stdio.h>

#include "idna.h"

const char *idn_address(const char *addr, char buf[IDN_ADDRESS_MAX])
{
	const char *at = strrchr(addr, '@');
	char domain[MW_IDNA_MAX];
	int written;

	if (mw_is_ascii(addr, strlen(addr)))
		return addr;
	if (at == NULL || !mw_is_ascii(addr, (size_t)(at - addr)) ||
		!mw_idna_to_ascii(at + 1, domain))
		return NULL;
	written = snprintf(buf, IDN_ADDRESS_MAX, "%.*s@%s", (int)(at - addr), addr, domain);
	return written > 0 && written < IDN_ADDRESS_MAX ? buf : NULL;
}
