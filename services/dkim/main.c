#include "checks.h"

int main(int argc, char **argv)
{
	struct mw_check checks[] = { dkimsvc_auth_check, dkimsvc_sign_check };

	return mw_worker_main(argc, argv, "dkim", checks, MW_COUNT(checks));
}
