/* How much TLS is asked for, on the way in (up to TLS_ENCRYPT) and out. */
#ifndef SMTP_TLS_LEVEL_H
#define SMTP_TLS_LEVEL_H

enum tls_level {
	TLS_NONE,
	TLS_MAY,     /* if the other side can */
	TLS_ENCRYPT, /* or no mail goes */
	TLS_VERIFY   /* and only to whom a certificate names as the host that is meant */
};

#endif
