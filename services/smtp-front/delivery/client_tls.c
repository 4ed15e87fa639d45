#include "client_tls.h"

#include <stdio.h>

#include "log.h"

bool client_tls_fits(
	const struct client *c, const struct delivery_run *run, const struct next_hop *hop)
{
	if (run->plain && hop->tls == TLS_MAY)
		return !c->secured;
	return c->hop.tls == hop->tls && (c->hop.tls == TLS_NONE || c->tls == run->mail->tls);
}

void client_tls_prepare(struct client *c, const struct delivery_run *run)
{
	c->tls = mw_tls_ctx_ref(run->mail->tls);
	/* Only may goes without: what a mail met at another hop of a list changes no other level.
	 */
	c->plain = c->hop.tls == TLS_NONE ||
		   (c->hop.tls == TLS_MAY && (run->plain || delivery_tls_is_down(c->d, &c->hop)));
}

bool client_tls_first(struct client *c, bool offered)
{
	if (c->secured || c->plain)
		return false;
	if (!offered && c->hop.tls == TLS_MAY)
		return false;
	if (!offered) {
		client_fail(c, 450, "4.7.4",
			"it does not offer STARTTLS (tls_security_level_out wants it)");
		return true;
	}
	client_say(c, "STARTTLS", CLIENT_STARTTLS);
	return true;
}

static void begin(struct client *c)
{
	if (c->tls == NULL || stream_is_writing(c->stream) || /* answered before it has read */
		!stream_start_tls(c->stream, c->tls, c->hop.host, c->hop.tls == TLS_VERIFY))
		client_fail(
			c, 450, "4.7.5", "TLS cannot begin: no memory, or a host without a name");
	else
		client_wait(c, CLIENT_TLS);
}

void client_tls_reply(struct client *c, size_t octets_behind)
{
	char text[400];

	if (c->reply.code == 220 && octets_behind == 0) {
		begin(c);
	} else if (octets_behind > 0) {
		/* Said in plaintext, to be read as if it came encrypted: somebody stands between
		 * us, or the hop cannot be talked to. Neither gets the mail (CVE-2011-0411). */
		mw_log(MW_WARN, "starttls_injection", "hop=%s octets=%zu", c->hop.text,
			octets_behind);
		c->spoilt = true; /* no falling back */
		client_fail(c, 451, "4.7.5", "octets in plaintext behind its reply to STARTTLS");
	} else if (c->hop.tls == TLS_MAY && c->reply.code != 421) {
		c->plain = true;
		client_go_on(
			c); /* it offered more than it has; this session is as good as before */
	} else {
		snprintf(text, sizeof(text), "it refuses STARTTLS: %u %.300s", c->reply.code,
			c->reply.text);
		client_fail(c, 450, "4.7.4", text);
	}
}

void client_tls_secured(void *owner, const char *failed)
{
	struct client *c = owner;
	char text[300], tls[MW_TLS_TEXT_MAX];

	if (failed != NULL) {
		snprintf(text, sizeof(text), "TLS handshake: %s", failed);
		client_fail(c, 450, "4.7.5", text);
		return;
	}
	c->secured = true;
	delivery_tls_stands(c);
	if (mw_log_wants(MW_DEBUG))
		mw_log(MW_DEBUG, "tls_out", "hop=%s tls=%s", c->hop.text,
			mw_quote(stream_tls_describe(c->stream, tls)));
	client_greet(c); /* what it offered in plaintext is forgotten (RFC 3207 section 4.2) */
}

bool client_tls_falls_back(struct client *c, struct delivery_run *run, const char *why)
{
	bool shaking = c->state == CLIENT_STARTTLS || c->state == CLIENT_TLS;

	if (!shaking)
		return false;
	if (!c->spoilt) /* else the mails of the next minute would go there in plaintext */
		delivery_tls_failed(c);
	mw_log_as(run->mail->voice, MW_WARN, "tls_failed", "log_id=%s hop=%s why=%s",
		run->mail->log_id, c->hop.text, mw_quote(why));
	if (c->hop.tls != TLS_MAY || run->plain || c->spoilt)
		return false;
	run->plain = true;
	return true;
}
