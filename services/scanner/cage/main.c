/* mailweir-cage: started by mailweir-scanner, never by hand. */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "holder.h"
#include "log.h"
#include "program.h"
#include "proto.h"

#define EX_USAGE 64

int main(int argc, char **argv)
{
	bool program = argc == 2 && strcmp(argv[1], "program") == 0;
	int type = 0;
	socklen_t n = sizeof(type);

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		printf("mailweir-cage %s\n", MW_VERSION);
		return 0;
	}
	if ((argc != 1 && !program) ||
		getsockopt(SCAN_CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &n) != 0 ||
		type != SOCK_SEQPACKET) {
		fprintf(stderr, "mailweir-cage is the engine holder of mailweir-scanner, which "
				"starts it; there is nothing "
				"to start by hand.\n");
		return EX_USAGE;
	}
	close_range(SCAN_CONTROL_FD + 1, ~0u, 0);
	mw_log_open("cage", MW_INFO);
	return program ? program_serve(SCAN_CONTROL_FD) : holder_run(SCAN_CONTROL_FD);
}
