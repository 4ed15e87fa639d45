/*
 * How mailweir-scanner, the engine holder and its cages speak: AF_UNIX SOCK_SEQPACKET socket pairs,
 * one datagram a message, each a msgpack array [version, type, fields...]. Only scanner, holder and
 * cages of one build ever meet, but a cage may be in an attacker's hands: what comes from it is
 * read as if it came from the network.
 *
 *   scanner -> holder   conf   once, first
 *                       kill   serial: end that cage, its time is up
 *                       drain  make no new cages; end when the control socket closes
 *   scanner -> cage     leaves before a job whose decoded leaves are wanted: a memfd to write them
 * to holder -> scanner   engine what was loaded broken text: nothing could be loaded; the holder
 * ends born   serial, pid, and the scanner's end of that cage's socket pair (SCM_RIGHTS) died
 * serial, signal, exit code, by us scanner -> cage     job    header, then the octets: behind the
 * header up to SCAN_INLINE_MAX, else as a sealed memfd (SCM_RIGHTS) cage -> scanner     result
 *
 * The holder finds its control socket at descriptor SCAN_CONTROL_FD.
 */
#ifndef SCAN_PROTO_H
#define SCAN_PROTO_H

#include "budget.h"
#include "passwords.h"
#include "wire.h"

#define SCAN_CONTROL_FD 3
#define SCAN_DATAGRAM_MAX (192 * 1024) /* fits the kernel's default socket buffer of 208 KiB */
#define SCAN_INLINE_MAX (64 * 1024)    /* octets that are cheaper copied twice than mapped */
#define SCAN_HEADER_MAX 1024	       /* of a job, without its octets */
#define SCAN_FINDINGS_MAX (180 * 1024) /* of a result; findings.c keeps below */
#define SCAN_PATH_MAX 256

enum scan_message {
	SCAN_MSG_NONE,
	SCAN_MSG_CONF,
	SCAN_MSG_KILL,
	SCAN_MSG_DRAIN,
	SCAN_MSG_ENGINE,
	SCAN_MSG_BROKEN,
	SCAN_MSG_BORN,
	SCAN_MSG_DIED,
	SCAN_MSG_JOB,
	SCAN_MSG_RESULT,
	SCAN_MSG_LEAVES,
	SCAN_MSG_PROGRAM, /* program_proto.h */
	SCAN_MSG_RAN,
	SCAN_MSG_OVER,
	SCAN_MSG_COUNT
};

/* What of a mail goes to libclamav: scanner.clamav_scan. */
enum scan_mode { SCAN_BOTH, SCAN_LEAVES, SCAN_MESSAGE, SCAN_MODES };
extern const char *const scan_mode_words[SCAN_MODES];

/* Everything the holder and its cages need of the settings. */
struct scan_conf {
	uint64_t cages;
	uint64_t memory;      /* octets of address space a cage may add to what the engine takes */
	uint64_t mails;	      /* after so many a cage ends; 0: never */
	uint64_t files;	      /* descriptors of a cage */
	uint64_t cpu_s;	      /* CPU seconds of one job */
	uint64_t file_size;   /* octets of one temporary file */
	uint64_t quota;	      /* octets in a cage's folder, and written to it for one mail */
	uint64_t strict;      /* sandbox = "strict" */
	uint64_t mail_parser; /* libclamav's own: 0 on odd mails, 1 always */
	uint64_t scan_mode;   /* enum scan_mode */
	uint64_t mime_readings; /* of one ambiguous message, at most */
	uint64_t log_level;
	uint64_t max_file, max_scan, engine_files, engine_levels; /* libclamav's limits */
	struct budget_conf budget;
	uint64_t passwords_max; /* words of the mail's text that are tried on archives */
	size_t passwords_octets;
	char passwords[PASSWORDS_SET_OCTETS]; /* tried too, each with its NUL */
	char temp_dir[SCAN_PATH_MAX];	      /* of all holders */
	char database[SCAN_PATH_MAX];
};

struct scan_engine {
	char text[96];
	uint64_t signatures, load_ms;
	bool project;
	bool eicar; /* it found the EICAR test file */
};

struct scan_born {
	uint64_t serial, pid;
};

/* Exit codes of a cage; everything else and every signal is a death. */
#define CAGE_EXIT_END 0	  /* its socket was closed */
#define CAGE_EXIT_WORN 10 /* it answered, but met want of something: another one goes on */
#define CAGE_EXIT_OLD 12  /* it answered, and has had its mails: another one goes on */
#define CAGE_EXIT_BAD 11  /* it could not start: a line in the log says why */

struct scan_died {
	uint64_t serial;
	uint64_t signal, code; /* 0: none */
	bool ours;	       /* killed by the holder: its time was up, or its folder too full */
};

struct scan_order {
	uint64_t id; /* comes back in the result */
	/* It stops by itself, status limit: at a time of CLOCK_MONOTONIC, and so long after it has
	 * begun. */
	uint64_t until_ms, most_ms;
	uint64_t size; /* of the octets */
	bool virus, decode, parts;
	bool digests; /* of parts, which are told as far as they fit even where parts is false */
};

