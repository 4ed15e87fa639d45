#include "smtp_answer.h"

#define WORDS_MAX                                                                                  \
	480 /* octets of words on one line: with code, enhanced code and CRLF below 512            \
	     */

void smtp_answer(struct mw_text *out, const char *text)
{
	char enhanced[16] = "";
	const char *p = text;

	if (strcspn(text, " ") == 3) { /* the code, and the enhanced code when there is one */
		size_t n = strspn(text + 4, "0123456789.");

		if (n > 4 && n < 12 && text[4 + n] == ' ')
			mw_strncpy(enhanced, sizeof(enhanced), text + 4, n + 1);
		p = text + 4 + strlen(enhanced);
	}
	do {
		size_t line = strcspn(p, "\n");
		bool last;

		line = line > WORDS_MAX ? WORDS_MAX : line;
		last = p[line] == '\0' || (p[line] == '\n' && p[line + 1] == '\0');
		mw_text_addf(
			out, "%.3s%c%s%.*s\r\n", text, last ? ' ' : '-', enhanced, (int)line, p);
		p += line + (p[line] == '\n');
	} while (*p != '\0');
}
