#include "ampdp_request.h"

#include <stdlib.h>
#include <strings.h>

#include "ip.h"
#include "log.h"

#define XFORWARD_MAX 255 /* octets of a value, as over SMTP */

#define ATTRIBUTE(field)                                                                           \
	{                                                                                          \
#field, offsetof(struct ampdp_request, field)                                      \
	}
/* A name that is known and tells us nothing. */
#define NOTHING ((size_t)-1)

static const struct {
	const char *name;
	size_t offset;
} attributes[] = {
	ATTRIBUTE(request),
	ATTRIBUTE(sender),
	ATTRIBUTE(tempdir),
	ATTRIBUTE(mail_file),
	ATTRIBUTE(tempdir_removed_by),
	ATTRIBUTE(delivery_care_of),
	ATTRIBUTE(queue_id),
	ATTRIBUTE(protocol_name),
	ATTRIBUTE(helo_name),
	ATTRIBUTE(client_address),
	ATTRIBUTE(client_port),
	ATTRIBUTE(client_name),
	ATTRIBUTE(client_source),
	ATTRIBUTE(policy_bank),
	ATTRIBUTE(mail_id),
	ATTRIBUTE(secret_id),
	ATTRIBUTE(quar_type),
	ATTRIBUTE(requested_by),
	ATTRIBUTE(partition_tag),
	ATTRIBUTE(rescan),
	ATTRIBUTE(again),
	ATTRIBUTE(action),
	ATTRIBUTE(raw),
	ATTRIBUTE(since),
	ATTRIBUTE(before),
	ATTRIBUTE(limit),
	ATTRIBUTE(category),
	ATTRIBUTE(released),
	ATTRIBUTE(oldest),
	ATTRIBUTE(subject),
	ATTRIBUTE(text),
	{ "version_client", NOTHING },
	{ "protocol_state", NOTHING },
};

static const char *add_recipient(struct ampdp_request *q, const char *value)
{
	if (q->recipient_count == q->recipient_cap) {
		size_t cap = q->recipient_cap != 0 ? q->recipient_cap * 2 : 4;
		const char **more = realloc(q->recipients, cap * sizeof(*more));

		if (more == NULL)
			return "out of memory";
		q->recipients = more;
		q->recipient_cap = cap;
	}
	q->recipients[q->recipient_count] = smtp_arena_copy(&q->arena, value, strlen(value));
	return q->recipients[q->recipient_count++] != NULL ? NULL : "out of memory";
}

const char *ampdp_request_take(void *arg, const char *name, const char *value)
{
	struct ampdp_request *q = arg;

	if (strcmp(name, "recipient") == 0)
		return add_recipient(q, value);
	for (size_t i = 0; i < MW_COUNT(attributes); i++) {
		const char **field;

		if (strcmp(attributes[i].name, name) != 0)
			continue;
		if (attributes[i].offset == NOTHING)
			return NULL;
		field = (const char **)((char *)q + attributes[i].offset);
		if (*field != NULL) /* the client and we could take different ones */
			return "an attribute was given twice";
		*field = smtp_arena_copy(&q->arena, value, strlen(value));
		return *field != NULL ? NULL : "out of memory";
	}
	if (mw_log_wants(MW_DEBUG))
		mw_log(MW_DEBUG, "ampdp_unknown_attribute", "name=%s", mw_quote(name));
	return NULL;
}

void ampdp_request_fini(struct ampdp_request *q)
{
	smtp_arena_fini(&q->arena);
	free(q->recipients);
	*q = (struct ampdp_request){ 0 };
}

bool ampdp_address(
	struct smtp_arena *a, const char *value, bool null_ok, const char **addr_r, bool *utf8)
{
	struct smtp_refusal why;
	const char *rest;
	char *path;

	if (strpbrk(value, "\r\n") != NULL)
		return false;
	/* The parser of MAIL and RCPT is the one place that knows what an address is. */
	path = smtp_arena_printf(a, *value == '<' ? "TO:%s" : "TO:<%s>", value);
	if (path == NULL ||
		!smtp_command_path(a, path, "TO:", null_ok, true, addr_r, &rest, &why) ||
		*rest != '\0')
		return false;
	for (const char *p = *addr_r; *p != '\0'; p++)
		*utf8 = *utf8 || (unsigned char)*p > 0x7e;
	return true;
}

/* A value that XFORWARD could carry: bounded, printable; NULL when it says nothing. */
static bool neutral(struct ampdp_request *q, const char *value, const char **out_r)
{
	char *copy;
	size_t n;

	*out_r = NULL;
	if (value == NULL || *value == '\0' || strcasecmp(value, "[UNAVAILABLE]") == 0)
		return true;
	n = strlen(value);
	copy = smtp_arena_copy(&q->arena, value, n < XFORWARD_MAX ? n : XFORWARD_MAX);
	if (copy == NULL)
		return false;
	for (char *p = copy; *p != '\0'; p++)
		if (*p < 0x21 || *p > 0x7e)
			*p = '?';
	*out_r = copy;
	return true;
}

/* "192.0.2.1", "2001:db8::1", "IPv6:2001:db8::1", any of them in []; NULL when it is none. */
static bool address(struct ampdp_request *q, const char *value, const char **out_r)
{
	char text[MW_IP_TEXT_MAX];
	struct mw_ip ip;

	*out_r = NULL;
	if (value == NULL || !mw_ip_parse_octets(mw_octets_of_text(value), &ip))
		return true;
	mw_ip_format(&ip, text);
	*out_r = smtp_arena_copy(&q->arena, text, strlen(text));
	return *out_r != NULL;
}

bool ampdp_request_xforward(struct ampdp_request *q, struct smtp_xforward *x_r)
{
	struct smtp_xforward x = { 0 };

	if (!address(q, q->client_address, &x.addr) || !neutral(q, q->client_name, &x.name) ||
		!neutral(q, q->client_port, &x.port) || !neutral(q, q->protocol_name, &x.proto) ||
		!neutral(q, q->helo_name, &x.helo) || !neutral(q, q->queue_id, &x.ident) ||
		!neutral(q, q->client_source, &x.source))
		return false;
	*x_r = x;
	return true;
}
