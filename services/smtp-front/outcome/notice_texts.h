/* Texts of notices where the settings say nothing: templates (docs/templates.md). */
#ifndef SMTP_NOTICE_TEXTS_H
#define SMTP_NOTICE_TEXTS_H

/* Of a setting notify_*_templ; "" where nothing is sent by default. */
const char *notice_text_default(const char *setting);

#endif
