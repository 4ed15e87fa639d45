/* mailweir quarantine release. */
#include <stdlib.h>
#include <unistd.h>

#include "quarantine.h"

/* A reply for each recipient; false: not all are well. */
bool qtool_put_replies(const char *mail_id, char *answer)
{
	bool ok = true, any = false;
	char *save = NULL;

	for (char *line = strtok_r(answer, "\r\n", &save); line != NULL;
		line = strtok_r(NULL, "\r\n", &save)) {
		if (strncmp(line, "setreply=", 9) != 0)
			continue;
		qtool_decode(line + 9);
		any = true;
		ok = ok && line[9] == '2';
		printf("%s: ", mail_id);
		qtool_put_text(stdout, line + 9, strlen(line + 9), 600);
		putchar('\n');
	}
	return ok && any;
}

static bool release(const struct qtool *t, int fd, const char *mail_id)
{
	struct mw_text request = { 0 }, answer = { 0 };
	bool ok;

	qtool_add_line(&request, "request", t->requeue ? "requeue" : "release");
	qtool_add_line(&request, "mail_id", mail_id);
	if (t->recipient != NULL)
		qtool_add_line(&request, "recipient", t->recipient);
	if (t->no_scan)
		qtool_add_line(&request, "rescan", "no");
	if (t->again)
		qtool_add_line(&request, "again", "yes");
	ok = qtool_ask(fd, &request, &answer);
	if (!ok)
		fprintf(stderr, "mailweir: %s: no answer; see smtp-front's log\n", mail_id);
	else
		ok = qtool_put_replies(mail_id, answer.p);
	mw_text_fini(&request);
	mw_text_fini(&answer);
	return ok;
}

int qtool_release(struct qtool *t)
{
	int fd = qtool_front(t), code = MW_TOOL_OK;

	if (fd < 0)
		return MW_TOOL_FAILED;
	for (size_t i = 0; i < t->name_count; i++)
		if (!release(t, fd, t->names[i]))
			code = MW_TOOL_FAILED;
	close(fd);
	return code;
}