/* How libclamav fared, told apart from the job when other engines look at its leaves, too. */
enum scan_engine_end {
	SCAN_ENGINE_NOT_ASKED,
	SCAN_ENGINE_ANSWERED,
	SCAN_ENGINE_FAILED,
	SCAN_ENGINE_ENDS
};

struct scan_result {
	uint64_t id;
	enum mw_status status;
	char reason[MW_REASON_MAX];
	uint64_t cpu_us;
	struct mw_octets findings; /* raw map, borrowed */
	enum scan_engine_end engine;
	bool worn; /* it ends now: not to be given another job */
};

/* Encoders append to *b. */
void scan_conf_encode(struct mw_pack *b, const struct scan_conf *v);
void scan_engine_encode(struct mw_pack *b, const struct scan_engine *v);
void scan_born_encode(struct mw_pack *b, const struct scan_born *v);
void scan_died_encode(struct mw_pack *b, const struct scan_died *v);
void scan_order_encode(struct mw_pack *b, const struct scan_order *v);
void scan_result_encode(struct mw_pack *b, const struct scan_result *v);
void scan_text_encode(struct mw_pack *b, enum scan_message type, const char *text); /* broken */
void scan_number_encode(struct mw_pack *b, enum scan_message type, uint64_t n); /* kill, drain */

/* Decoders: MW_OK, or MW_ERR_PROTO and *_r untouched. */
enum scan_message scan_message_type(struct mw_octets m);
enum mw_rc scan_conf_decode(struct mw_octets m, struct scan_conf *v_r);
enum mw_rc scan_engine_decode(struct mw_octets m, struct scan_engine *v_r);
enum mw_rc scan_born_decode(struct mw_octets m, struct scan_born *v_r);
enum mw_rc scan_died_decode(struct mw_octets m, struct scan_died *v_r);
/* *rest_r: the octets behind the header. */
enum mw_rc scan_order_decode(struct mw_octets m, struct scan_order *v_r, struct mw_octets *rest_r);
enum mw_rc scan_result_decode(struct mw_octets m, struct scan_result *v_r);
enum mw_rc scan_text_decode(struct mw_octets m, char *text, size_t size);
enum mw_rc scan_number_decode(struct mw_octets m, uint64_t *n_r);

/* Findings are texts: what is not UTF-8 becomes '?'; a sequence cut by the end of dst, or NUL, ends
 * it. */
void scan_copy_utf8(char *dst, size_t size, struct mw_octets src);

/* ------------------------------------------------------------------ leaves for other engines */

/*
 * The memfd that came with SCAN_MSG_LEAVES is one record after another: this head in the machine's
 * own order, the leaf's path, its octets. The scanner makes it and seals it when the verdict is
 * there, so that nobody can change what engines are reading; RLIMIT_FSIZE of the cage bounds it.
 */
struct scan_leaf_head {
	uint64_t octets;
	uint32_t path, mark;
};
#define SCAN_LEAF_MARK 0x4c454146u

/* The next record of *rest, which it is taken from. 1: there is one; 0: none is left; -1: what is
 * there is none. */
int scan_leaf_next(struct mw_octets *rest, struct mw_octets *path_r, struct mw_octets *octets_r);
/* A memfd that a cage may write to; -1 with errno. */
int scan_leaves_new(void);
/*
 * Seal it and map what is there. MW_OK with .p NULL when it is empty; MW_ERR_PROTO: somebody holds
 * on to it. Unmap with munmap.
 */
enum mw_rc scan_leaves_map(int fd, struct mw_octets *map_r);

/* ------------------------------------------------------------------ the sockets */

/*
 * Send one datagram of head and up to two further pieces, with a descriptor when pass_fd >= 0.
 * Never waits: MW_OK, MW_AGAIN, MW_ERR_GONE (the peer is dead) or MW_ERR_IO.
 */
enum mw_rc scan_send(
	int sock, struct mw_octets head, const struct mw_octets *parts, size_t count, int pass_fd);
/* Receive one datagram; *fd_r is -1 or the one descriptor that came along (close-on-exec). MW_OK,
 * MW_AGAIN (sock is non-blocking, or EINTR), MW_ERR_GONE at the end, MW_ERR_PROTO when it was
 * longer than size. */
enum mw_rc scan_recv(int sock, void *buf, size_t size, size_t *n_r, int *fd_r);

/* Write all of o; false with errno. */
bool scan_write_all(int fd, struct mw_octets o);
/* A memfd with the octets of all parts, sealed against every change; -1 with errno. */
int scan_seal(const struct mw_octets *parts, size_t count);
/* Map a sealed memfd of exactly size octets, read only; NULL when it is not one. Unmap with munmap.
 */
const unsigned char *scan_map_sealed(int fd, uint64_t size);

#endif
