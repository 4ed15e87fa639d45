/* What becomes of each recipient, in our words or the next hop's. */
#include "client_results.h"

#include <stdlib.h>

void client_tell(struct delivery_rcpt *r, unsigned code, const char *text)
{
	struct mw_text t = { 0 };

	free(r->text);
	r->code = code;
	mw_text_add(&t, text);
	r->text = t.p; /* NULL without memory: the caller has words of its own then */
}

void client_tell_reply(struct client *c, struct delivery_rcpt *r, const char *dflt)
{
	/* A 3xx where none belongs says neither yes nor no, a 2xx before the final dot promises
	 * nothing: later. */
	unsigned class = c->reply.code / 100;
	unsigned code = class == 3 || (class == 2 && c->state != CLIENT_DOT) ? 451 : c->reply.code;
	char enhanced[16];
	struct mw_text t = { 0 };

	mw_text_addf(&t, "%u %s from MTA(%s): %u %s", code,
		code == c->reply.code ? smtp_reply_enhanced(&c->reply, dflt, enhanced) : "4.5.0",
		c->hop.text, c->reply.code, c->reply.text);
	client_tell(r, code, t.p != NULL ? t.p : "");
	r->own_words = true;
	r->dsn_known = c->offers.dsn && !c->run->mail->no_dsn;
	mw_text_fini(&t);
}

void client_tell_all(
	struct delivery_run *run, unsigned code, const char *enhanced, const char *text)
{
	struct mw_text t = { 0 };

	mw_text_addf(&t, "%u %s %s", code, enhanced, text);
	for (size_t i = 0; i < run->mail->rcpt_count; i++)
		if (run->mail->rcpts[i].code == 0 || run->mail->rcpts[i].code == RCPT_LATER)
			client_tell(&run->mail->rcpts[i], code, t.p != NULL ? t.p : "");
	mw_text_fini(&t);
}

struct delivery_rcpt *client_active(const struct client *c, size_t i)
{
	return &c->run->mail->rcpts[c->active[i]];
}

void client_tell_rest(struct client *c, const char *dflt)
{
	for (size_t i = 0; i < c->active_count; i++)
		if (client_active(c, i)->code == 0)
			client_tell_reply(c, client_active(c, i), dflt);
}

bool client_wake_later(struct client *c)
{
	const struct delivery_mail *m = c->run->mail;
	bool any = c->later > 0;

	for (size_t i = 0; any && i < m->rcpt_count; i++)
		if (m->rcpts[i].code == RCPT_LATER)
			m->rcpts[i].code = 0;
	c->later = 0;
	return any;
}

/*
 * RFC 5321 section 4.5.3.1.10: 452, and 552 from servers that follow RFC 821's error; RFC 3463:
 * x.5.3. 452 is said of full mailboxes and disks too (4.2.2, 4.3.1): these are refused for now.
 */
bool client_too_many(const struct smtp_reply *r)
{
	char buf[16];
	const char *enhanced = smtp_reply_enhanced(r, "", buf);

	if (r->code == 452)
		return enhanced[1] == '\0' || strcmp(enhanced, "4.5.3") == 0;
	return r->code == 552 && strcmp(enhanced, "5.5.3") == 0;
}
