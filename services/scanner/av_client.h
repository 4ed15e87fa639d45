/*
 * What stands between av_scan.c and a type of scanner. A client is started for one mail at one
 * scanner and says how it went: avs_ask_virus for each find, then exactly one of avs_ask_end and
 * avs_ask_again, before which it has let go of all it had. Time limits and retries are not its
 * business.
 */
#ifndef SCAN_AV_CLIENT_H
#define SCAN_AV_CLIENT_H

#include "av_scan.h"

struct avs_ask;

struct avs_client {
	/* MW_OK: it is at work, or has ended already; *client_r is handed to cancel. */
	void (*start)(struct avs_ask *ask);
	void (*cancel)(struct avs_ask *ask); /* let go of everything, say nothing */
	void (*forget)(void **kept);	     /* what start left in ask_kept(); may be NULL */
};
extern const struct avs_client avs_clamd_client, avs_icap_client, avs_program_client;

/* What a client may look at. */
struct avs_task {
	const struct avs_entry *entry;
	const struct avs_conf *conf;
	struct mw_loop *loop;
	const struct avs_file *files;
	size_t file_count;
	uint64_t until_ms;
	void **kept;  /* the scanner's own, from mail to mail */
	void *client; /* the client's own, for this mail */
};
struct avs_task *avs_ask_task(struct avs_ask *ask);

/* The other side listens: from here on only the time of the whole counts. */
void avs_ask_connected(struct avs_ask *ask);
void avs_ask_virus(struct avs_ask *ask, const char *name, size_t file);
/* why may be "" where the answer needs none. AVS_CLEAN after a find is AVS_INFECTED, and so is any
 * failure: what was found is true. */
void avs_ask_end(struct avs_ask *ask, enum avs_answer answer, const char *why);
/* Nobody listened, or the connection broke: once more if the entry allows and there is time. */
void avs_ask_again(struct avs_ask *ask, const char *why);

#endif
