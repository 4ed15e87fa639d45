/* fuzz: common services/scanner/cage */
/* What scanner, holder and cages say to each other: a cage may be in an attacker's hands. */
#include "proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mw_octets m = mw_octets_of(data, size), rest;
	struct scan_conf conf;
	struct scan_engine engine;
	struct scan_born born;
	struct scan_died died;
	struct scan_order order;
	struct scan_result result;
	char text[64];
	uint64_t n;

	scan_message_type(m);
	scan_conf_decode(m, &conf);
	scan_engine_decode(m, &engine);
	scan_born_decode(m, &born);
	scan_died_decode(m, &died);
	if (scan_order_decode(m, &order, &rest) == MW_OK && rest.n > size)
		__builtin_trap();
	if (scan_result_decode(m, &result) == MW_OK)
		mw_map_int(result.findings, "parts", 0);
	scan_text_decode(m, text, sizeof(text));
	scan_number_decode(m, &n);
	return 0;
}
