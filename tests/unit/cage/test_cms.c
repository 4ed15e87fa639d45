/* CMS: what is signed, compressed or wrapped once more is given out, what is encrypted is told; in
 * DER, in BER, in base64. */
#include "doc_help.h"

#include <time.h>
#include <zlib.h>

#include "cms.h"
#include "containers.h"

/* ------------------------------------------------------------------ elements */

static unsigned char pool[8 << 20];
static size_t pool_n;

static struct mw_octets keep(const void *p, size_t n)
{
	unsigned char *at = pool + pool_n;

	assert_true(n <= sizeof(pool) - pool_n);
	memcpy(at, p, n);
	pool_n += n;
	return mw_octets_of(at, n);
}

#define T(text) mw_octets_of(text, sizeof(text) - 1)
#define NONE T("")

/* Octets one behind the other; the last one has none. */
static struct mw_octets join(const struct mw_octets *pieces)
{
	unsigned char *at = pool + pool_n;

	for (; pieces->p != NULL; pieces++)
		keep(pieces->p, pieces->n);
	return mw_octets_of(at, (size_t)(pool + pool_n - at));
}

#define JOIN(...) join((const struct mw_octets[]){ __VA_ARGS__, { 0 } })

static struct mw_octets der(unsigned tag, struct mw_octets o)
{
	unsigned char head[6] = { (unsigned char)tag, (unsigned char)o.n };

	if (o.n < 128)
		return JOIN(mw_octets_of(head, 2), o);
	head[1] = 0x84;
	for (int i = 0; i < 4; i++)
		head[2 + i] = (unsigned char)(o.n >> (24 - 8 * i));
	return JOIN(mw_octets_of(head, 6), o);
}

static struct mw_octets ber(unsigned tag, struct mw_octets o)
{
	const unsigned char head[2] = { (unsigned char)tag, 0x80 };

	return JOIN(mw_octets_of(head, 2), o, T("\0\0"));
}

#define DATA T("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01")
#define SIGNED T("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02")
#define ENVELOPED T("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03")
#define DIGESTED T("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x05")
#define CT(n) T("\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01" n)
#define OTHER T("\x06\x03\x2a\x03\x04")
#define VERSION T("\x02\x01\x01")
#define ALGORITHM T("\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00")
#define ENTITY "Content-Type: text/plain\r\n\r\nhello"

static struct mw_octets info(struct mw_octets type, struct mw_octets content)
{
	return der(0x30, JOIN(type, der(0xa0, content)));
}

static struct mw_octets string(const char *text)
{
	return der(0x04, mw_octets_of_text(text));
}

/* Version, algorithms, the content, certificates, signatures. */
static struct mw_octets structure(struct mw_octets encapsulated)
{
	return der(0x30, JOIN(VERSION, der(0x31, ALGORITHM), encapsulated,
				 der(0xa0, string("cert")), der(0x31, der(0x30, VERSION))));
}

static struct mw_octets signed_text(const char *text)
{
	return info(SIGNED, structure(info(DATA, string(text))));
}

static struct mw_octets base64(struct mw_octets o, const char *line_end)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static char out[65536];
	size_t n = 0;

	for (size_t i = 0; i < o.n; i += 3) {
		uint32_t v =
			(uint32_t)doc_u8(o, i) << 16 | doc_u8(o, i + 1) << 8 | doc_u8(o, i + 2);

		for (unsigned k = 0; k < 4; k++)
			out[n++] = i + k > o.n ? '=' : digits[v >> (18 - 6 * k) & 63];
		if (i % 48 == 45)
			n += (size_t)sprintf(out + n, "%s", line_end);
	}
	return keep(out, n);
}

static struct mw_octets deflated(const char *text)
{
	static unsigned char out[4096];
	uLongf n = sizeof(out);

	assert_int_equal(compress(out, &n, (const unsigned char *)text, strlen(text)), Z_OK);
	return keep(out, n);
}

/* ------------------------------------------------------------------ what comes out */

static void assert_end(struct mw_octets o, enum container_end want, const char *text)
{
	static struct given g;
	struct budget b = wide();

	assert_int_equal(read_with(&container_cms, o, &b, &g), want);
	assert_string_equal(g.text, text);
}

