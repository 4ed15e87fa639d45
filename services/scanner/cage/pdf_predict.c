/* Predictors of PDF (ISO 32000-1 section 7.4.4.4): what deflates better than the octets themselves.
 */
#include "pdf.h"

#include <stdlib.h>

#define TIFF 2
#define PNG 10			   /* and above: each row says which one it is */
#define ROW_MOST ((size_t)1 << 30) /* octets; a longer one is the only one */

static size_t or_else(uint32_t n, size_t usual)
{
	return n != 0 ? n : usual;
}

/* What PNG's fourth filter takes for the octet: left, above, or above left. */
static unsigned paeth(int left, int above, int corner)
{
	int p = left + above - corner;
	int a = abs(p - left), b = abs(p - above), c = abs(p - corner);

	return (unsigned)(a <= b && a <= c ? left : b <= c ? above : corner);
}

/* One row of n octets at p, behind the one that stands at `above` (NULL: none). */
static void undo_row(
	unsigned how, unsigned char *p, const unsigned char *above, size_t n, size_t pixel)
{
	for (size_t i = 0; i < n; i++) {
		unsigned left = i >= pixel ? p[i - pixel] : 0, up = above != NULL ? above[i] : 0,
			 corner = above != NULL && i >= pixel ? above[i - pixel] : 0;

		p[i] = (unsigned char)(p[i] +
				       (how == 1	  ? left
					       : how == 2 ? up
					       : how == 3 ? (left + up) / 2
					       : how == 4 ? paeth((int)left, (int)up, (int)corner)
							  : 0));
	}
}

static void undo_png(struct doc_buf *buf, size_t row, size_t pixel)
{
	const unsigned char *above = NULL;
	size_t from = 0, to = 0;

	while (from < buf->n) {
		unsigned how = buf->p[from++];
		size_t n = row < buf->n - from ? row : buf->n - from;

		memmove(buf->p + to, buf->p + from, n);
		undo_row(how, buf->p + to, above, n, pixel);
		above = buf->p + to;
		from += n;
		to += n;
	}
	buf->n = to;
}

/* Differences of octets to the pixel on the left. */
static void undo_tiff(struct doc_buf *buf, size_t row, size_t colors)
{
	for (size_t at = 0; at < buf->n; at += row)
		undo_row(1, buf->p + at, NULL, row < buf->n - at ? row : buf->n - at, colors);
}

enum container_end pdf_unpredict(const struct pdf_step *step, struct doc_buf *buf)
{
	size_t colors = or_else(step->colors, 1), bits = or_else(step->bits, 8),
	       columns = or_else(step->columns, 1), row, pixel;

	if (step->predictor < TIFF || buf->n == 0)
		return CONTAINER_WHOLE;
	if (colors > UINT16_MAX || bits > 32 ||
		(step->predictor < PNG && (step->predictor != TIFF || bits != 8)))
		return CONTAINER_BROKEN;
	row = (colors * bits * columns + 7) / 8;
	row = row < ROW_MOST ? row : ROW_MOST;
	pixel = (colors * bits + 7) / 8;
	if (step->predictor >= PNG)
		undo_png(buf, row, pixel);
	else
		undo_tiff(buf, row, colors);
	return CONTAINER_WHOLE;
}
