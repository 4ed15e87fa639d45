/*
 * mwleaves: what the scanner's MIME parser makes of mails, without a scanner around it.
 *
 *   mwleaves FOLDER              of each file, in the order of their names:
 *                                  mail NAME AMBIGUOUS LIMITED WORD,WORD
 *                                  leaf PATH TYPE OCTETS SHA256          of the likeliest reading,
 * decoded mwleaves --seconds S FOLDER  how fast: a line of JSON with MB/s of parsing, and with
 * decoding
 */
#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <errno.h>

#include "bench.h"
#include "decode.h"
#include "log.h"
#include "work.h"

struct mail {
	char *name;
	struct mw_octets octets;
};

static struct mail *mails;
static size_t mail_count, octets_all;
static unsigned char *out;
static const struct mime_limits limits = { 14, 1500 };

static void read_mail(const char *folder, const char *name)
{
	struct mail *m = &mails[mail_count];
	char path[4096];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		die("cannot read %s: %s", path, strerror(errno));
	m->name = need(strdup(name));
	m->octets.n = (size_t)st.st_size;
	m->octets.p = need(malloc(m->octets.n + 1));
	if (read(fd, (void *)m->octets.p, m->octets.n) != (ssize_t)m->octets.n)
		die("cannot read %s whole", path);
	close(fd);
	octets_all += m->octets.n;
	mail_count++;
}

static int visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static void read_mails(const char *folder)
{
	struct dirent **names = NULL;
	size_t largest = 1;
	int n = scandir(folder, &names, visible, alphasort);

	if (n <= 0)
		die("no mails in %s", folder);
	mails = need(calloc((size_t)n, sizeof(*mails)));
	for (int i = 0; i < n; i++) {
		read_mail(folder, names[i]->d_name);
		if (mails[i].octets.n > largest)
			largest = mails[i].octets.n;
		free(names[i]);
	}
	free(names);
	out = need(malloc(largest));
}

/* ------------------------------------------------------------------ leaves */

static void tell_leaf(const struct mime_entity *e)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	size_t n = mime_decode(e->encoding, e->body, out);

	EVP_Digest(out, n, digest, NULL, EVP_sha256(), NULL);
	printf("leaf %s %s %zu ", e->path, e->type, n);
	for (int i = 0; i < 32; i++)
		printf("%02x", digest[i]);
	putchar('\n');
}

static void tell_words(struct mw_octets map)
{
	struct mw_cur c;
	size_t count = 0;

	if (mw_map_find(map, "mime_errors", &c) && mw_cur_array(&c, &count) && count == 0)
		putchar('-');
	for (size_t i = 0; i < count; i++) {
		struct mw_octets word;

		if (!mw_cur_octets(&c, 100, &word))
			die("findings that cannot be read");
		printf("%s%.*s", i > 0 ? "," : "", (int)word.n, (const char *)word.p);
	}
}

/* All its readings, as in a cage, but that nothing is scanned. */
static void tell_mail(struct work *work, const struct mail *m)
{
	static const struct scan_order order = { .decode = true };
	static struct mime parser;
	char reason[MW_REASON_MAX];
	struct mime_entity e;
	struct mw_octets map;
	struct mw_pack b;
	enum mw_status status;
	bool worn;

	mw_pack_init(&b);
	status = work_run(work, m->octets, &order, mw_mono_ms() + 60000, &b, reason, &worn);
	map = mw_octets_of(b.p, b.n);
	printf("mail %s %d %d ", m->name, mw_map_bool(map, "ambiguous", false), status != MW_DONE);
	tell_words(map);
	putchar('\n');
	mw_pack_fini(&b);
	mime_open(&parser, m->octets, &limits, 0);
	while (mime_next(&parser, &e))
		if (e.leaf && !e.outside)
			tell_leaf(&e);
}

static void tell_all(void)
{
	struct scan_conf conf = { .mime_readings = 8,
		.budget = { 14, 1500, 100 << 10, 300 << 20, 5, 500 } };
	struct av_conf av_conf = { .database = "",
		.temp_dir = "/tmp",
		.max_file = 1 << 20,
		.max_scan = 1 << 20,
		.max_recursion = 17,
		.max_files = 100 };
	struct mw_err err = { "" };
	struct av *av = NULL;
	struct work *work;

	mw_log_open("mwleaves", MW_ERROR);
	if (av_open(&av, &av_conf, &err) != MW_OK)
		die("%s", err.text);
	work = need(work_new(&conf, av, NULL));
	for (size_t i = 0; i < mail_count; i++)
		tell_mail(work, &mails[i]);
	work_destroy(&work);
	av_close(&av);
}

/* ------------------------------------------------------------------ how fast */

static size_t read_one(struct mw_octets message, bool decode)
{
	static struct mime parser;
	struct mime_entity e;
	size_t leaves = 0;

	mime_open(&parser, message, &limits, 0);
	while (mime_next(&parser, &e)) {
		leaves += e.leaf;
		if (decode && e.leaf && e.encoding != MIME_IDENTITY && e.encoding != MIME_OTHER)
			mime_decode(e.encoding, e.body, out);
	}
	return leaves;
}

static double measure(bool decode, double seconds, size_t *leaves_r)
{
	uint64_t from = cpu_us(), us;
	size_t rounds = 0;

	do {
		*leaves_r = 0;
		for (size_t i = 0; i < mail_count; i++)
			*leaves_r += read_one(mails[i].octets, decode);
		rounds++;
		us = cpu_us() - from;
	} while ((double)us < seconds * 1e6);
	return (double)(rounds * octets_all) / (double)us;
}

int main(int argc, char **argv)
{
	bool timed = argc == 4 && strcmp(argv[1], "--seconds") == 0;
	double parse, decode;
	size_t leaves;

	if (argc != 2 && !timed)
		die("usage: mwleaves [--seconds S] FOLDER");
	read_mails(argv[argc - 1]);
	if (!timed) {
		tell_all();
		return 0;
	}
	parse = measure(false, atof(argv[2]), &leaves);
	decode = measure(true, atof(argv[2]), &leaves);
	printf("{\"mails\": %zu, \"octets\": %zu, \"leaves\": %zu, \"parse_mb_s\": %.0f, "
	       "\"decode_mb_s\": %.0f}\n",
		mail_count, octets_all, leaves, parse, decode);
	return 0;
}