static void what_is_signed_is_given_out(void **state)
{
	struct mw_octets whole = signed_text(ENTITY);

	(void)state;
	assert_end(whole, CONTAINER_WHOLE, "=" ENTITY ";");
	every_limit_is_told(&container_cms, whole);
	every_damage_ends(&container_cms, whole);
	/* a type that is nobody's, and the content itself instead of a string (RFC 2315) */
	assert_end(info(SIGNED, structure(info(OTHER, string("x")))), CONTAINER_WHOLE, "=x;");
	assert_end(
		info(SIGNED, structure(info(OTHER, VERSION))), CONTAINER_WHOLE, "=\x02\x01\x01;");
	assert_end(info(DATA, string("x")), CONTAINER_WHOLE, "=x;");
	assert_end(info(DIGESTED, der(0x30, JOIN(VERSION, ALGORITHM, info(DATA, string("x")),
						    string("digest")))),
		CONTAINER_WHOLE, "=x;");
	assert_end(info(CT("\x02"), der(0x30, JOIN(VERSION, der(0x31, NONE), ALGORITHM,
						      info(DATA, string("x")), string("mac")))),
		CONTAINER_WHOLE, "=x;");
	assert_end(info(CT("\x1f"), der(0x30, JOIN(VERSION, der(0x16, T("a:b")), string("x"),
						      der(0xa0, NONE)))),
		CONTAINER_WHOLE, "=x;");
}

static void lengths_are_indefinite_and_strings_in_pieces(void **state)
{
	struct mw_octets pieces = ber(
		0x24, JOIN(string("Content-"), ber(0x24, JOIN(string("Type: a/b\r\n"), string(""))),
			      der(0x24, JOIN(string("\r\nhe"), string("llo")))));
	struct mw_octets whole = ber(0x30,
		JOIN(SIGNED,
			ber(0xa0, ber(0x30, JOIN(VERSION, ber(0x31, ber(0x30, ALGORITHM)),
						    ber(0x30, JOIN(DATA, ber(0xa0, pieces))),
						    ber(0xa0, string("cert")), ber(0x31, NONE))))));

	(void)state;
	assert_end(whole, CONTAINER_WHOLE, "=Content-Type: a/b\r\n\r\nhello;");
	every_limit_is_told(&container_cms, whole);
	every_damage_ends(&container_cms, whole);
	/* pieces without a string around them; [0] that stands for the string */
	assert_end(info(SIGNED, structure(info(DATA, JOIN(string("a"), string("b"))))),
		CONTAINER_WHOLE, "=ab;");
	assert_end(info(SIGNED, structure(der(0x30, JOIN(DATA, der(0x80, T("ab")))))),
		CONTAINER_WHOLE, "=ab;");
	/* tags and lengths in more octets than they need */
	assert_end(JOIN(T("\x3f\x80\x10\x80"), DATA, T("\xbf\0\x03\x1f\4\1x\0\0")),
		CONTAINER_BROKEN, "=x;");
	assert_end(JOIN(T("\x3f\x80\x10\x80"), DATA, T("\xbf\0\x04\x1f\4\1x\0\0")), CONTAINER_WHOLE,
		"=x;");
	assert_end(info(DATA, T("\x04\x88\0\0\0\0\0\0\0\1x")), CONTAINER_WHOLE, "=x;");
}

static void a_signature_beside_what_it_signs_has_nothing_in_it(void **state)
{
	(void)state;
	assert_end(info(SIGNED, structure(der(0x30, DATA))), CONTAINER_WHOLE, "");
	assert_end(ber(0x30, JOIN(SIGNED, ber(0xa0, structure(ber(0x30, DATA))))), CONTAINER_WHOLE,
		"");
}

static void what_is_encrypted_is_told(void **state)
{
	const struct mw_octets types[] = { ENVELOPED,
		T("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x04"),
		T("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x06"), CT("\x17") };
	static struct given g;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(types); i++) {
		struct budget b = wide();

		assert_int_equal(
			read_with(&container_cms,
				info(types[i], structure(der(0x30,
						       JOIN(DATA, ALGORITHM, der(0x80, T("x")))))),
				&b, &g),
			CONTAINER_WHOLE);
		assert_string_equal(g.text, "=;");
		assert_int_equal(g.encrypted, 1);
	}
}

static void what_is_compressed_is_inflated(void **state)
{
	struct mw_octets packed = deflated(ENTITY ENTITY ENTITY);
	struct mw_octets whole = info(
		CT("\x09"), der(0x30, JOIN(VERSION, ALGORITHM, info(DATA, der(0x04, packed)))));

	(void)state;
	assert_end(whole, CONTAINER_WHOLE, "=" ENTITY ENTITY ENTITY ";");
	every_limit_is_told(&container_cms, whole);
	every_damage_ends(&container_cms, whole);
	assert_end(info(CT("\x09"), der(0x30, JOIN(VERSION, ALGORITHM, info(DATA, string("x"))))),
		CONTAINER_BROKEN, "");
}

