/*
 * One scan job on its way: to a cage, then with its leaves to the scanners beside libclamav, then,
 * where none gave a verdict, to those of av_scanners_backup. What they found goes into the one
 * verdict.
 */
#ifndef SCAN_AV_CHECK_H
#define SCAN_AV_CHECK_H

#include "av_scan.h"

#define AVC_LISTS 2 /* av_scanners, av_scanners_backup */

/* How libclamav stands among what was told of a list. */
struct avc_told {
	struct avs_result others;
	bool builtin_asked;
	enum avs_answer builtin;
	char builtin_why[AVS_WHY_MAX];
};

/*
 * findings: of the cage. Append them to *b with the others' finds among the viruses, `scanners`
 * telling how each fared, and "engine" gone from the limits where drop_engine: it stood for an
 * engine that failed, and others answered.
 */
void avc_merge(struct mw_pack *b, struct mw_octets findings, const char *builtin_name,
	const struct avc_told *told, unsigned lists, bool drop_engine);
/* Some list has a verdict. */
bool avc_answered(const struct avc_told *told);
/* "clamd: Connection refused; ..." of everybody who failed. */
void avc_why(char *text, size_t size, const struct avc_told *told, unsigned lists,
	const char *builtin_name);
/* Limits that are left of the findings; -1: there is no such list. */
int avc_limits(struct mw_octets findings, bool drop_engine);
/* What libclamav, which was asked, says of the mail: a find is one, whatever happened after it. */
enum avs_answer avc_builtin(enum scan_engine_end end, struct mw_octets findings);
/* Their viruses; -1: there is no such list. */
int avc_viruses(struct mw_octets findings);

#endif
