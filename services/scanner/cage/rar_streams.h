/*
 * What of a RAR libarchive does not tell: streams of NTFS that stand in service blocks behind files
 * (technote.htm, "STM"), which WinRAR writes back under names that have led out of the folder
 * (CVE-2025-8088); and files that go on in another volume, which come out as whole, or not at all.
 */
#ifndef SCAN_RAR_STREAMS_H
#define SCAN_RAR_STREAMS_H

#include "container.h"

/*
 * Give each stream out, by rar_give_block with the reader of RAR that `open` is. And of each file
 * that is cut what there is, as broken. Octets that are no RAR have neither.
 */
enum container_end rar_give_streams(const struct container_job *job,
	enum container_end (*open)(const struct container_job *job));

#endif