/* As members, which are known as what they are and opened in turn. */
static void contents_lie_in_each_other(void **state)
{
	struct mw_octets inner = structure(info(DATA, string(ENTITY)));
	const struct mw_octets ways[] = {
		info(SIGNED, structure(info(SIGNED, der(0x04, inner)))),
		info(SIGNED, structure(info(SIGNED, inner))), /* RFC 2315 */
		info(SIGNED, structure(info(SIGNED, der(0x04, info(SIGNED, inner))))),
		info(SIGNED, structure(info(DATA, der(0x04, info(SIGNED, inner))))),
		info(CT("\x13"), der(0x30, info(SIGNED, inner))),
		info(CT("\x14"), der(0x30, JOIN(info(SIGNED, inner), der(0x31, NONE)))),
	};
	struct seen s = { 0 };
	struct budget b;

	(void)state;
	for (size_t i = 0; i < MW_COUNT(ways); i++) {
		b = wide_budget();
		s = (struct seen){ 0 };
		s.into = &b; /* members without a name are opened, not noted */
		assert_int_equal(open_all(ways[i], &b, &s), CONTAINER_WHOLE);
		assert_int_equal(s.count, 0);
		s.into = NULL;
		assert_int_equal(open_all(ways[i], &b, &s), CONTAINER_WHOLE);
		assert_int_equal(s.count, 1);
		assert_true(s.octets > sizeof(ENTITY));
		every_limit_is_told(&container_cms, ways[i]);
		every_damage_ends(&container_cms, ways[i]);
	}
	/* the first way's member, one level down */
	assert_end(ber(0x30, JOIN(SIGNED, ber(0xa0, inner))), CONTAINER_WHOLE, "=" ENTITY ";");
}

static void base64_is_undone(void **state)
{
	struct mw_octets text = base64(signed_text(ENTITY), "\r\n"), whole;

	(void)state;
	assert_end(text, CONTAINER_WHOLE, "=" ENTITY ";");
	assert_end(JOIN(T("\r\n "), text), CONTAINER_WHOLE, "=" ENTITY ";");
	whole = JOIN(T("-----BEGIN PKCS7-----\n"), text, T("\n-----END PKCS7-----\n"));
	assert_end(whole, CONTAINER_WHOLE, "=" ENTITY ";");
	assert_end(
		JOIN(T("signed:\n"), whole, T("-----BEGIN X-----\nMIIB\n-----END X-----\n"), whole),
		CONTAINER_WHOLE, "=" ENTITY ";=" ENTITY ";");
	every_limit_is_told(&container_cms, whole);
	every_damage_ends(&container_cms, whole);
}

static void what_is_no_content_is_not_known(void **state)
{
	static const char *const texts[] = { "", "0", "0\x80", "0\x0b\x06\x09", "MIME-Version: 1.0",
		"-----BEGIN CMS-----",
		"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----" };

	(void)state;
	for (size_t i = 0; i < MW_COUNT(texts); i++)
		assert_false(container_cms.knows(mw_octets_of_text(texts[i])));
	assert_false(container_cms.knows(info(OTHER, string("x"))));
	assert_true(container_cms.knows(signed_text("x")));
}

static void damage_is_told_and_the_rest_given_out(void **state)
{
	struct mw_octets whole = signed_text("a text that is cut somewhere");

	(void)state;
	/* without its end; without [0]; of an unknown type; a string cut; nothing where it should
	 * be */
	assert_end(doc_range(whole, 0, whole.n - 15), CONTAINER_BROKEN,
		"=a text that is cut somewhere;");
	assert_end(doc_range(whole, 0, whole.n - 21), CONTAINER_BROKEN, "=a text that is cut som;");
	assert_end(der(0x30, SIGNED), CONTAINER_BROKEN, "");
	assert_end(info(CT("\x63"), string("x")), CONTAINER_BROKEN, "");
	assert_end(info(SIGNED, string("x")), CONTAINER_BROKEN, "");
	assert_end(info(SIGNED, der(0x30, VERSION)), CONTAINER_BROKEN, "");
	assert_end(info(SIGNED, structure(info(DATA, JOIN(der(0x24, JOIN(string("a"), VERSION)))))),
		CONTAINER_BROKEN, "=a;");
	/* a string that is longer than what it stands in */
	assert_end(info(SIGNED, structure(der(0x30, JOIN(DATA, T("\xa0\x03\x04\x03"
								 "abc"))))),
		CONTAINER_BROKEN, "=abc;");
	/* octets behind it */
	assert_end(JOIN(whole, T("something that is no padding")), CONTAINER_WHOLE,
		"=a text that is cut somewhere;=something that is no padding;");
	assert_end(JOIN(whole, T("\r\n")), CONTAINER_WHOLE, "=a text that is cut somewhere;");
}

