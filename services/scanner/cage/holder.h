/* The engine holder: loads the signatures once, forks cages that share them, replaces those that
 * die. One thread, one poll loop; no network, no ZeroMQ. Ends when its control socket does. */
#ifndef SCAN_HOLDER_H
#define SCAN_HOLDER_H

/* control: the socket to the scanner. Returns main's exit code. */
int holder_run(int control);

#endif
