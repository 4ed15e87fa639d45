/* mailweir-scanner: sockets, slots, the pool of cages, the spamd client. It opens no mail: cages
 * do. */
#include "scan_check.h"
#include "spam_check.h"

int main(int argc, char **argv)
{
	const struct mw_check checks[] = { scan_check, spam_check };

	return mw_worker_main(argc, argv, "scanner", checks, MW_COUNT(checks));
}
