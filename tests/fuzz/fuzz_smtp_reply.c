/* fuzz: common services/smtp-front */
/* Replies of a next hop: in pieces as the first octet says the same as in one, printable, and with
 * a code of SMTP; each read as a list of offers too. */
#include <ctype.h>
#include <stdlib.h>

#include "delivery/client_commands.h"
#include "delivery/smtp_reply.h"

#define REPLIES 8 /* looked at in one input */

struct told {
	int end;
	unsigned code;
	size_t text_n, used;
	char text[SMTP_REPLY_MAX + 1];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise)
{
	if (!promise)
		abort();
}

static void look_at(const struct smtp_reply *r)
{
	char buf[16];
	struct client_offers o;
	const char *enhanced = smtp_reply_enhanced(r, ".0.0", buf);

	require(r->code >= 200 && r->code < 600 && r->text_n <= SMTP_REPLY_MAX &&
		r->text[r->text_n] == '\0');
	for (size_t i = 0; i < r->text_n; i++)
		require(r->text[i] == '\n' || (r->text[i] >= 0x20 && r->text[i] <= 0x7e));
	require((unsigned)(enhanced[0] - '0') == r->code / 100 && enhanced[1] == '.' &&
		strlen(enhanced) <= 9);
	require(strspn(enhanced, "0123456789.") == strlen(enhanced));
	client_offers_read(&o, r->text);
	require(o.xforward < MW_BIT(XFORWARD_ATTRIBUTES) && (o.size || o.size_limit == 0));
}

static size_t read_all(const uint8_t *p, size_t n, size_t piece, struct told *told)
{
	static struct smtp_reply r;
	size_t count = 0, at = 0;

	smtp_reply_init(&r);
	while (at < n && count < REPLIES) {
		size_t len = n - at < piece ? n - at : piece, used = 0;
		int end = smtp_reply_feed(&r, (const char *)p + at, len, &used);

		require(end < 0 || (used <= len && (end == 1 || used == len)));
		at += used;
		if (end == 0)
			continue;
		if (end == 1)
			look_at(&r);
		told[count].end = end;
		told[count].code = end == 1 ? r.code : 0;
		told[count].text_n = end == 1 ? r.text_n : 0;
		told[count].used = end == 1 ? at : 0;
		memcpy(told[count].text, r.text, told[count].text_n);
		count++;
		if (end < 0)
			break;
	}
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct told whole[REPLIES], cut[REPLIES];
	size_t count;

	if (size < 2)
		return 0;
	count = read_all(data + 1, size - 1, size, whole);
	require(count == read_all(data + 1, size - 1, (size_t)data[0] % 32 + 1, cut));
	for (size_t i = 0; i < count; i++) {
		require(whole[i].end == cut[i].end && whole[i].code == cut[i].code &&
			whole[i].used == cut[i].used);
		require(whole[i].text_n == cut[i].text_n &&
			memcmp(whole[i].text, cut[i].text, whole[i].text_n) == 0);
	}
	return 0;
}
