#include "ccat.h"

static const struct {
	const char *key;
	unsigned ccat;
	enum ccat_slot above;
} slots[CCAT_SLOTS] = {
	[CCAT_VIRUS] = { "CC_VIRUS", MW_CCAT(MW_CC_VIRUS, 0), CCAT_CATCHALL },
	[CCAT_UNCHECKED] = { "CC_UNCHECKED", MW_CCAT(MW_CC_UNCHECKED, 0), CCAT_CATCHALL },
	[CCAT_ENCRYPTED] = { "CC_UNCHECKED,1", MW_CCAT(MW_CC_UNCHECKED, 1), CCAT_UNCHECKED },
	[CCAT_OVER_LIMITS] = { "CC_UNCHECKED,2", MW_CCAT(MW_CC_UNCHECKED, 2), CCAT_UNCHECKED },
	[CCAT_AMBIGUOUS] = { "CC_UNCHECKED,3", MW_CCAT(MW_CC_UNCHECKED, 3), CCAT_UNCHECKED },
	[CCAT_SPAM] = { "CC_SPAM", MW_CCAT(MW_CC_SPAM, 0), CCAT_CATCHALL },
	[CCAT_SPAMMY] = { "CC_SPAMMY", MW_CCAT(MW_CC_SPAMMY, 0), CCAT_CATCHALL },
	[CCAT_OVERSIZED] = { "CC_OVERSIZED", MW_CCAT(MW_CC_OVERSIZED, 0), CCAT_CATCHALL },
	[CCAT_CLEAN] = { "CC_CLEAN", MW_CCAT(MW_CC_CLEAN, 0), CCAT_CATCHALL },
	[CCAT_CLEAN_TAG] = { "CC_CLEAN,1", MW_CCAT(MW_CC_CLEAN, 1), CCAT_CLEAN },
	[CCAT_CATCHALL] = { "CC_CATCHALL", MW_CCAT(MW_CC_CATCHALL, 0), CCAT_SLOTS },
};

const char *ccat_key(enum ccat_slot slot)
{
	return slots[slot].key;
}

enum mw_rc ccat_of_key(const char *key, enum ccat_slot *slot_r, struct mw_err *err_r)
{
	static const char *const others[] = { "CC_BANNED", "CC_BADH", "CC_MTA" };

	for (unsigned i = 0; i < CCAT_SLOTS; i++)
		if (strcmp(slots[i].key, key) == 0) {
			*slot_r = (enum ccat_slot)i;
			return MW_OK;
		}
	for (size_t i = 0; i < MW_COUNT(others); i++)
		if (strncmp(key, others[i], strlen(others[i])) == 0)
			return mw_fail(err_r, MW_ERR_CONF,
				"%.40s: this version puts no mail into that category", key);
	return mw_fail(err_r, MW_ERR_CONF,
		"%.40s: expected CC_VIRUS, CC_UNCHECKED, CC_SPAM, CC_SPAMMY, CC_OVERSIZED, "
		"CC_CLEAN, CC_CATCHALL, \"CC_UNCHECKED,1\" to 3 or \"CC_CLEAN,1\"",
		key);
}

enum ccat_slot ccat_slot_of(unsigned ccat)
{
	enum ccat_slot major = CCAT_CATCHALL;

	for (unsigned i = 0; i < CCAT_SLOTS; i++) {
		if (slots[i].ccat == ccat)
			return (enum ccat_slot)i;
		if (slots[i].ccat == ccat - ccat % 10)
			major = (enum ccat_slot)i;
	}
	return major;
}

enum ccat_slot ccat_above(enum ccat_slot slot)
{
	return slots[slot].above;
}
