/* mailweir keys: CURVE keys for every service, for pipelines over tcp. */
#include <stdio.h>
#include "curve.h"
#include "tools.h"

int mw_tool_keys(int argc, char **argv)
{
	struct mw_err err = { "" };

	if (argc != 2 || argv[1][0] == '-') {
		mw_tool_usage("keys DIR");
		return MW_TOOL_USAGE;
	}
	if (mw_curve_make_keys(argv[1], &err) != MW_OK) {
		fprintf(stderr, "mailweir: %s\n", err.text);
		return MW_TOOL_FAILED;
	}
	printf("keys are in %s; a host needs SERVICE.key_secret of its own services, front.key, "
	       "and on front and worker "
	       "hosts the folder authorised\n",
		argv[1]);
	return MW_TOOL_OK;
}
