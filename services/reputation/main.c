/* mailweir-reputation: IP reputation, pen pals and correspondence history. README.md. */
#include "rep_check.h"

int main(int argc, char **argv)
{
	return mw_worker_main(argc, argv, "reputation", rep_checks, REP_CHECKS);
}
