/* Log lines that are ready: what log_templ and log_recip_templ may name. */
#ifndef SMTP_LOG_TEXTS_H
#define SMTP_LOG_TEXTS_H

extern const char log_short_text[], log_verbose_text[], log_recip_text[];

#endif
