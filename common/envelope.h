/* What publisher and subscriber say to each other around the payloads: event headers, replay
 * requests and answers, alert payloads. Grammar: docs/wire.md, "Events". */
#ifndef MW_ENVELOPE_H
#define MW_ENVELOPE_H

#include "wire.h"

enum mw_topic { MW_TOPIC_MAIL, MW_TOPIC_ALERT, MW_TOPIC_STATE, MW_TOPIC_COUNT };
const char *mw_topic_name(enum mw_topic topic);
/* MW_TOPIC_COUNT: none of ours. */
enum mw_topic mw_topic_of(struct mw_octets name);

struct mw_event_header {
	uint64_t incarnation, sequence; /* sequence 0: not numbered (state) */
};
void mw_event_header_encode(struct mw_pack *b, const struct mw_event_header *h);
enum mw_rc mw_event_header_decode(struct mw_octets frame, struct mw_event_header *h_r);

struct mw_replay_ask {
	uint64_t incarnation; /* 0: whatever runs */
	uint64_t from, to;    /* from 0: the oldest; to 0: the newest */
};
void mw_replay_ask_encode(struct mw_pack *b, const struct mw_replay_ask *a);
enum mw_rc mw_replay_ask_decode(struct mw_octets frame, struct mw_replay_ask *a_r);

struct mw_replay_end {
	uint64_t incarnation, next, newest, oldest;
};
void mw_replay_end_encode(struct mw_pack *b, const struct mw_replay_end *e);
enum mw_rc mw_replay_end_decode(struct mw_octets frame, struct mw_replay_end *e_r);

#define MW_ALERT_TEXT_MAX 2048
struct mw_alert {
	char event[MW_NAME_MAX];
	struct mw_octets text;
};
void mw_alert_encode(struct mw_pack *b, const struct mw_alert *a);
enum mw_rc mw_alert_decode(struct mw_octets frame, struct mw_alert *a_r);

#endif
