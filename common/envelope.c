/* Envelopes of events: envelope.h. */
#include "envelope.h"

#define EVENTS_VERSION 1
#define TYPE_REPLAY_ASK 32
#define TYPE_REPLAY_END 33
#define SMALL_FRAME_MAX 4096 /* octets of anything here */

const char *mw_topic_name(enum mw_topic topic)
{
	static const char *const names[MW_TOPIC_COUNT] = { "mail", "alert", "state" };

	return (unsigned)topic < MW_TOPIC_COUNT ? names[topic] : "?";
}

enum mw_topic mw_topic_of(struct mw_octets name)
{
	enum mw_topic topic = MW_TOPIC_MAIL;

	while (topic < MW_TOPIC_COUNT && !mw_key_is(name, mw_topic_name(topic)))
		topic++;
	return topic;
}

/* An array [version, (type,) numbers ...] of at least that many numbers. type 0: has none. */
static enum mw_rc numbers_decode(struct mw_octets frame, uint64_t type, uint64_t *v, size_t count)
{
	struct mw_cur c = mw_cur_of(frame.p, frame.n);
	size_t known = count + (type > 0 ? 2 : 1), items, i = 0;
	uint64_t version, got = type;

	if (frame.n > SMALL_FRAME_MAX)
		return MW_ERR_LIMIT;
	if (!mw_cur_array(&c, &items) || items < known || !mw_cur_uint(&c, UINT8_MAX, &version) ||
		version != EVENTS_VERSION || (type > 0 && !mw_cur_uint(&c, UINT8_MAX, &got)) ||
		got != type)
		return MW_ERR_PROTO;
	while (i < count && mw_cur_uint(&c, UINT64_MAX, &v[i]))
		i++;
	return i == count && mw_cur_skip(&c, items - known) && mw_cur_end(&c) ? MW_OK
									      : MW_ERR_PROTO;
}

static void numbers_encode(struct mw_pack *b, uint64_t type, const uint64_t *v, size_t count)
{
	mw_pack_array(b, count + (type > 0 ? 2 : 1));
	mw_pack_uint(b, EVENTS_VERSION);
	if (type > 0)
		mw_pack_uint(b, type);
	for (size_t i = 0; i < count; i++)
		mw_pack_uint(b, v[i]);
}

void mw_event_header_encode(struct mw_pack *b, const struct mw_event_header *h)
{
	const uint64_t v[] = { h->incarnation, h->sequence };

	numbers_encode(b, 0, v, MW_COUNT(v));
}

enum mw_rc mw_event_header_decode(struct mw_octets frame, struct mw_event_header *h_r)
{
	uint64_t v[2];
	enum mw_rc rc = numbers_decode(frame, 0, v, MW_COUNT(v));

	if (rc == MW_OK)
		*h_r = (struct mw_event_header){ v[0], v[1] };
	return rc;
}

void mw_replay_ask_encode(struct mw_pack *b, const struct mw_replay_ask *a)
{
	const uint64_t v[] = { a->incarnation, a->from, a->to };

	numbers_encode(b, TYPE_REPLAY_ASK, v, MW_COUNT(v));
}

enum mw_rc mw_replay_ask_decode(struct mw_octets frame, struct mw_replay_ask *a_r)
{
	uint64_t v[3];
	enum mw_rc rc = numbers_decode(frame, TYPE_REPLAY_ASK, v, MW_COUNT(v));

	if (rc == MW_OK)
		*a_r = (struct mw_replay_ask){ v[0], v[1], v[2] };
	return rc;
}

void mw_replay_end_encode(struct mw_pack *b, const struct mw_replay_end *e)
{
	const uint64_t v[] = { e->incarnation, e->next, e->newest, e->oldest };

	numbers_encode(b, TYPE_REPLAY_END, v, MW_COUNT(v));
}

enum mw_rc mw_replay_end_decode(struct mw_octets frame, struct mw_replay_end *e_r)
{
	uint64_t v[4];
	enum mw_rc rc = numbers_decode(frame, TYPE_REPLAY_END, v, MW_COUNT(v));

	if (rc == MW_OK)
		*e_r = (struct mw_replay_end){ v[0], v[1], v[2], v[3] };
	return rc;
}

void mw_alert_encode(struct mw_pack *b, const struct mw_alert *a)
{
	mw_pack_array(b, 3);
	mw_pack_uint(b, EVENTS_VERSION);
	mw_pack_text(b, a->event);
	mw_pack_octets(b, mw_octets_of(a->text.p,
				  a->text.n < MW_ALERT_TEXT_MAX ? a->text.n : MW_ALERT_TEXT_MAX));
}

enum mw_rc mw_alert_decode(struct mw_octets frame, struct mw_alert *a_r)
{
	struct mw_cur c = mw_cur_of(frame.p, frame.n);
	struct mw_alert a;
	uint64_t version;
	size_t items;

	if (frame.n > SMALL_FRAME_MAX)
		return MW_ERR_LIMIT;
	if (!mw_cur_array(&c, &items) || items < 3 || !mw_cur_uint(&c, UINT8_MAX, &version) ||
		version != EVENTS_VERSION || !mw_cur_text(&c, a.event, sizeof(a.event)) ||
		!mw_cur_octets(&c, MW_ALERT_TEXT_MAX, &a.text) || !mw_cur_skip(&c, items - 3) ||
		!mw_cur_end(&c))
		return MW_ERR_PROTO;
	*a_r = a;
	return MW_OK;
}
