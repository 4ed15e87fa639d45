#include "findings.h"

static const char *by_name(enum rep_by by)
{
	static const char *const names[] = {
		[REP_BY_MID] = "mid", [REP_BY_RID] = "rid", [REP_BY_BOTH] = "both"
	};

	return names[by];
}

static void pack_record(
	struct mw_pack *out, const char *ip, const struct rep_ip_record *r, int64_t score_milli)
{
	mw_pack_map(out, 9);
	mw_pack_kv_text(out, "ip", ip);
	mw_pack_kv_int(out, "n", (int64_t)r->counts.n);
	mw_pack_kv_int(out, "s", (int64_t)r->counts.s);
	mw_pack_kv_int(out, "h", (int64_t)r->counts.h);
	mw_pack_kv_int(out, "b", (int64_t)r->counts.b);
	mw_pack_kv_int(out, "first_ms", r->first_ms);
	mw_pack_kv_int(out, "last_ms", r->last_ms);
	mw_pack_kv_int(out, "ttl_s", r->ttl_s);
	mw_pack_kv_int(out, "score_milli", score_milli);
}

static void pack_penpal(struct mw_pack *out, const struct rep_penpal *p)
{
	mw_pack_map(out, 4);
	mw_pack_kv_int(out, "rcpt", p->rcpt);
	mw_pack_kv_text(out, "mail_id", p->mail_id);
	mw_pack_kv_int(out, "age_s", p->age_s);
	mw_pack_kv_text(out, "by", by_name(p->by));
}

void rep_findings_pack(struct mw_pack *out, const struct rep_query *q, const struct rep_answer *a,
	const struct mw_net *ignored, size_t ignored_count)
{
	char worst[MW_IP_TEXT_MAX] = "";
	int64_t worst_milli = 0;

	mw_pack_map(out, 6);
	mw_pack_text(out, "ips");
	mw_pack_array(out, a->ip_count);
	for (size_t i = 0; i < a->ip_count; i++) {
		char ip[MW_IP_TEXT_MAX];
		bool counts = mw_nets_find(ignored, ignored_count, &q->ips[i]) != 1;
		int64_t score_milli = counts ? rep_score_milli(&a->ips[i].counts) : 0;

		pack_record(out, mw_ip_format(&q->ips[i], ip), &a->ips[i], score_milli);
		if (score_milli > worst_milli) {
			worst_milli = score_milli;
			mw_strlcpy(worst, ip, sizeof(worst));
		}
	}
	mw_pack_kv_int(out, "score_milli", worst_milli);
	mw_pack_kv_text(out, "worst", worst);
	mw_pack_text(out, "penpals");
	mw_pack_array(out, a->penpal_count);
	for (size_t i = 0; i < a->penpal_count; i++)
		pack_penpal(out, &a->penpals[i]);
	mw_pack_kv_bool(out, "saved", a->saved);
	mw_pack_kv_int(out, "redis_us", (int64_t)a->elapsed_us);
}
