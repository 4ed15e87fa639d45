#include "lines.h"

#include <stdlib.h>

void logsvc_lines_init(struct logsvc_lines *l, uint64_t most)
{
	*l = (struct logsvc_lines){ .most = most };
	l->end = &l->first;
}

void logsvc_lines_fini(struct logsvc_lines *l)
{
	while (l->first != NULL) {
		struct logsvc_line *next = l->first->next;

		free(l->first->mail);
		free(l->first);
		l->first = next;
	}
	l->end = &l->first;
}

void logsvc_lines_add_cursor(struct logsvc_lines *l, struct logsvc_cursor *c)
{
	l->cursors[l->cursor_count++] = c;
}

void logsvc_position_set(struct logsvc_lines *l, uint64_t incarnation, uint64_t sequence)
{
	size_t i = 0;

	while (i < l->position_count && l->positions[i].incarnation != incarnation)
		i++;
	if (i < l->position_count && l->positions[i].sequence >= sequence)
		return;
	if (i == l->position_count && i == LOGSVC_POSITIONS_MAX)
		i = 0; /* the one that is longest without a record goes */
	else if (i == l->position_count)
		l->position_count++;
	memmove(&l->positions[i], &l->positions[i + 1],
		(l->position_count - 1 - i) * sizeof(l->positions[0]));
	l->positions[l->position_count - 1] = (struct mw_position){ incarnation, sequence };
	l->moved = true;
}

static size_t octets_of(const struct logsvc_line *line)
{
	return line->n + (line->mail != NULL ? line->mail->frame_n : 0);
}

static void free_done(struct logsvc_lines *l)
{
	while (l->first != NULL && l->first->left == 0) {
		struct logsvc_line *line = l->first;

		if (line->sequence > 0)
			logsvc_position_set(l, line->incarnation, line->sequence);
		l->octets -= octets_of(line);
		l->first = line->next;
		if (l->first == NULL)
			l->end = &l->first;
		free(line->mail);
		free(line);
	}
}

struct logsvc_mail *logsvc_mail_new(struct mw_octets mail_id, struct mw_octets message_id,
	uint64_t time_ms, struct mw_octets frame)
{
	struct logsvc_mail *m = malloc(sizeof(*m) + frame.n + mail_id.n + message_id.n + 2);
	char *at = (char *)(m + 1);

	if (m == NULL)
		return NULL;
	*m = (struct logsvc_mail){ .time_ms = time_ms, .frame = at, .frame_n = frame.n };
	memcpy(at, frame.p, frame.n);
	m->mail_id = at += frame.n;
	if (mail_id.n > 0)
		memcpy(at, mail_id.p, mail_id.n);
	at[mail_id.n] = '\0';
	m->message_id = at += mail_id.n + 1;
	if (message_id.n > 0)
		memcpy(at, message_id.p, message_id.n);
	at[message_id.n] = '\0';
	return m;
}

bool logsvc_lines_add(struct logsvc_lines *l, uint64_t incarnation, uint64_t sequence,
	const char *redis_key, struct mw_octets text, struct logsvc_mail *mail)
{
	size_t cursors = l->cursor_count, key_n = redis_key != NULL ? strlen(redis_key) + 1 : 0;
	struct logsvc_line *line = malloc(sizeof(*line) + text.n + 1 + key_n);

	if (line == NULL) {
		free(mail);
		return false;
	}
	*line = (struct logsvc_line){
		.incarnation = incarnation, .sequence = sequence, .n = text.n + 1
	};
	line->left = (unsigned)l->cursor_count;
	line->mail = mail;
	memcpy(line->text, text.p, text.n);
	line->text[text.n] = '\n';
	if (redis_key != NULL)
		line->redis_key = memcpy(line->text + text.n + 1, redis_key, key_n);
	*l->end = line;
	l->end = &line->next;
	l->octets += octets_of(line);
	for (size_t i = 0; i < l->cursor_count; i++) {
		struct logsvc_cursor *c = l->cursors[i];

		c->waiting++;
		c->waiting_octets += octets_of(line);
		if (c->at == NULL)
			c->at = line;
	}
	/* Only told when all cursors know of it: the first one told may be done with it at once. */
	for (size_t i = 0; i < cursors; i++)
		l->cursors[i]->more(l->cursors[i]->arg, line);
	free_done(l); /* no output at all: nothing is kept */
	return true;
}

void logsvc_cursor_next(struct logsvc_lines *l, struct logsvc_cursor *c)
{
	struct logsvc_line *line = c->at;

	c->at = line->next;
	c->waiting--;
	c->waiting_octets -= octets_of(line);
	c->done++;
	line->left--;
	free_done(l);
}

bool logsvc_lines_make_room(struct logsvc_lines *l)
{
	for (size_t i = 0; i < l->cursor_count; i++) {
		struct logsvc_cursor *c = l->cursors[i];

		if (!c->lossy || l->octets <= l->most || c->waiting_octets <= l->most / 2)
			continue;
		c->before_skip(c->arg);
		while (c->at != NULL && c->waiting_octets > l->most / 2) {
			logsvc_cursor_next(l, c);
			c->done--;
			c->skipped++;
			c->untold++;
		}
	}
	return l->octets <= l->most;
}

bool logsvc_lines_roomy(const struct logsvc_lines *l)
{
	return l->octets <= l->most / 2;
}
