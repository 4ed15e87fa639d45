#include "down.h"

bool mw_down_has(const struct mw_down *d, const char *name)
{
	for (size_t i = 0; i < d->count; i++)
		if (strcmp(d->names[i], name) == 0)
			return true;
	return false;
}

void mw_down_add(struct mw_down *d, const char *name)
{
	char clean[MW_DOWN_NAME_MAX];

	mw_strlcpy(clean, name, sizeof(clean));
	for (char *p = clean; *p != '\0'; p++)
		if (!mw_is_printable(p, 1))
			*p = '?';
	if (d->count < MW_DOWN_MAX && !mw_down_has(d, clean))
		mw_strlcpy(d->names[d->count++], clean, MW_DOWN_NAME_MAX);
}
