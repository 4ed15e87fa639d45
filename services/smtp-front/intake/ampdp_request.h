/*
 * What an AM.PDP request says, its attributes by name (docs/am-pdp.md). Values are claims of the
 * client's: bounded by the framing, and checked by whoever uses them.
 */
#ifndef SMTP_AMPDP_REQUEST_H
#define SMTP_AMPDP_REQUEST_H

#include "ampdp_codec.h"
#include "arena.h"
#include "smtp_command.h"

/* Texts live in the arena; NULL: not said. */
struct ampdp_request {
	struct smtp_arena arena;
	const char *request;
	const char *sender, *tempdir, *mail_file, *tempdir_removed_by, *delivery_care_of;
	const char *queue_id, *protocol_name, *helo_name;
	const char *client_address, *client_port, *client_name, *client_source;
	const char *policy_bank;
	const char *mail_id, *secret_id, *quar_type, *requested_by, *partition_tag;
	const char *rescan, *again; /* of a release: "no"; "yes" */
	/* of request=stored */
	const char *action, *raw, *since, *before, *limit, *category, *released, *oldest, *subject,
		*text;
	const char **recipients;
	size_t recipient_count, recipient_cap;
};

/* An ampdp_take: arg is the request. A name that is given twice is refused, but for recipient. */
const char *ampdp_request_take(void *arg, const char *name, const char *value);
void ampdp_request_fini(struct ampdp_request *q);

/*
 * An address as a client gives it, "<a@example.org>" or without <>; in a. False: none, or "" where
 * null_ok is false. *utf8: set when it is not ASCII.
 */
bool ampdp_address(
	struct smtp_arena *a, const char *value, bool null_ok, const char **addr_r, bool *utf8);
/* What the request tells of the original client, in the words of XFORWARD. False: no memory. */
bool ampdp_request_xforward(struct ampdp_request *q, struct smtp_xforward *x_r);

#endif
