#include "pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#include "idna.h"

struct mw_pattern {
	char *text;
	pcre2_code *code;
	pcre2_match_data *data;
	pcre2_match_context *limits;
};

static enum mw_rc compile(struct mw_pattern *p, struct mw_err *err_r)
{
	PCRE2_UCHAR said[128];
	PCRE2_SIZE at;
	uint32_t groups, options = PCRE2_NEVER_BACKSLASH_C;
	int code;

	if (!mw_is_ascii(p->text, strlen(p->text)))
		options |= PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF;
	p->code = pcre2_compile(
		(PCRE2_SPTR)p->text, PCRE2_ZERO_TERMINATED, options, &code, &at, NULL);
	if (p->code == NULL) {
		pcre2_get_error_message(code, said, sizeof(said));
		return mw_fail(err_r, MW_ERR_CONF, "at character %zu: %s", (size_t)at + 1,
			(const char *)said);
	}
	pcre2_pattern_info(p->code, PCRE2_INFO_CAPTURECOUNT, &groups);
	if (groups > MW_PATTERN_CAPTURES_MAX)
		return mw_fail(err_r, MW_ERR_CONF, "more than %d groups", MW_PATTERN_CAPTURES_MAX);
	/* Where no machine code can be made (memory may not be executable), the interpreter serves.
	 */
	pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);
	p->data = pcre2_match_data_create_from_pattern(p->code, NULL);
	p->limits = pcre2_match_context_create(NULL);
	if (p->data == NULL || p->limits == NULL)
		return mw_fail(err_r, MW_ERR_NOMEM, "no memory");
	pcre2_set_match_limit(p->limits, MW_PATTERN_BACKTRACKS);
	pcre2_set_depth_limit(p->limits, MW_PATTERN_BACKTRACKS);
	pcre2_set_heap_limit(p->limits, MW_PATTERN_HEAP_KIB);
	return MW_OK;
}

enum mw_rc mw_pattern_new(const char *text, struct mw_pattern **pattern_r, struct mw_err *err_r)
{
	struct mw_pattern *p;
	enum mw_rc rc;

	if (strlen(text) > MW_PATTERN_MAX)
		return mw_fail(err_r, MW_ERR_LIMIT, "more than %d octets", MW_PATTERN_MAX);
	p = calloc(1, sizeof(*p));
	if (p != NULL)
		p->text = strdup(text);
	rc = p != NULL && p->text != NULL ? compile(p, err_r)
					  : mw_fail(err_r, MW_ERR_NOMEM, "no memory");
	if (rc != MW_OK)
		mw_pattern_destroy(&p);
	else
		*pattern_r = p;
	return rc;
}

void mw_pattern_destroy(struct mw_pattern **pattern_p)
{
	struct mw_pattern *p = *pattern_p;

	*pattern_p = NULL;
	if (p == NULL)
		return;
	pcre2_match_context_free(p->limits);
	pcre2_match_data_free(p->data);
	pcre2_code_free(p->code);
	free(p->text);
	free(p);
}

const char *mw_pattern_text(const struct mw_pattern *p)
{
	return p->text;
}

unsigned mw_pattern_captures(const struct mw_pattern *p)
{
	return pcre2_get_ovector_count(p->data) - 1;
}

enum mw_rc mw_pattern_match(struct mw_pattern *p, struct mw_octets subject)
{
	PCRE2_SPTR s = subject.p != NULL ? subject.p : (PCRE2_SPTR) "";
	int rc = pcre2_match(p->code, s, subject.n, 0, 0, p->data, p->limits);

	if (rc == PCRE2_ERROR_JIT_STACKLIMIT) /* its stack is 32 KiB; the interpreter's heap is more
					       */
		rc = pcre2_match(p->code, s, subject.n, 0, PCRE2_NO_JIT, p->data, p->limits);
	if (rc > 0)
		return MW_OK;
	return rc == PCRE2_ERROR_NOMATCH ? MW_ERR_GONE : MW_ERR_LIMIT;
}

struct mw_octets mw_pattern_capture(
	const struct mw_pattern *p, struct mw_octets subject, unsigned n)
{
	const PCRE2_SIZE *at = pcre2_get_ovector_pointer(p->data);

	/* \K can put an end before its beginning. */
	if (n >= pcre2_get_ovector_count(p->data) || at[2 * n] == PCRE2_UNSET ||
		at[2 * n + 1] < at[2 * n] || at[2 * n + 1] > subject.n)
		return mw_octets_of(NULL, 0);
	return mw_octets_of(subject.p + at[2 * n], at[2 * n + 1] - at[2 * n]);
}
