/*
 * The project's own signature file: one line, the EICAR test file anywhere in a file. It is what a
 * scanner without a ClamAV database knows, so that the pipeline can be tried; data/eicar.ndb is the
 * same file for people to look at.
 */
#include "av.h"

static const char project_signatures[] =
	"Eicar-Test-Signature:0:*:"
	"58354f2150254041505b345c505a58353428505e2937434329377d2445494341"
	"522d5354414e444152442d414e544956495255532d544553542d46494c452124"
	"482b482a\n";

struct mw_octets av_project_signatures(void)
{
	return mw_octets_of(project_signatures, sizeof(project_signatures) - 1);
}
