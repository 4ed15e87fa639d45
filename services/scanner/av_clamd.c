#include "av_clamd.h"

#define ID_DIGITS_MAX 9

static int refuse(struct clamd_reply *r, const char *why)
{
	mw_strlcpy(r->text, why, sizeof(r->text));
	return -1;
}

static bool ends_with(const char *text, size_t n, const char *end)
{
	size_t m = strlen(end);

	return n >= m && memcmp(text + n - m, end, m) == 0;
}

/* Printable, cut before its last `less` octets. */
static void copy_text(struct clamd_reply *r, const char *text, size_t n)
{
	mw_strncpy(r->text, sizeof(r->text), text, n);
	for (char *p = r->text; *p != '\0'; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
}

static const char *read_id(const char *p, uint64_t *id_r)
{
	const char *from = p;

	for (*id_r = 0; *p >= '0' && *p <= '9' && p - from < ID_DIGITS_MAX; p++)
		*id_r = *id_r * 10 + (uint64_t)(*p - '0');
	return p > from && p[0] == ':' && p[1] == ' ' ? p + 2 : NULL;
}

static int read_reply(const char *line, size_t n, struct clamd_reply *r)
{
	const char *text = read_id(line, &r->id), *file;
	size_t left;

	if (text == NULL) /* "COMMAND READ TIMED OUT", "INSTREAM size limit exceeded. ERROR" */
		return copy_text(r, line, n), -1;
	left = n - (size_t)(text - line);
	/* The file comes first ("stream", "fd[9]"); clamd's own names have no colon in them. */
	file = memchr(text, ':', left);
	if (ends_with(text, left, " ERROR")) {
		r->word = CLAMD_ERROR;
		copy_text(r, text, left - strlen(" ERROR"));
		return 1;
	}
	if (file == NULL || file[1] != ' ')
		return refuse(r, "not clamd's reply");
	left -= (size_t)(file + 2 - text);
	text = file + 2;
	r->text[0] = '\0';
	if (left == 2 && memcmp(text, "OK", 2) == 0) {
		r->word = CLAMD_OK;
		return 1;
	}
	if (!ends_with(text, left, " FOUND"))
		return refuse(r, "not clamd's reply");
	r->word = CLAMD_FOUND;
	copy_text(r, text, left - strlen(" FOUND"));
	return 1;
}

int clamd_read(struct clamd_reader *r, struct mw_octets *in, struct clamd_reply *reply_r)
{
	const unsigned char *nul = in->n > 0 ? memchr(in->p, '\0', in->n) : NULL;
	size_t take = nul != NULL ? (size_t)(nul - in->p) : in->n, n;

	if (take >= sizeof(r->buf) - r->n)
		return refuse(reply_r, "reply too long");
	if (take > 0)
		memcpy(r->buf + r->n, in->p, take);
	r->n += take;
	*in = mw_octets_of(in->p + take + (nul != NULL), in->n - take - (nul != NULL));
	if (nul == NULL)
		return 0;
	n = r->n;
	r->buf[n] = '\0';
	r->n = 0;
	return read_reply(r->buf, n, reply_r);
}

void clamd_asked(struct clamd_session *s, size_t file)
{
	s->out[s->waiting].id = ++s->asked;
	s->out[s->waiting++].file = file;
}

bool clamd_answered(struct clamd_session *s, uint64_t id, size_t *file_r)
{
	for (unsigned i = 0; i < s->waiting; i++) {
		if (s->out[i].id != id)
			continue;
		*file_r = s->out[i].file;
		s->out[i] = s->out[--s->waiting];
		return true;
	}
	return false;
}
