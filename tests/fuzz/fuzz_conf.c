/* fuzz: common */
/* Settings: any files are either taken whole or refused with a text, within its bounds. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool promise)
{
	if (!promise)
		abort();
}

static void look_at(const struct mw_conf *conf)
{
	for (size_t i = 0; i < mw_settings_count; i++) {
		struct mw_text text = { 0 };
		char where[600];

		mw_val_print(&text, mw_conf_val(conf, mw_settings[i].name), 200);
		require(text.p != NULL);
		mw_text_fini(&text);
		mw_conf_origin(conf, mw_settings[i].name, where, sizeof(where));
	}
}

#define FILES_MAX 4
#define NEXT_FILE 0x1e /* ends a file of the input, as ASCII's record separator */

struct files {
	struct mw_conf_given given;
	int fds[FILES_MAX];
	char paths[FILES_MAX][64];
};

static void put_file(struct files *f, const uint8_t *data, size_t size)
{
	size_t i = f->given.count;
	int fd = memfd_create("conf", MFD_CLOEXEC);

	require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(f->paths[i], sizeof(f->paths[i]), "/proc/self/fd/%d", fd);
	f->fds[i] = fd;
	require(mw_conf_given_add(&f->given, f->paths[i]));
}

static void put_files(struct files *f, const uint8_t *data, size_t size)
{
	while (f->given.count < FILES_MAX - 1) {
		const uint8_t *end = memchr(data, NEXT_FILE, size);

		if (end == NULL)
			break;
		put_file(f, data, (size_t)(end - data));
		size -= (size_t)(end - data) + 1;
		data = end + 1;
	}
	put_file(f, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct files files = { .given = { 0 } };
	struct mw_conf *conf = NULL;
	char *errors = NULL;

	put_files(&files, data, size);
	mw_conf_load_given(&files.given, &conf, &errors);
	for (size_t i = 0; i < files.given.count; i++)
		close(files.fds[i]);
	require((conf == NULL) == (errors != NULL));
	if (conf != NULL) {
		const struct mw_val *banks = mw_conf_val(conf, "policy_bank");

		look_at(conf);
		for (size_t i = 0; i < banks->count; i++)
			look_at(mw_conf_bank(conf, banks->keys[i]));
	}
	mw_conf_destroy(&conf);
	free(errors);
	return 0;
}
