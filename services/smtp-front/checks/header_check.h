/*
 * What a header section breaks: decision.md 5, with amavisd's words. One pass over its octets; a
 * section without a fault allocates nothing.
 */
#ifndef SMTP_HEADER_CHECK_H
#define SMTP_HEADER_CHECK_H

#include "transaction.h"

#define HEADER_FINDINGS_MAX 100 /* amavisd's; more are not told, but their kinds are */

/* The names of allowed_header_tests. */
enum header_test {
	HEADER_TEST_OTHER, /* amavisd has the name, and no test for it */
	HEADER_TEST_MIME,
	HEADER_TEST_SYNTAX,
	HEADER_TEST_EMPTY,
	HEADER_TEST_LONG,
	HEADER_TEST_CONTROL,
	HEADER_TEST_8BIT,
	HEADER_TEST_UTF8,
	HEADER_TEST_MISSING,
	HEADER_TEST_MULTIPLE,
	HEADER_TESTS
};

/* Minors of MW_CC_BADH (record.h). */
enum header_minor {
	HEADER_BAD_MIME = 1,
	HEADER_BAD_8BIT,
	HEADER_BAD_CONTROL,
	HEADER_BAD_EMPTY,
	HEADER_BAD_LONG,
	HEADER_BAD_SYNTAX,
	HEADER_BAD_MISSING,
	HEADER_BAD_DUPLICATE
};

/* allowed_header_tests as bits of enum header_test. err_r: what is wrong with it. */
enum mw_rc header_tests_of(const struct mw_conf *conf, unsigned *tests_r, struct mw_err *err_r);

/*
 * The tests, but for that of MIME. smtputf8: the mail came with that (RFC 6532 allows UTF-8 in its
 * values then). Texts go to the arena. MW_OK or MW_ERR_NOMEM.
 */
enum mw_rc header_check(struct smtp_arena *a, const struct mw_header *h, unsigned tests,
	bool smtputf8, struct header_findings *r);

/*
 * All of it for a mail whose scan is over, into t->badh. Nothing when all recipients bypass it.
 * MW_OK or MW_ERR_NOMEM.
 */
enum mw_rc header_check_mail(struct txn *t);

#endif
