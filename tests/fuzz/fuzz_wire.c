/* fuzz: common */
/*
 * Every decoder of wire.h on any octets: what is taken is encoded again and must be taken again
 * with the same octets, and a refused frame leaves the result untouched.
 */
#include <stdlib.h>

#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise)
{
	if (!promise)
		abort();
}

/*
 * ROUND_TRIP(hello, struct mw_hello): decode; encode; decode; encode; both encodings are equal. The
 * first may be longer or shorter than the input: numbers have several forms, and a newer peer's
 * fields are dropped.
 */
#define ROUND_TRIP(name, type, decode)                                                             \
	static void name##_round_trip(struct mw_octets frame)                                      \
	{                                                                                          \
		type v, untouched;                                                                 \
		struct mw_pack once, twice;                                                        \
		enum mw_rc rc;                                                                     \
                                                                                                   \
		memset(&v, 0x5a, sizeof(v));                                                       \
		memset(&untouched, 0x5a, sizeof(untouched));                                       \
		rc = decode(frame, &v);                                                            \
		if (rc != MW_OK) {                                                                 \
			require(rc == MW_ERR_PROTO || rc == MW_ERR_LIMIT);                         \
			require(memcmp(&v, &untouched, sizeof(v)) == 0);                           \
			return;                                                                    \
		}                                                                                  \
		mw_pack_init(&once);                                                               \
		mw_pack_init(&twice);                                                              \
		mw_##name##_encode(&once, &v);                                                     \
		require(!once.failed);                                                             \
		require(decode(mw_octets_of(once.p, once.n), &v) == MW_OK);                        \
		mw_##name##_encode(&twice, &v);                                                    \
		require(once.n == twice.n && memcmp(once.p, twice.p, once.n) == 0);                \
		mw_pack_fini(&once);                                                               \
		mw_pack_fini(&twice);                                                              \
	}

static enum mw_rc job_decode_at_0(struct mw_octets frame, struct mw_job *v_r)
{
	return mw_job_decode(frame, 0, v_r);
}

ROUND_TRIP(hello, struct mw_hello, mw_hello_decode)
ROUND_TRIP(alive, struct mw_alive, mw_alive_decode)
ROUND_TRIP(welcome, struct mw_welcome, mw_welcome_decode)
ROUND_TRIP(verdict, struct mw_verdict, mw_verdict_decode)
ROUND_TRIP(job, struct mw_job, job_decode_at_0)

static void plain_is_text(struct mw_octets frame)
{
	char why[MW_REASON_MAX], cut[4];

	if (mw_plain_decode(frame, why, sizeof(why)) != MW_OK)
		return;
	require(strlen(why) < sizeof(why) && mw_is_printable(why, strlen(why)));
	require(mw_plain_decode(frame, cut, sizeof(cut)) == MW_OK && strlen(cut) < sizeof(cut));
}

/* Findings and orders are looked into by name, whatever the peer put there. */
static void look_up(struct mw_octets map)
{
	static const char *const names[] = { "viruses", "score_milli", "tests", "ips", "" };
	struct mw_octets o;
	struct mw_cur c;

	for (size_t i = 0; i < MW_COUNT(names); i++) {
		if (mw_map_find(map, names[i], &c))
			require(c.p >= map.p && c.p <= map.p + map.n);
		(void)mw_map_int(map, names[i], -1);
		(void)mw_map_bool(map, names[i], true);
		o = mw_map_octets(map, names[i]);
		require(o.p == NULL || (o.p >= map.p && o.p + o.n <= map.p + map.n));
	}
}

static void walk(struct mw_octets frame)
{
	struct mw_cur c = mw_cur_of(frame.p, frame.n);
	struct mw_octets raw;
	size_t total = 0;

	while (mw_cur_raw(&c, &raw)) {
		require(raw.n > 0 && raw.p >= frame.p && raw.p + raw.n <= frame.p + frame.n);
		total += raw.n;
		look_up(raw);
	}
	require(total <= frame.n && c.failed && !mw_cur_end(&c));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mw_octets frame = mw_octets_of(data, size);

	require(mw_frame_type(frame) < MW_FRAME_COUNT);
	hello_round_trip(frame);
	alive_round_trip(frame);
	welcome_round_trip(frame);
	verdict_round_trip(frame);
	job_round_trip(frame);
	plain_is_text(frame);
	walk(frame);
	look_up(frame);
	return 0;
}
