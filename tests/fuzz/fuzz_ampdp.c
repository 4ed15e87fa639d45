/* fuzz: common services/smtp-front */
/* A connection's octets as AM.PDP requests: the same is taken however they are cut, all of it is
 * bounded, and what is taken reads back when it is put. */
#include <stdlib.h>

#include "intake/ampdp_codec.h"
#include "intake/ampdp_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise)
{
	if (!promise)
		abort();
}

struct taker {
	struct ampdp_request request;
	struct mw_text put; /* all that was taken, as a reply */
};

static const char *take(void *arg, const char *name, const char *value)
{
	struct taker *t = arg;

	require(strlen(name) + strlen(value) <= AMPDP_LINE_MAX);
	ampdp_put_text(&t->put, "x", name);
	ampdp_put_text(&t->put, "x", value);
	return ampdp_request_take(&t->request, name, value);
}

/* 1, 0, -1 as ampdp_feed; *used_r of the whole. */
static int feed(struct taker *t, const char *p, size_t n, size_t step, size_t *used_r)
{
	struct ampdp_reader r = { 0 };
	const char *why = NULL;
	size_t used;
	int end = 0;

	*used_r = 0;
	while (*used_r < n && end == 0) {
		size_t now = n - *used_r < step ? n - *used_r : step;

		end = ampdp_feed(&r, p + *used_r, now, &used, take, t, &why);
		require(used <= now && (end != 0 || used == now));
		*used_r += used;
	}
	require((end < 0) == (why != NULL));
	require(r.cap <= 2 * AMPDP_LINE_MAX + 2);
	ampdp_reader_fini(&r);
	return end;
}

static void use(struct ampdp_request *q)
{
	struct smtp_xforward x;
	const char *addr;
	bool utf8 = false;

	require(ampdp_request_xforward(q, &x));
	require(x.helo == NULL ||
		(strlen(x.helo) <= 255 && mw_is_printable(x.helo, strlen(x.helo))));
	if (q->sender != NULL && ampdp_address(&q->arena, q->sender, true, &addr, &utf8))
		for (; *addr != '\0'; addr++)
			require((unsigned char)*addr >= 0x20 && *addr != 0x7f);
}

static const char *compare(void *arg, const char *name, const char *value)
{
	(void)arg;
	require(strcmp(name, "x") == 0);
	(void)value;
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data;
	size_t step = size > 0 ? data[0] % 17 + 1 : 1, at = 0, used, used2;
	int end = 1;

	while (end == 1 && at < size) {
		struct taker whole = { 0 }, cut = { 0 };
		struct ampdp_reader r = { 0 };
		const char *why;

		end = feed(&whole, p + at, size - at, size, &used);
		require(feed(&cut, p + at, size - at, step, &used2) == end);
		require(end < 0 || used == used2);
		require(whole.put.n == cut.put.n &&
			(whole.put.n == 0 || memcmp(whole.put.p, cut.put.p, cut.put.n) == 0));
		use(&whole.request);
		if (whole.put.n > 0 && whole.put.n < AMPDP_REQUEST_MAX)
			require(ampdp_feed(&r, whole.put.p, whole.put.n, &used2, compare, NULL,
					&why) >= 0 ||
				strcmp(why, "a line is too long") == 0 ||
				strcmp(why, "too many attributes") == 0);
		ampdp_reader_fini(&r);
		ampdp_request_fini(&whole.request);
		ampdp_request_fini(&cut.request);
		mw_text_fini(&whole.put);
		mw_text_fini(&cut.put);
		at += used;
	}
	return 0;
}
