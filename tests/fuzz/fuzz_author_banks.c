/* fuzz: common services/smtp-front */
/* A header section, whatever it holds: whether its signatures are waited for, and what one valid
 * signature of list.example brings then. A bank that is loaded was waited for, if the mail claims
 * that signature in the plainest way; a mail with two From loads none. */
#include <stdlib.h>
#include <unistd.h>

#include "policy/message_banks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void front_txn_over(struct front *f)
{
	(void)f;
}

static const char settings[] =
	"enable_dkim_verification = true\npolicy_bank = { A = {}, B = {}, C = {} }\n"
	"author_to_policy_bank_maps = { { ['uni.example'] = 'A', ['.list.example'] = 'B,A', "
	"['./@list.example'] = 'C', ['a@b.example/@list.example'] = 'A' }, "
	"new_RE { { '^x(.)@', '$1' } } }\n";

static void require(bool promise)
{
	if (!promise)
		abort();
}

static struct policy_set *the_set(void)
{
	static struct policy_set *set;
	char path[] = "/tmp/mailweir-fuzz-banks-XXXXXX", *errors = NULL;
	struct mw_conf *conf = NULL;
	struct mw_err err;
	int fd;

	if (set != NULL)
		return set;
	fd = mkstemp(path);
	require(fd >= 0 &&
		write(fd, settings, sizeof(settings) - 1) == (ssize_t)sizeof(settings) - 1);
	close(fd);
	mw_conf_load(path, &conf, &errors);
	unlink(path);
	require(conf != NULL && policy_set_new(conf, &set, &err) == MW_OK);
	mw_conf_destroy(&conf);
	return set;
}

static bool claims(const struct mw_header *h)
{
	for (size_t i = 0; i < h->count; i++)
		if (h->fields[i].id == MW_H_DKIM_SIGNATURE) {
			struct mw_octets v = mw_field_value(h, &h->fields[i]);

			if (v.n >= 15 && memcmp(v.p, "d=list.example;", 15) == 0)
				return true;
		}
	return false;
}

static void ask(struct txn *t)
{
	static struct finding_signature signature = { .bits = 2048 };
	const struct policy *base = t->policy;
	bool waits = message_banks_wait_for_auth(t);

	signature.d = mw_octets_of_text("list.example");
	signature.a = mw_octets_of_text("rsa-sha256");
	signature.result = mw_octets_of_text("pass");
	t->found.signatures = &signature;
	t->found.signature_count = 1;
	require(message_banks_by_author(t));
	if (t->policy != base) {
		require(mw_header_first(&t->header, MW_H_FROM) ==
			mw_header_last(&t->header, MW_H_FROM));
		require(waits || !claims(&t->header));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct txn t;

	memset(&t, 0, sizeof(t));
	t.set = the_set();
	t.policy = t.set->base;
	if (mw_header_index(&t.header, mw_octets_of(data, size)) == MW_OK &&
		facts_collect(&t.facts, &t.arena, &t.header, "x", "") == MW_OK)
		ask(&t);
	mw_header_fini(&t.header);
	smtp_arena_fini(&t.arena);
	return 0;
}
