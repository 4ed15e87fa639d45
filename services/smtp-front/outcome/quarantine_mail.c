/* A copy as a mail to the quarantine's address: 2xx from its next hop, or the copy is not kept. */
#include "quarantine_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "own_mail.h"

static void sent(void *arg, unsigned code, const char *text)
{
	struct quarantine_job *j = arg;
	char error[256];

	j->work = NULL;
	snprintf(error, sizeof(error), "reply=%.200s", text);
	for (char *p = error; *p != '\0'; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	quarantine_copy_done(j, code / 100 == 2 ? MW_OK : MW_ERR_GONE, error);
}

static enum mw_rc send_copy(
	struct quarantine_job *j, const struct txn_copy *c, const struct mw_text *head)
{
	struct txn *t = j->txn;
	struct own_mail_rcpt *rcpts = calloc(c->to_count, sizeof(*rcpts));
	const char *sender = t->policy->quarantine_sender;
	struct own_mail_spec spec = {
		.kind = MW_OWN_COPY,
		.sender = sender != NULL ? sender : t->sender,
		.params = { .body = t->params.body, .smtputf8 = t->params.smtputf8 },
		.rcpts = rcpts,
		.rcpt_count = c->to_count,
		.route = c->route,
		.fields = head->p,
		.body = t->body,
		.done = sent,
		.arg = j,
	};

	if (rcpts == NULL)
		return MW_ERR_NOMEM;
	for (size_t i = 0; i < c->to_count; i++) {
		rcpts[i].addr = c->to[i];
		/* The sender is not told of the fate of a copy. */
		rcpts[i].params.notify = sender == NULL ? SMTP_NOTIFY_NEVER : 0;
	}
	j->work = own_mail_send(t, &spec);
	free(rcpts);
	return j->work != NULL ? MW_OK : MW_ERR_GONE;
}

static enum mw_rc mail_start(struct quarantine_job *j, struct txn_copy *c)
{
	struct mw_text head = { 0 };
	enum mw_rc rc = MW_ERR_NOMEM;

	quarantine_head(j->txn, c, &head);
	if (!head.failed)
		rc = send_copy(j, c, &head);
	mw_text_fini(&head);
	return rc;
}

static void mail_forget(struct quarantine_job *j)
{
	struct own_mail *m = j->work;

	j->work = NULL;
	own_mail_cancel(&m);
}

const struct quarantine_way quarantine_way_mail = { mail_start, mail_forget };
