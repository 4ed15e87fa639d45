/*
 * `mailweir-cage program`: one mail's files given to one command-line scanner. A process of its own
 * kind: it parses nothing, writes the files into a private folder, and runs the program behind
 * limits (program_box.h). One order, then it ends.
 */
#ifndef SCAN_PROGRAM_H
#define SCAN_PROGRAM_H

/* Returns main's exit code. */
int program_serve(int control);

#endif
