/*
 * What a mail's header section says, for policy, checks and the record: who wrote it, what it
 * answers, which way it came. Everything is a claim of the sender's; all counts are bounded.
 */
#ifndef SMTP_FACTS_H
#define SMTP_FACTS_H

#include "arena.h"
#include "header.h"
#include "record.h"

#define FACTS_ADDRESSES_MAX 50	/* of From, To, Cc each */
#define FACTS_ADDRESS_MAX 1000	/* octets of one; longer ones are left out */
#define FACTS_REFERENCES_MAX 50 /* Message-IDs of In-Reply-To and References */
#define FACTS_HOPS_MAX 100	/* Received fields; more is a loop (RFC 5321 section 6.3) */

struct facts {
	size_t received; /* Received fields */
	struct mw_octets subject, user_agent, sender, message_id;
	struct mw_list author, to, cc, references;
	struct mw_list ip_trace;       /* public addresses of the Received chain, newest first */
	struct mw_list ip_proto_trace; /* "ESMTP://[ip]" each, "x" for an unknown address */
	const char *first_ip;	       /* of the topmost Received that names one; NULL: none */
	bool is_auto, is_mlist, is_bulk;
};

/* Fills *f; its texts live in a. own_hop: the first item of ip_proto_trace. MW_OK or MW_ERR_NOMEM.
 */
enum mw_rc facts_collect(struct facts *f, struct smtp_arena *a, const struct mw_header *h,
	const char *own_hop, const char *envelope_sender);

/* Addresses of an address-list field's value (RFC 5322 section 3.4), without <>, comments and
 * names. For tests too. */
size_t facts_addresses(
	struct mw_octets value, struct smtp_arena *a, struct mw_octets *out, size_t most);
/* Message-IDs "<...>" in a value. */
size_t facts_message_ids(struct mw_octets value, struct mw_octets *out, size_t most);

#endif
