/* What the tests of the cage share: EICAR, mails made from it, an engine with the project's
 * signatures. */
#ifndef TEST_CAGE_HELP_H
#define TEST_CAGE_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "av.h"
#include "log.h"
#include "proto.h"

#define VIRUS "Eicar-Test-Signature.UNOFFICIAL"

/* In pieces, so that this program is not taken for what it tests. */
static inline const char *eicar(void)
{
	static char text[80];

	snprintf(text, sizeof(text), "%s%s", "X5O!P%@AP[4\\PZX54(P^)7CC)7}$",
		"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*");
	return text;
}

/* A zip with EICAR as eicar.com, deflated, so that its octets do not show it; base64. */
#define EICAR_ZIP_BASE64                                                                           \
	"UEsDBBQAAAAIAAAAIQA8z1FoRgAAAEQAAAAJAAAAZWljYXIuY29tizD1VwxQdXAMiDaJCYiKMDXRCIjTNHd21jSv" \
	"VXH1dHYM0g0O"                                                                             \
	"cfRzcQxy0XX0C/"                                                                           \
	"EM8wwKDdYNcQ0O0XXz9HFVVPHQ9tACAFBLAQIUAxQAAAAIAAAAIQA8z1FoRgAAAEQAAAAJAAAAAAAAAAAAAACA"   \
	"AQAAAABlaWNhci5jb21QSwUGAAAAAAEAAQA3AAAAbQAAAAAA"

#define HEAD "From: a@example.org\r\nTo: b@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
#define EICAR_ZIP_MAIL                                                                             \
	HEAD "Content-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\nContent-Type: "            \
	     "text/plain\r\n\r\nhello\r\n"                                                         \
	     "--bb\r\nContent-Type: application/zip; "                                             \
	     "name=\"foo.zip\"\r\nContent-Transfer-Encoding: base64\r\n\r\n" EICAR_ZIP_BASE64      \
	     "\r\n--bb--\r\n"

/* The limits of the settings' defaults. */
static inline struct scan_conf test_conf(void)
{
	return (struct scan_conf){
		.cages = 1,
		.memory = 512u << 20,
		.files = 64,
		.cpu_s = 30,
		.file_size = 64u << 20,
		.quota = 64u << 20,
		.strict = 1,
		.mime_readings = 8,
		.max_file = 400u << 20,
		.max_scan = 800u << 20,
		.engine_files = 10000,
		.engine_levels = 17,
		.budget = { 14, 1500, 102400, 314572800, 5, 500 },
	};
}

static inline struct av *test_engine(const char *temp_dir)
{
	struct av_conf conf = { .database = "",
		.temp_dir = temp_dir,
		.max_file = 400u << 20,
		.max_scan = 800u << 20,
		.max_recursion = 17,
		.max_files = 10000 };
	struct mw_err err = { "" };
	struct av *av = NULL;

	mw_log_open("test", MW_ERROR);
	if (av_open(&av, &conf, &err) != MW_OK)
		fail_msg("%s", err.text);
	return av;
}

#endif
