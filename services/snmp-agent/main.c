/* mailweir-snmp-agent: mail records and state snapshots become the objects of AMAVIS-MIB, served
 * over AgentX. */
#include <stdlib.h>
#include <unistd.h>
#include "agentx.h"
#include "events.h"
#include "log.h"
#include "mta.h"
#include "service.h"
#include "values.h"

#define SOCKETS 600 /* two for each front */

struct snmpsvc {
	struct mw_zctx z;
	struct mw_subscriber *sub;
	struct snmpsvc_agentx *agentx;
	struct snmpsvc_mta *mta;
	size_t first_queue; /* index of mtaQueueEntriesMaildrop */
	struct snmpsvc_values values;
};

static void on_mail(void *arg, const struct mw_record *r)
{
	struct snmpsvc *s = arg;

	snmpsvc_values_mail(&s->values, r);
}

static void on_state(void *arg, const char *front, const struct mw_state *state)
{
	struct snmpsvc *s = arg;

	snmpsvc_values_state(&s->values, front, state);
}

static void on_front(void *arg, const char *front, bool up)
{
	struct snmpsvc *s = arg;

	if (!up)
		snmpsvc_values_down(&s->values, front);
}

static void ask(void *arg, size_t object, struct snmpsvc_reply *reply)
{
	struct snmpsvc *s = arg;

	if (object >= s->first_queue && s->mta != NULL) {
		snmpsvc_mta_wanted(s->mta, mw_mono_ms());
		s->values.v[object] = snmpsvc_mta_values(s->mta)[object - s->first_queue];
	}
	reply->text = snmpsvc_values_text(&s->values, object);
	reply->number = snmpsvc_values_number(&s->values, object, mw_mono_ms());
}

static void take_names(struct snmpsvc *s, const struct mw_conf *conf)
{
	const char *name = mw_conf_text(conf, "myhostname");

	if (name != NULL)
		mw_strlcpy(s->values.name, name, sizeof(s->values.name));
	else
		(void)gethostname(s->values.name, sizeof(s->values.name) - 1);
	mw_strlcpy(
		s->values.contact, mw_conf_text(conf, "snmp_contact"), sizeof(s->values.contact));
	mw_strlcpy(s->values.location, mw_conf_text(conf, "snmp_location"),
		sizeof(s->values.location));
}

static enum mw_rc open_service(void *arg, struct mw_service *svc, struct mw_err *err_r)
{
	static const struct mw_subscriber_ops ops = {
		.mail = on_mail, .state = on_state, .front = on_front
	};
	struct snmpsvc *s = arg;
	const char *queues = mw_conf_text(svc->conf, "snmp.postfix_queues");
	enum mw_rc rc;

	snmpsvc_values_init(&s->values, mw_mono_ms());
	s->first_queue = snmpsvc_object_named("mtaQueueEntriesMaildrop");
	take_names(s, svc->conf);
	if (queues != NULL && *queues != '\0')
		s->mta = snmpsvc_mta_new(svc->loop, queues);
	rc = snmpsvc_agentx_open(&s->agentx, svc->loop, mw_conf_text(svc->conf, "snmp.agentx"),
		s->mta != NULL, ask, s, err_r);
	if (rc == MW_OK)
		rc = mw_zctx_open(&s->z, "snmp-agent", svc->conf, svc->loop, SOCKETS, err_r);
	/* From the oldest on: what the fronts still keep is counted again after a restart. */
	if (rc == MW_OK)
		rc = mw_subscriber_open(
			&s->sub, &s->z, svc->loop, svc->conf, &ops, s, NULL, 0, true, err_r);
	if (rc == MW_OK)
		mw_service_ready(svc, "agentx=%s connected=%s queues=%s",
			mw_conf_text(svc->conf, "snmp.agentx"),
			snmpsvc_agentx_connected(s->agentx) ? "yes" : "no",
			s->mta != NULL ? "yes" : "no");
	return rc;
}

static enum mw_rc reload(void *arg, struct mw_service *svc, struct mw_err *err_r)
{
	(void)err_r;
	take_names(arg, svc->conf);
	return MW_OK;
}

static void close_service(void *arg, struct mw_service *svc)
{
	struct snmpsvc *s = arg;

	(void)svc;
	mw_subscriber_close(&s->sub);
	mw_zctx_close(&s->z);
	snmpsvc_agentx_close(&s->agentx);
	snmpsvc_mta_destroy(&s->mta);
}

static void metrics(void *arg, struct mw_service *svc, struct mw_text *out)
{
	struct snmpsvc *s = arg;
	struct mw_subscriber_stats st;

	(void)svc;
	mw_subscriber_stats(s->sub, &st);
	mw_text_addf(out, "mailweir_snmp_mails_total %llu\n", (unsigned long long)st.mails);
	mw_text_addf(out, "mailweir_snmp_events_missing_total %llu\n", (unsigned long long)st.lost);
	mw_text_addf(
		out, "mailweir_snmp_bad_frames_total %llu\n", (unsigned long long)st.bad_frames);
	mw_text_addf(out, "mailweir_snmp_requests_total %llu\n",
		(unsigned long long)snmpsvc_agentx_requests(s->agentx));
	mw_text_addf(out, "mailweir_snmp_master_connected %d\n",
		snmpsvc_agentx_connected(s->agentx) ? 1 : 0);
	mw_text_addf(out, "mailweir_snmp_fronts %zu\n", st.fronts_up);
}

static bool healthy(void *arg, struct mw_service *svc, struct mw_err *why_r)
{
	struct snmpsvc *s = arg;

	if (snmpsvc_agentx_connected(s->agentx))
		return true;
	mw_fail(why_r, MW_ERR_GONE, "no AgentX master at %s (snmp.agentx)",
		mw_conf_text(svc->conf, "snmp.agentx"));
	return false;
}

int main(int argc, char **argv)
{
	static struct snmpsvc s;
	static const struct mw_service_ops ops = {
		.open = open_service,
		.reload = reload,
		.close = close_service,
		.metrics = metrics,
		.healthy = healthy,
	};

	return mw_service_main(argc, argv, "snmp-agent", &ops, &s);
}
