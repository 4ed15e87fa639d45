/* fuzz: common services/smtp-front -Wl,--wrap=mw_log */
/*
 * A whole session of SMTP or LMTP: octets in any cuts, writes that are taken in part or fail, mails
 * that end at once, later or never, clients that go, a service that ends. Whatever happens, the
 * judge finds the conversation right, nothing waits for ever, and nothing is left behind.
 *
 * Input: two octets of settings, FATES octets that say what happens, then the client's.
 */
#include "smtp_session_judge.h"

#define SETTINGS 2
#define INPUT_MOST 131072

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* inet_acl that lets all in. */
static struct mw_lookup *everybody(void)
{
	static struct mw_lookup *l;
	char *keys[] = { (char *)"1" };
	struct mw_val yes = { .tag = MW_V_BOOL, .b = true };
	struct mw_val maps = {
		.tag = MW_V_TABLE, .count = 1, .is_array = true, .keys = keys, .vals = &yes
	};
	const struct mw_lookup_options o = {
		.name = "inet_acl", .key = MW_KEY_IP, .want = MW_WANT_BOOL
	};

	if (l == NULL)
		require(mw_lookup_new(&maps, &o, &l, NULL) == MW_OK);
	return l;
}

static void set_up(unsigned a, unsigned b)
{
	struct policy *p = &world.policy;

	*p = (struct policy){ .protocol = a % 3,
		.bare_newline = a / 3 % 3,
		.tls_in = a / 9 % 3,
		.offers = SMTP_OFFERS_ALL,
		.message_size_limit = b & 1 ? 1000000 : 200,
		.recipient_limit = b & 2 ? RCPTS_MOST : 2,
		.smtpd_timeout_ms = 60000,
		.voice = { .level = MW_LOG_LEVEL_OF_ALL },
		.acl = everybody() };
	if (a / 27 % 4 == 3)
		p->offers &= ~(MW_BIT(SMTP_OFFERS_CHUNKING) | MW_BIT(SMTP_OFFERS_SMTPUTF8) |
			       MW_BIT(SMTP_OFFERS_XFORWARD));
	mw_strlcpy(p->localhost_name, "mx.example.org", sizeof(p->localhost_name));
	mw_strlcpy(p->greeting, "mx.example.org ESMTP", sizeof(p->greeting));
	for (int lmtp = 0; lmtp < 2; lmtp++)
		mw_strlcpy(p->goodbye[lmtp], "bye", sizeof(p->goodbye[lmtp]));
	front.limits = (struct front_limits){ .line_octets = b & 4 ? 2048 : 64,
		.errors = b & 8 ? 1000 : 4,
		.commands = b & 16 ? 100000 : 10,
		.sessions = (b & 0xe0) == 0xe0 ? 0 : 10 };
	front.bodies = (struct smtp_body_pool){ .memory_octets = (b & 0xe0) == 0xc0 ? 64 : 131072,
		.held_limit = (b & 0xe0) == 0xa0 ? 100 : 1u << 30,
		.spool_dir = "/tmp" };
}

/* ------------------------------------------------------------------ what can happen */

static struct smtp_session *session(void)
{
	return world.st != NULL ? world.st->owner : NULL;
}

static bool is_gone(void)
{
	return world.st == NULL || world.st->closed;
}

/* Memory that a client can make a session take; and that its going is noticed while its mail is at
 * work, for that is told to readers only. */
static void look_at_session(void)
{
	const struct smtp_session *s = session();

	require(s->held_n <= READ_MOST + front.limits.line_octets);
	require(s->out.n <= OUT_MOST);
	require(world.st->reading || world.st->writing || s->held_n > 0 || world.st->shaking);
	require(s->txn == NULL || s->txn->rcpt_count <= world.policy.recipient_limit);
}

static size_t cut(unsigned f, const uint8_t *p, size_t n)
{
	const uint8_t *lf;
	size_t len = n;

	if (f % 4 == 1) {
		lf = memchr(p, '\n', n);
		len = lf != NULL ? (size_t)(lf - p) + 1 : n;
	} else if (f % 4 == 2) {
		len = f / 4 % 16 + 1;
	} else if (f % 4 == 3) {
		len = 64 + f / 4 * 16;
	}
	len = len > n ? n : len;
	return len > READ_MOST ? READ_MOST : len;
}

/* Octets taken. */
static size_t feed(const uint8_t *p, size_t n)
{
	uint8_t *copy;

	if (!world.st->reading || world.st->shaking || n == 0)
		return 0;
	n = cut(fate(), p, n);
	copy = malloc(n); /* gone after the call, and nothing may be read behind it */
	require(copy != NULL);
	memcpy(copy, p, n);
	mw_text_add_octets(&world.in, p, n);
	world.st->ops->octets(world.st->owner, copy, n);
	free(copy);
	return n;
}

/* Something that was waited for; false: nothing was. */
static bool go_on(void)
{
	struct stream *st = world.st;
	unsigned f;

	if (st->writing) {
		world_written(st, fate() % 64 == 63 ? UV_ECONNRESET : 0);
	} else if (world.busy != NULL) {
		world_over(world.busy);
	} else if (st->shaking) {
		f = fate();
		st->shaking = false;
		st->ops->secured(st->owner, f % 16 == 15 ? "no shared cipher" : NULL);
	} else {
		return false;
	}
	return true;
}

static void tick(uint64_t ms)
{
	struct intake_session *in = world.intake.sessions;

	world.now_ms += ms;
	if (in != NULL)
		in->ops->tick(in, world.now_ms);
}

static void drain(void)
{
	struct intake_session *in = world.intake.sessions;

	world.intake.closing = true;
	front.drain_until_ms = world.now_ms + 5000;
	if (in != NULL)
		in->ops->dismiss(in);
}

/* What comes between. */
static void happen(unsigned f)
{
	if (f < 200)
		return;
	if (f < 220)
		tick(1000);
	else if (f < 228)
		world.full = !world.full;
	else if (f < 234)
		tick(world.policy.smtpd_timeout_ms);
	else if (f < 238)
		drain();
	else if (f < 242 && world.st->reading && !world.st->shaking)
		world.st->ops->ended(world.st->owner, f & 1 ? UV_EOF : UV_ECONNRESET);
	else if (f == 255)
		world.intake.sessions->ops->kill(world.intake.sessions);
}

/* ------------------------------------------------------------------ a session's life */

static void talk(const uint8_t *p, size_t n)
{
	size_t at = 0;

	while (!is_gone() && at < n) {
		bool waits = fate() % 2 == 0;
		size_t used;

		happen(fate());
		if (is_gone())
			break;
		if (waits && go_on())
			continue;
		used = feed(p + at, n - at);
		at += used;
		if (!is_gone())
			look_at_session();
		/* Neither reading nor waiting for anything: it would stay so for ever. */
		require(used > 0 || is_gone() || go_on());
	}
	while (!is_gone() && go_on())
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool whole;

	if (size < SETTINGS + FATES || size > INPUT_MOST)
		return 0;
	mw_log_level(MW_DEBUG);
	world_begin(data + SETTINGS);
	set_up(data[0], data[1]);
	smtp_session_accept(&world.listener);
	talk(data + SETTINGS + FATES, size - SETTINGS - FATES);
	whole = !is_gone() && !session()->hung_up;
	require(is_gone() || world.st->reading);
	judge_all(whole);
	if (!is_gone())
		happen(fate() % 4 == 0 ? 255 : 238);
	if (!is_gone())
		world.st->ops->ended(world.st->owner, UV_EOF);
	require(is_gone());
	world_close();
	judge_all(false);
	world_end();
	return 0;
}
