#include "mail_fill.h"

static void forget_octets(struct mail_fill *l)
{
	smtp_body_unref(&l->body);
	mw_batch_fini(&l->batch);
	mw_text_fini(&l->unwrapped);
	l->batch = (struct mw_batch){ 0 };
	l->unwrapped = (struct mw_text){ 0 };
}

void mail_fill_begin(struct mail_fill *l, struct smtp_body_pool *bodies, size_t hint)
{
	forget_octets(l);
	l->err.text[0] = '\0';
	l->eight_bit = l->begun = l->in_batch = false;
	l->last = '\n'; /* an empty mail needs no line end */
	/* Lines are 40 octets long, or longer. */
	l->body = smtp_body_new(bodies, hint + hint / 32);
	l->rc = l->body != NULL ? MW_OK : MW_ERR_NOMEM;
}

void mail_fill_fini(struct mail_fill *l)
{
	forget_octets(l);
}

static void keep(struct mail_fill *l, size_t n)
{
	enum mw_rc rc;

	if (smtp_body_size(l->body) + n > l->limit) {
		l->rc = mw_fail(&l->err, MW_ERR_LIMIT,
			"message size exceeds smtpd_message_size_limit of %llu octets",
			(unsigned long long)l->limit);
		return;
	}
	rc = smtp_body_append(l->body, l->out, n, &l->err);
	l->rc = rc == MW_ERR_LIMIT ? MW_AGAIN : rc;
}

/* LF to CRLF on the way into the body. */
static void take(struct mail_fill *l, const unsigned char *p, size_t n)
{
	size_t at = 0, out = 0;
	unsigned char high = 0;

	for (size_t i = 0; i < n; i++)
		high |= p[i];
	l->eight_bit |= high > 0x7f;
	while (at < n) {
		const unsigned char *lf = memchr(p + at, '\n', n - at);
		size_t run = (lf != NULL ? (size_t)(lf - p) : n) - at;

		if (run > 0) {
			memcpy(l->out + out, p + at, run);
			l->last = p[at + run - 1];
		}
		out += run;
		at += run;
		if (lf == NULL)
			break;
		if (l->last != '\r')
			l->out[out++] = '\r';
		l->out[out++] = '\n';
		l->last = '\n';
		at++;
	}
	keep(l, out);
}

static void take_batch(struct mail_fill *l, const unsigned char *p, size_t n)
{
	mw_text_clear(&l->unwrapped);
	if (mw_batch_feed(&l->batch, mw_octets_of(p, n), &l->unwrapped) < 0)
		l->rc = mw_fail(&l->err, MW_ERR_PROTO, "batch SMTP that cannot be understood");
	/* The envelope, up to a megabyte, comes out at once. */
	for (size_t at = 0; at < l->unwrapped.n && l->rc == MW_OK; at += MAIL_FILL_OCTETS) {
		size_t left = l->unwrapped.n - at;

		take(l, (const unsigned char *)l->unwrapped.p + at,
			left < MAIL_FILL_OCTETS ? left : MAIL_FILL_OCTETS);
	}
}

bool mail_fill_take(struct mail_fill *l, const unsigned char *p, size_t n)
{
	if (l->rc != MW_OK)
		return false;
	if (!l->begun && n > 0)
		l->in_batch = l->unwraps && mw_batch_begins(mw_octets_of(p, n));
	l->begun = l->begun || n > 0;
	if (l->in_batch)
		take_batch(l, p, n);
	else
		take(l, p, n);
	return l->rc == MW_OK;
}

void mail_fill_end(struct mail_fill *l)
{
	if (l->rc == MW_OK && l->in_batch && !l->batch.over)
		l->rc = mw_fail(&l->err, MW_ERR_PROTO, "batch SMTP that ends in the middle");
	if (l->rc == MW_OK && l->last != '\n' && smtp_body_size(l->body) > 0) {
		memcpy(l->out, "\r\n", 2);
		keep(l, 2);
	}
	if (l->rc == MW_OK)
		l->rc = smtp_body_seal(l->body, &l->err);
}
