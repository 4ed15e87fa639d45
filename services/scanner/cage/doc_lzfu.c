/* Compressed RTF as MAPI keeps it ([MS-OXRTFCP]): LZ77 over a window that begins with usual words.
 */
#include "doc.h"

#define HEAD 16
#define LZFU 0x75465a4c /* compressed */
#define MELA 0x414c454d /* as it is */
#define WINDOW 4096
#define GROUP_MAX (8 * 17) /* octets that one control octet stands for */

static const char prefix[] =
	"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss "
	"\\fmodern \\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl"
	"\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx";

struct window {
	unsigned char p[WINDOW];
	unsigned at;
};

/* One more octet, into the window and into the group. */
static void put_octet(struct window *w, unsigned char group[GROUP_MAX], size_t *n, unsigned char c)
{
	w->p[w->at] = c;
	w->at = (w->at + 1) % WINDOW;
	group[(*n)++] = c;
}

/* Eight literals or references; false: that was the last. */
static bool take_group(struct window *w, struct mw_octets in, size_t *at_p,
	unsigned char group[GROUP_MAX], size_t *n_r)
{
	unsigned control = doc_u8(in, (*at_p)++);

	*n_r = 0;
	for (unsigned i = 0; i < 8; i++, control >>= 1) {
		unsigned from, length;

		if (*at_p >= in.n)
			return false;
		if ((control & 1) == 0) {
			put_octet(w, group, n_r, in.p[(*at_p)++]);
			continue;
		}
		from = doc_u8(in, *at_p) << 4 | doc_u8(in, *at_p + 1) >> 4;
		length = (doc_u8(in, *at_p + 1) & 15) + 2;
		*at_p += 2;
		if (from == w->at)
			return false;
		for (; length > 0; length--, from = (from + 1) % WINDOW)
			put_octet(w, group, n_r, w->p[from]);
	}
	return true;
}

enum container_end doc_lzfu(struct budget *budget, struct mw_octets in, struct doc_buf *buf)
{
	struct window w = { .at = sizeof(prefix) - 1 };
	unsigned char group[GROUP_MAX];
	enum container_end end;
	size_t at = HEAD, n;
	bool more = true;

	if (doc_u32(in, 8) == MELA)
		return doc_add(budget, buf, doc_from(in, HEAD).p, doc_from(in, HEAD).n);
	if (doc_u32(in, 8) != LZFU)
		return CONTAINER_BROKEN;
	memcpy(w.p, prefix, sizeof(prefix) - 1);
	while (more && at < in.n) {
		more = take_group(&w, in, &at, group, &n);
		end = doc_add(budget, buf, group, n);
		if (end != CONTAINER_WHOLE)
			return end;
	}
	return CONTAINER_WHOLE;
}
