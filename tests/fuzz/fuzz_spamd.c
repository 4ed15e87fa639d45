/* fuzz: common services/scanner */
/* A spamd's reply in pieces: the first octet says how long they are. A reply cut short never has a
 * score. */
#include <stdlib.h>

#include "spamd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Lines that a field can carry: none is blank, long or anything but printable ASCII. */
static bool is_lines(const char *p, size_t n)
{
	const char *end = p + n, *eol;

	for (; p < end; p = eol + 1) {
		eol = memchr(p, '\n', (size_t)(end - p));
		if (eol == NULL || eol == p || eol - p > MW_SPAM_REPORT_LINE_MAX ||
			eol[-1] == ' ' || !mw_is_printable(p, (size_t)(eol - p)))
			return false;
	}
	return n <= MW_SPAM_REPORT_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct spamd_result v;
	struct spamd_reply r = { 0 };
	struct mw_err why = { "" };
	size_t piece = size > 0 ? (size_t)data[0] + 1 : 1;
	int rc = 0;

	for (size_t i = 1; i < size && rc == 0; i += piece)
		rc = spamd_reply_take(&r, data + i, size - i < piece ? size - i : piece);
	if (spamd_reply_read(&r, &v, &why) == MW_OK) {
		if (r.n == 0 || v.test_count > SPAMD_TESTS_MAX || !is_lines(v.report, v.report_n))
			abort();
	} else if (why.text[0] == '\0' || !mw_is_printable(why.text, strlen(why.text))) {
		abort();
	}
	spamd_reply_fini(&r);
	return 0;
}
