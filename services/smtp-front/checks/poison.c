#include "poison.h"

#include "log.h"

static uint64_t digest_on(uint64_t h, const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 1099511628211u;
	return h;
}

/*
 * FNV-1a: recognises a mail that came before, nothing that must resist an enemy. Without its
 * Received fields, of which every retry brings new ones.
 */
static uint64_t digest_of(const struct txn *t)
{
	struct mw_octets o = smtp_body_octets(t->body);
	uint64_t h = 1469598103934665603u;
	size_t at = 0;

	for (size_t i = 0; i < t->header.count; i++) {
		const struct mw_field *f = &t->header.fields[i];

		if (f->id != MW_H_RECEIVED)
			continue;
		h = digest_on(h, o.p + at, f->at - at);
		at = f->end;
	}
	return digest_on(h, o.p + at, o.n - at);
}

bool poison_is_known(const struct txn *t)
{
	const struct front *f = t->front;
	uint64_t now = mw_mono_ms(), digest;

	if (f->poison_count == 0)
		return false;
	digest = digest_of(t);
	for (size_t i = 0; i < f->poison_count; i++)
		if (f->poison[i].digest == digest && now - f->poison[i].at_ms < FRONT_POISON_MS)
			return true;
	return false;
}

void poison_remember(struct txn *t)
{
	struct front *f = t->front;

	f->poison[f->poison_next] = (struct front_poison){ digest_of(t), mw_mono_ms() };
	f->poison_next = (f->poison_next + 1) % FRONT_POISON_MAX;
	if (f->poison_count < FRONT_POISON_MAX)
		f->poison_count++;
	txn_log(t, MW_WARN, "poison", "log_id=%s mail_id=%s octets=%zu", t->log_id, t->mail_id,
		smtp_body_size(t->body));
	mw_publish_alert(f->pub, "poison", "log_id=%s mail_id=%s: two cages died on it%s",
		t->log_id, t->mail_id,
		*t->set->quarantine_dir == '\0'
			? "; QUARANTINEDIR is not set, no copy of it is set aside"
			: "");
}
