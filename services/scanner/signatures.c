#include "signatures.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
	const unsigned char *c = p;

	while (n-- > 0)
		h = (h ^ *c++) * 1099511628211u; /* FNV-1a */
	return h;
}

/* Files are added, so that the order in which the system lists them does not matter. */
static uint64_t file_print(int dir, const char *name)
{
	struct stat st;
	uint64_t h = mix(14695981039346656037u, name, strlen(name));

	if (fstatat(dir, name, &st, 0) != 0)
		return 0;
	h = mix(h, &st.st_size, sizeof(st.st_size));
	h = mix(h, &st.st_ino, sizeof(st.st_ino));
	return mix(h, &st.st_mtim, sizeof(st.st_mtim));
}

static uint64_t folder_print(const char *folder)
{
	DIR *d = folder[0] != '\0' ? opendir(folder) : NULL;
	struct dirent *e;
	uint64_t h = 0;

	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			h += file_print(dirfd(d), e->d_name);
	if (d != NULL)
		closedir(d);
	return h;
}

bool signatures_look(struct signatures *s, const char *folder)
{
	uint64_t now = folder_print(folder);
	bool changed = s->looked && now != s->print;

	s->print = now;
	s->looked = true;
	return changed;
}
