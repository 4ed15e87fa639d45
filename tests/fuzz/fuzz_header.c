/* fuzz: common */
/* Header index: for any octets the fields tile the section and every view stays inside its field.
 */
#include <stdlib.h>

#include "header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise)
{
	if (!promise)
		abort();
}

static bool inside(const struct mw_header *h, const struct mw_field *f, struct mw_octets o)
{
	return o.p >= h->section.p + f->at && o.p + o.n <= h->section.p + f->end;
}

static void look_at_field(const struct mw_header *h, const struct mw_field *f)
{
	char wide[512], narrow[5];
	size_t n = mw_field_unfold(h, f, wide, sizeof(wide));
	size_t m = mw_field_unfold(h, f, narrow, sizeof(narrow));

	require(f->id < MW_H_COUNT);
	require(inside(h, f, mw_field_name(h, f)) && inside(h, f, mw_field_value(h, f)));
	require(n < sizeof(wide) && wide[n] == '\0' && m < sizeof(narrow) && narrow[m] == '\0');
	require(m == (n < sizeof(narrow) ? n : sizeof(narrow) - 1) && memcmp(wide, narrow, m) == 0);
	require(memmem(wide, n, "\r\n", 2) ==
		NULL); /* a CR before a fold meets a blank, never a LF */
}

static void look_at(const struct mw_header *h, struct mw_octets message)
{
	size_t at = 0;

	for (size_t i = 0; i < h->count; i++) {
		require(h->fields[i].at == at && h->fields[i].end > at);
		at = h->fields[i].end;
		look_at_field(h, &h->fields[i]);
	}
	require(at == h->section.n && h->body <= message.n);
	require(h->body == h->section.n + 2 || (h->body == h->section.n && h->body == message.n));
	for (int id = 0; id < MW_H_COUNT; id++) {
		const struct mw_field *first = mw_header_first(h, (enum mw_field_id)id);
		const struct mw_field *last = mw_header_last(h, (enum mw_field_id)id);

		require((first == NULL) == (last == NULL) && (first == NULL || first <= last));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mw_header kept; /* used again and again, as the front does */
	struct mw_header fresh = { 0 };
	struct mw_octets message = mw_octets_of(data, size);
	enum mw_rc rc = mw_header_index(&kept, message);

	require(rc == mw_header_index(&fresh, message) && fresh.count == kept.count);
	if (rc == MW_OK)
		look_at(&kept, message);
	mw_header_fini(&fresh);
	return 0;
}
