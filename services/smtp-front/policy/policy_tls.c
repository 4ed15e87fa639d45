#include "policy_tls.h"

static enum mw_rc level_of(const struct mw_conf *conf, const char *bank, const char *name,
	enum tls_level most, enum tls_level *level_r, struct mw_err *err_r)
{
	static const char *const names[] = { "none", "may", "encrypt", "verify" };
	const char *text = mw_conf_text(conf, name);

	*level_r = TLS_NONE;
	if (text == NULL || *text == '\0')
		return MW_OK;
	for (unsigned i = 0; i <= most; i++)
		if (strcmp(names[i], text) == 0) {
			*level_r = (enum tls_level)i;
			return MW_OK;
		}
	return mw_fail(err_r, MW_ERR_CONF, "%s%s%s = \"%s\": expected none, may%s encrypt%s", bank,
		*bank != '\0' ? ": " : "", name, text, most == TLS_VERIFY ? "," : " or",
		most == TLS_VERIFY ? " or verify" : "");
}

enum mw_rc policy_tls_levels(
	const struct mw_conf *conf, const char *bank, struct policy *p, struct mw_err *err_r)
{
	const struct next_hops *routes[] = { &p->forward, &p->notify, &p->release, &p->requeue,
		&p->resend };
	enum tls_level out = TLS_NONE;
	enum mw_rc rc =
		level_of(conf, bank, "tls_security_level_in", TLS_ENCRYPT, &p->tls_in, err_r);

	if (rc == MW_OK)
		rc = level_of(conf, bank, "tls_security_level_out", TLS_VERIFY, &out, err_r);
	for (size_t r = 0; r < MW_COUNT(routes); r++)
		for (size_t i = 0; i < routes[r]->count; i++) {
			struct next_hop *h = &routes[r]->hop[i];

			/* No certificate is for a path: every mail would be deferred until it
			 * bounces. */
			if (rc == MW_OK && out == TLS_VERIFY && next_hop_is_unix(h))
				rc = mw_fail(err_r, MW_ERR_CONF,
					"%s%stls_security_level_out = \"verify\": %s has no name "
					"that a certificate could have; expected encrypt or less "
					"for a Unix socket",
					bank, *bank != '\0' ? ": " : "", h->text);
			h->tls = out;
		}
	return rc;
}

static enum mw_rc open_in(const struct mw_conf *conf, enum mw_tls_min min, struct policy_set *set,
	struct mw_err *err_r)
{
	const char *cert = mw_conf_text(conf, "smtpd_tls_cert_file");
	const char *key = mw_conf_text(conf, "smtpd_tls_key_file");
	bool with_cert = key == NULL || *key == '\0'; /* both in one file */

	if (cert == NULL || *cert == '\0')
		return mw_fail(err_r, MW_ERR_CONF,
			"tls_security_level_in wants TLS, and smtpd_tls_cert_file names no "
			"certificate");
	return mw_tls_server("smtpd_tls_cert_file", cert,
		with_cert ? "smtpd_tls_cert_file" : "smtpd_tls_key_file", with_cert ? cert : key,
		min, &set->tls_in, err_r);
}

enum mw_rc policy_tls_open(const struct mw_conf *conf, struct policy_set *set, struct mw_err *err_r)
{
	enum tls_level in = TLS_NONE, out = TLS_NONE;
	const char *text = mw_conf_text(conf, "tls_min_version");
	enum mw_tls_min min;
	enum mw_rc rc = MW_OK;

	if (!mw_tls_min_parse(text, &min))
		return mw_fail(err_r, MW_ERR_CONF,
			"tls_min_version = \"%s\": expected TLSv1.2 or TLSv1.3 (RFC 8996 forbids "
			"what is older)",
			text);
	for (const struct policy *p = set->base; p != NULL; p = p->next) {
		in = p->tls_in > in ? p->tls_in : in;
		out = p->forward.hop[0].tls > out ? p->forward.hop[0].tls : out;
	}
	if (in != TLS_NONE)
		rc = open_in(conf, min, set, err_r);
	/* Authorities are megabytes to read: only for those who ask them. */
	if (rc == MW_OK && out != TLS_NONE)
		rc = mw_tls_client("smtp_tls_CAfile",
			out == TLS_VERIFY ? mw_conf_text(conf, "smtp_tls_CAfile") : NULL, min,
			&set->tls_out, err_r);
	return rc;
}
