/*
 * The temporary folders: scanner.temp_dir holds one folder a holder, which holds one a cage. A
 * holder keeps a lock on its own, so that the next one can tell folders of the dead from those of
 * the living and remove them.
 */
#ifndef SCAN_FOLDERS_H
#define SCAN_FOLDERS_H

#include "base.h"

/* Make temp_dir if need be, remove what dead holders left there, make a folder of our own; its path
 * into root_r. */
enum mw_rc folders_open(char *root_r, size_t size, const char *temp_dir, struct mw_err *err);
void folders_close(const char *root);

#endif
