/* fuzz: common tools */
/* `mailweir status`: any JSON is drawn within the terminal's bounds, in printable ASCII only. */
#include <stdlib.h>

#include "status_view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise)
{
	if (!promise)
		abort();
}

static void draw(const json_t *state, unsigned width, unsigned rows)
{
	static struct status_view v;

	status_view_build(&v, state, NULL, width, rows);
	require(rows == 0 || v.count <= rows);
	for (size_t i = 0; i < v.count; i++) {
		size_t n = strlen(v.lines[i].text);

		require(n <= v.width && mw_is_printable(v.lines[i].text, n));
		require(v.lines[i].look < STATUS_LOOK_COUNT);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *state = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);

	draw(state, 80, 24);
	draw(state, 200, 0);
	draw(state, 1, 1);
	json_decref(state);
	return 0;
}
