/* fuzz: common services/scanner/cage */
/* An archive of any kind, two levels deep: it ends within its budget. */
#include "unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct walk {
	struct budget *budget;
	unsigned level;
};

static bool got(void *arg, const struct unpack_member *m)
{
	const struct walk *up = arg;
	struct walk down = { up->budget, up->level + 1 };
	const struct unpack_kind *kind = unpack_kind_of(m->octets);

	if (strlen(m->name) >= UNPACK_NAME_MAX)
		__builtin_trap();
	if (kind != NULL && down.level < 2)
		unpack(m->octets, kind, down.budget, got, &down);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct budget_conf conf = { 14, 50, 65536, 1 << 20, 5, 100 };
	struct mw_octets o = mw_octets_of(data, size);
	const struct unpack_kind *kind = unpack_kind_of(o);
	struct budget b;
	struct walk top = { &b, 0 };

	budget_open(&b, &conf, size, mw_mono_ms() + 1000);
	if (kind != NULL)
		unpack(o, kind, &b, got, &top);
	return 0;
}
