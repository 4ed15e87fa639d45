/*
 * Which header fields a DKIM signature covers: the setting signed_header_fields, and what it is
 * where nobody says otherwise, which the dkim worker uses too when its orders name no fields.
 */
#ifndef MW_SIGNED_FIELDS_H
#define MW_SIGNED_FIELDS_H

#include "conf.h"
#include "wire.h"

/*
 * How often a field is signed: 1 all there are, 2 one more that is not there, so that none can be
 * added. Sender, To and Cc are left out: mailing lists and relays change them. RFC 6376
 * section 5.4.1; amavisd's signed_header_fields.
 */
#define MW_SIGNED_FIELDS(X)                                                                        \
	X("From", 2)                                                                               \
	X("Date", 2)                                                                               \
	X("Subject", 2)                                                                            \
	X("Content-Type", 2)                                                                       \
	X("Reply-To", 1)                                                                           \
	X("Message-ID", 1)                                                                         \
	X("In-Reply-To", 1)                                                                        \
	X("References", 1)                                                                         \
	X("MIME-Version", 1)                                                                       \
	X("Content-Transfer-Encoding", 1)                                                          \
	X("Content-ID", 1)                                                                         \
	X("Content-Description", 1)                                                                \
	X("Content-Disposition", 1)                                                                \
	X("Content-Language", 1)                                                                   \
	X("Content-Location", 1)                                                                   \
	X("Content-Base", 1)                                                                       \
	X("Content-Features", 1)                                                                   \
	X("Content-Duration", 1)                                                                   \
	X("Content-MD5", 1)                                                                        \
	X("Content-Alternative", 1)                                                                \
	X("Resent-Date", 1)                                                                        \
	X("Resent-From", 1)                                                                        \
	X("Resent-Sender", 1)                                                                      \
	X("Resent-Message-ID", 1)                                                                  \
	X("List-Archive", 1)                                                                       \
	X("List-Help", 1)                                                                          \
	X("List-Id", 1)                                                                            \
	X("List-Owner", 1)                                                                         \
	X("List-Post", 1)                                                                          \
	X("List-Subscribe", 1)                                                                     \
	X("List-Unsubscribe", 1)                                                                   \
	X("List-Unsubscribe-Post", 1)                                                              \
	X("Received", 1)                                                                           \
	X("Precedence", 1)                                                                         \
	X("Original-Message-ID", 1)                                                                \
	X("Message-Context", 1)                                                                    \
	X("Sensitivity", 1)                                                                        \
	X("Auto-Submitted", 1)                                                                     \
	X("Archived-At", 1)                                                                        \
	X("Sender", 0)                                                                             \
	X("To", 0)                                                                                 \
	X("Cc", 0)                                                                                 \
	X("Resent-To", 0)                                                                          \
	X("Resent-Cc", 0)

/* The list as the default of the setting, in Lua. */
#define MW_SIGNED_FIELD_LUA(name, times) "[\"" name "\"] = " #times ", "
#define MW_SIGNED_FIELDS_LUA "{ " MW_SIGNED_FIELDS(MW_SIGNED_FIELD_LUA) "}"

/* What one signature may name; a name that occurs twice counts twice. */
#define MW_SIGNED_NAMES_MAX 200
#define MW_SIGNED_NAME_OCTETS 76
#define MW_SIGNED_OCTETS_MAX 3000 /* of all, with their colons: the dkim worker's h= has 3,500 */

/* The one spelling of a name, in buf or static: fields go by any case. */
const char *mw_signed_field_name(const char *name, char *buf, size_t size);
/*
 * The setting's value as an array of names, as the order `headers` of a sign job has it
 * (docs/wire.md). MW_ERR_CONF: no name of a field, another number than 0, 1 and 2, From left out
 * (RFC 6376 section 5.4), or more than a signature may name.
 */
enum mw_rc mw_signed_fields_pack(
	const struct mw_val *table, struct mw_pack *names_r, struct mw_err *err_r);

#endif
