/* fuzz: common */
/*
 * Decoders of what subscribers read, on any octets: records, states, event headers, replay answers,
 * alerts. What is taken must encode again, and that must be taken again with the same octets. The
 * first octet chooses the decoder.
 */
#include <stdlib.h>

#include "envelope.h"
#include "events.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise)
{
	if (!promise)
		abort();
}

static void record_again(struct mw_octets frame, struct mw_pack *b)
{
	struct mw_record_arena *arena;
	struct mw_record r;

	if (mw_record_decode(frame, &r, &arena) != MW_OK) {
		require(arena == NULL);
		return;
	}
	mw_record_encode(b, &r);
	mw_record_fini(&arena);
}

static void state_again(struct mw_octets frame, struct mw_pack *b)
{
	struct mw_state s;

	if (mw_state_decode(frame, &s) != MW_OK)
		return;
	mw_state_encode(b, &s);
	mw_state_fini(&s);
}

static void header_again(struct mw_octets frame, struct mw_pack *b)
{
	struct mw_event_header h;

	if (mw_event_header_decode(frame, &h) == MW_OK)
		mw_event_header_encode(b, &h);
}

static void ask_again(struct mw_octets frame, struct mw_pack *b)
{
	struct mw_replay_ask a;

	if (mw_replay_ask_decode(frame, &a) == MW_OK)
		mw_replay_ask_encode(b, &a);
}

static void end_again(struct mw_octets frame, struct mw_pack *b)
{
	struct mw_replay_end e;

	if (mw_replay_end_decode(frame, &e) == MW_OK)
		mw_replay_end_encode(b, &e);
}

static void alert_again(struct mw_octets frame, struct mw_pack *b)
{
	struct mw_alert a;

	if (mw_alert_decode(frame, &a) == MW_OK)
		mw_alert_encode(b, &a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const again[])(struct mw_octets frame, struct mw_pack * b) = {
		record_again,
		state_again,
		header_again,
		ask_again,
		end_again,
		alert_again,
	};
	struct mw_pack once, twice;
	size_t which;

	if (size == 0)
		return 0;
	which = data[0] % MW_COUNT(again);
	mw_pack_init(&once);
	mw_pack_init(&twice);
	again[which](mw_octets_of(data + 1, size - 1), &once);
	if (once.n > 0 && !once.failed) {
		again[which](mw_octets_of(once.p, once.n), &twice);
		require(twice.failed ||
			(twice.n == once.n && memcmp(twice.p, once.p, once.n) == 0));
	}
	mw_pack_fini(&once);
	mw_pack_fini(&twice);
	return 0;
}
