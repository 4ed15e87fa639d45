/* One release of a mail at a time. */
#include "clerk_priv.h"

bool clerk_claim(struct clerk *c, const char *mail_id)
{
	char *room = NULL;

	for (size_t i = 0; c != NULL && i < CLERK_CLAIMS_MAX; i++) {
		if (strcmp(c->claims[i], mail_id) == 0)
			return false;
		if (c->claims[i][0] == '\0' && room == NULL)
			room = c->claims[i];
	}
	if (room != NULL)
		mw_strlcpy(room, mail_id, sizeof(c->claims[0]));
	return room != NULL;
}

void clerk_unclaim(struct clerk *c, const char *mail_id)
{
	for (size_t i = 0; c != NULL && i < CLERK_CLAIMS_MAX; i++)
		if (strcmp(c->claims[i], mail_id) == 0)
			c->claims[i][0] = '\0';
}