struct told {
	char name[CONTAINER_NAME_MAX];
	bool mail;
};

static bool told_got(void *arg, const struct container_member *m)
{
	struct told *t = arg;

	mw_strlcpy(t->name, m->name, sizeof(t->name));
	t->mail = m->mail;
	return true;
}

static void files_and_entities_are_told_apart(void **state)
{
	static const struct {
		const char *content, *file, *name;
		bool mail;
	} cases[] = {
		{ ENTITY, "smime.p7m", "", true },
		{ "\r\n" ENTITY, "smime.p7m", "", true },
		{ "this is none\r\ncontent-type: a/b", "", "", true },
		{ "X-Y: z\n\nhello", "", "", true },
		{ "\x01\r\n\ncontent-type: a/b\n", "", "", true },
		{ "%PDF-1.7\n\ncontent-type: a/b", "", "", false },
		{ "%PDF-1.7\r\n\r\ncontent-type: a/b", "", "", false },
		{ "%PDF-1.7\n", "contract.pdf.p7m", "contract.pdf", false },
		{ "%PDF-1.7\n", "a.exe.P7M", "a.exe", false },
		{ "hello", NULL, "", false },
	};

	(void)state;
	for (size_t i = 0; i < MW_COUNT(cases); i++) {
		struct told t = { 0 };
		struct budget b = wide();
		const struct container_job job = { .octets = signed_text(cases[i].content),
			.name = cases[i].file,
			.budget = &b,
			.got = told_got,
			.arg = &t };

		assert_int_equal(container_cms.open(&job), CONTAINER_WHOLE);
		assert_string_equal(t.name, cases[i].name);
		assert_int_equal(t.mail, cases[i].mail);
	}
}

/* A million levels, pieces, members: nothing is walked over again for each. */
static void what_is_repeated_without_end_is_read_soon(void **state)
{
	const struct mw_octets repeated[] = { T("\x24\x80"), T("\x04\x01x"), T("\x30\x80"),
		T("\x30\x80\0\0"), T("\0\0"),
		T("\x30\x0f\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07"
		  "\x01\xa0\x80\x04\x00") };
	static unsigned char text[4 << 20];
	clock_t from = clock(); /* not the time of other programs */
	static struct given g;

	(void)state;
	for (size_t k = 0; k < 3 * MW_COUNT(repeated); k++) {
		const struct mw_octets heads[] = { ber(0x30, JOIN(DATA, T("\xa0\x80\x24\x80"))),
			ber(0x30, JOIN(SIGNED, T("\xa0\x80\x30\x80"))),
			ber(0x30, JOIN(SIGNED, T("\xa0\x80\x30\x80\x30\x80"), DATA)) };
		struct mw_octets head = heads[k % 3], step = repeated[k / 3];
		struct budget b = wide();
		size_t n = head.n - 2; /* its end stands behind it */

		b.deadline_ms = mw_mono_ms() + 2000;
		memcpy(text, head.p, n);
		for (; n + step.n <= sizeof(text); n += step.n)
			memcpy(text + n, step.p, step.n);
		read_with(&container_cms, mw_octets_of(text, n), &b, &g);
		pool_n = 0;
	}
	memset(text, '-', sizeof(text));
	for (size_t n = 0; n + 11 < sizeof(text); n += 11)
		memcpy(text + n, "-----BEGIN ", 11);
	assert_false(container_cms.knows(mw_octets_of(text, sizeof(text))));
	assert_true((clock() - from) / CLOCKS_PER_SEC < 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_signed_is_given_out),
		cmocka_unit_test(lengths_are_indefinite_and_strings_in_pieces),
		cmocka_unit_test(a_signature_beside_what_it_signs_has_nothing_in_it),
		cmocka_unit_test(what_is_encrypted_is_told),
		cmocka_unit_test(what_is_compressed_is_inflated),
		cmocka_unit_test(contents_lie_in_each_other),
		cmocka_unit_test(base64_is_undone),
		cmocka_unit_test(what_is_no_content_is_not_known),
		cmocka_unit_test(damage_is_told_and_the_rest_given_out),
		cmocka_unit_test(files_and_entities_are_told_apart),
		cmocka_unit_test(what_is_repeated_without_end_is_read_soon),
	};

	return cmocka_run_group_tests_name("cms", tests, NULL, NULL);
}
