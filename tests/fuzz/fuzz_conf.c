/* fuzz: common */
/* Settings: any file is either taken whole or refused with a text, within its bounds. */
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("conf", MFD_CLOEXEC);
	struct mw_conf *conf = NULL;
	char *errors = NULL, path[64];

	require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	mw_conf_load(path, &conf, &errors);
	close(fd);
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
