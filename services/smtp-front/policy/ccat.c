#include "ccat.h"

#define MAJOR(name, above) [CCAT_##name] = { "CC_" #name, MW_CCAT(MW_CC_##name, 0), above }
#define MINOR(slot, major, n)                                                                      \
	[CCAT_##slot] = { "CC_" #major "," #n, MW_CCAT(MW_CC_##major, n), CCAT_##major }

static const struct {
	const char *key;
	unsigned ccat;
	enum ccat_slot above;
} slots[CCAT_SLOTS] = {
	MAJOR(VIRUS, CCAT_CATCHALL),
	MAJOR(BANNED, CCAT_CATCHALL),
	MAJOR(UNCHECKED, CCAT_CATCHALL),
	MINOR(ENCRYPTED, UNCHECKED, 1),
	MINOR(OVER_LIMITS, UNCHECKED, 2),
	MINOR(AMBIGUOUS, UNCHECKED, 3),
	MINOR(UNSCORED, UNCHECKED, 4),
	MAJOR(SPAM, CCAT_CATCHALL),
	MAJOR(SPAMMY, CCAT_CATCHALL),
	MINOR(SPAMMY3, SPAMMY, 1),
	MAJOR(BADH, CCAT_CATCHALL),
	MINOR(BADH_MIME, BADH, 1),
	MINOR(BADH_8BIT, BADH, 2),
	MINOR(BADH_CHAR, BADH, 3),
	MINOR(BADH_SPACE, BADH, 4),
	MINOR(BADH_LONG, BADH, 5),
	MINOR(BADH_SYNTAX, BADH, 6),
	MINOR(BADH_MISSING, BADH, 7),
	MINOR(BADH_DUPLICATE, BADH, 8),
	MAJOR(OVERSIZED, CCAT_CATCHALL),
	MAJOR(MTA, CCAT_CATCHALL),
	MINOR(MTA_TEMPFAILED, MTA, 1),
	MINOR(MTA_REJECTED, MTA, 2),
	MAJOR(CLEAN, CCAT_CATCHALL),
	MINOR(CLEAN_TAG, CLEAN, 1),
	MAJOR(CATCHALL, CCAT_SLOTS),
};

const char *ccat_key(enum ccat_slot slot)
{
	return slots[slot].key;
}

enum mw_rc ccat_of_key(const char *key, enum ccat_slot *slot_r, struct mw_err *err_r)
{
	for (unsigned i = 0; i < CCAT_SLOTS; i++)
		if (strcmp(slots[i].key, key) == 0) {
			*slot_r = (enum ccat_slot)i;
			return MW_OK;
		}
	return mw_fail(err_r, MW_ERR_CONF,
		"%.40s: expected CC_VIRUS, CC_BANNED, CC_UNCHECKED, CC_SPAM, CC_SPAMMY, CC_BADH, "
		"CC_OVERSIZED, CC_MTA, CC_CLEAN, CC_CATCHALL, \"CC_UNCHECKED,1\" to 4, "
		"\"CC_SPAMMY,1\", \"CC_BADH,1\" to 8, \"CC_MTA,1\" to 2 or \"CC_CLEAN,1\"",
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

enum ccat_slot ccat_major(enum ccat_slot slot)
{
	return slots[slot].ccat % 10 != 0 ? slots[slot].above : slot;
}

enum ccat_slot ccat_above(enum ccat_slot slot)
{
	return slots[slot].above;
}
