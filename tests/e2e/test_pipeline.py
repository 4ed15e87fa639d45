"""Acceptance 2: what comes out has the body octets that went in, and header fields are only added."""
import random
import re

import pytest

import mw
from mwmail import DkimKey, crlf, field, mail, split

# Fields that a check may put on top.
ADDED = {b"received", b"x-virus-scanned", b"authentication-results", b"x-spam-flag", b"x-spam-score", b"x-spam-level", b"x-spam-status",
    b"x-quarantine-id", b"x-amavis-alert", b"mime-ambiguity-results", b"dkim-signature"}


def raw_fields(header):
    """Fields of a header section as they stand, folds included."""
    return re.findall(rb"(?:[^\r\n]|\r(?!\n)|(?<!\r)\n)+\r\n(?:[ \t](?:[^\r\n]|\r(?!\n)|(?<!\r)\n)*\r\n)*", header)


def assert_only_added(sent, got):
    """got is sent with nothing but fields of ADDED put before or between."""
    sent_head, sent_body = split(sent)
    got_head, got_body = split(got)
    assert got_body == sent_body
    wanted = raw_fields(sent_head)
    for f in raw_fields(got_head):
        if wanted and f == wanted[0]:
            wanted.pop(0)
        else:
            assert f.split(b":")[0].strip().lower() in ADDED, f"unexpected field {f[:100]!r}"
    assert not wanted, f"a field is gone: {wanted[0][:100]!r}"


def queue_id(reply):
    return re.search(r"queued as (\S+)", reply.text).group(1)


@pytest.fixture
def running(suite):
    """Front, scanner, dkim, reputation before a sink; what is odd in a header section is left as it is, and subjects of ambiguous mail."""
    suite.full().set(allow_fixing_improper_header=False, undecipherable_subject_tag="").sink()
    return suite.start_all(services=("scanner", "dkim", "reputation"))


@pytest.mark.deadline(240)
def test_a_thousand_real_mails_keep_their_body_octets(running, corpus):
    paths = sorted(corpus.iterdir())
    chosen = random.Random(2026).sample(paths, min(1000, len(paths)))
    sent = {}
    with running.smtp(timeout_s=60) as c:
        c.hello()
        for path in chosen:
            octets = crlf(path.read_bytes())
            r = c.mail("sender@example.com", ["rcpt@example.org"], octets)
            assert r.code == 250, f"{path.name}: {r}"
            sent[queue_id(r)] = (path.name, octets)
    sink = running.sinks[0]
    assert sink.count() == len(chosen)
    for row in sink.index():
        name, octets = sent.pop(row["id"])
        try:
            assert_only_added(octets, sink.mail(row["id"])[1])
        except AssertionError as e:
            raise AssertionError(f"{name}: {e}") from e
    assert not sent


HEAD = b"From: a@example.com\r\nTo: rcpt@example.org\r\nDate: Mon, 02 Mar 2026 08:15:30 +0000\r\nSubject: odd\r\n"
ODD = {
    "8-bit header": HEAD + b"X-Eight: gr\xfc\xdfe \xff\xfe\x80\r\n\r\nbody\r\n",
    "utf-8 header": HEAD + "X-Utf: grüße 漢字\r\n\r\nbody\r\n".encode(),
    "NUL in header and body": HEAD + b"X-Nul: a\0b\r\n\r\na\0\0b\r\n\0\r\n",
    "bare CR": HEAD + b"X-Cr: a\rb\r\n\r\nfirst\rsecond\r\r\nthird\r\r\r\n",
    "100 KiB line in the body": HEAD + b"\r\n" + b"x" * 102400 + b"\r\nend\r\n",
    "100 KiB line in the header": HEAD + b"X-Long: " + b"y" * 102400 + b"\r\n\r\nbody\r\n",
    "dot-only lines": HEAD + b"\r\n.\r\n..\r\n...\r\n.x\r\n\r\n.\r\n",
    "ends with a dot": HEAD + b"\r\nend.\r\n.",
    "empty body": HEAD + b"\r\n",
    "no body at all": HEAD,
    "no header": b"\r\nonly a body\r\n",
    "no field in the header": b"this is no field\r\nneither is this\r\n\r\nbody\r\n",
    "many empty lines": HEAD + b"\r\n" * 5000,
    "8-bit body": HEAD + b"\r\n" + bytes(range(14, 256)) * 50 + b"\r\n",
    "no final line end": HEAD + b"\r\nno line end",
    "long fold": HEAD + b"X-Fold: a" + b"\r\n\t b" * 2000 + b"\r\n\r\nbody\r\n",
    "one octet over what is kept in memory": HEAD + b"\r\n" + b"0123456789abcdef" * 8192 + b"z\r\n",
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_mail_comes_out_as_it_went_in(running, name):
    octets = ODD[name]
    with running.smtp() as c:
        c.hello()
        r = c.mail("sender@example.com", ["rcpt@example.org"], octets)
    assert r.code == 250, r
    got = running.sinks[0].mail(queue_id(r))[1]
    if not octets.endswith(b"\r\n"):
        octets += b"\r\n"  # SMTP has no other way to end a mail
    if name in ("no body at all", "no field in the header"):
        assert got.endswith(octets) or got.rstrip(b"\r\n").endswith(octets.rstrip(b"\r\n"))
    elif name == "no header":
        assert split(got)[1] == b"only a body\r\n"
    else:
        assert_only_added(octets, got)


@pytest.mark.deadline(180)
def test_a_mail_of_64_mib_comes_out_whole(running):
    block = bytes(random.Random(7).randrange(32, 127) for _ in range(4094)) + b"\r\n"
    octets = HEAD + b"\r\n" + block * (64 * 1024 * 1024 // len(block))
    with running.smtp(timeout_s=150) as c:
        c.hello()
        r = c.mail("sender@example.com", ["rcpt@example.org"], octets, mail_args=f" SIZE={len(octets)}", timeout_s=150)
    assert r.code == 250, r
    assert_only_added(octets, running.sinks[0].mail(queue_id(r))[1])
    assert not list((running.folder / "spool").iterdir()), "spool files are unlinked"


def test_added_fields_say_what_was_done(suite):
    key = DkimKey(suite.folder, "example.com")
    suite.full().set(dkim__dns_data=[key.dns_line()]).sink()
    suite.start_all(services=("scanner", "dkim", "reputation"))
    octets = key.sign(mail(message_id="<fields@example.com>"))
    got = suite.sinks[0].mail(queue_id(suite.send(octets)))[1]
    assert_only_added(octets, got)
    assert field(got, "X-Virus-Scanned")
    assert "mw.test" in field(got, "Received")
    assert field(got, "Authentication-Results").startswith("mw.test")
    assert "dkim=pass" in field(got, "Authentication-Results")
    assert field(got, "MIME-Ambiguity-Results") is None
    # what programs may read differently is told, and not in the sender's words
    octets = mail(headers=["Content-Transfer-Encoding: 7bit", "Content-Transfer-Encoding: base64", "MIME-Ambiguity-Results: mw.test; clean"],
        body=b"aGVsbG8gd29ybGQ=\r\n")
    got = suite.sinks[0].mail(queue_id(suite.send(octets)))[1]
    assert field(got, "MIME-Ambiguity-Results") == "mw.test; duplicate_field"
    assert b"clean" not in split(got)[0]


def test_fields_that_only_we_may_write_are_taken_out(suite):
    suite.sink()
    suite.start_all(services=("scanner",))
    forged = ["X-Spam-Status: No, score=-100", "X-Spam-Flag: NO", "Authentication-Results: mw.test; dkim=pass header.d=bank.example"]
    kept = ["Authentication-Results: other.example; spf=pass", "X-Other: x"]
    got = suite.sinks[0].mail(queue_id(suite.send(mail(headers=forged + kept))))[1]
    lines = split(got)[0].decode().split("\r\n")
    assert not set(forged) & set(lines)
    assert set(kept) <= set(lines)


def test_the_next_hops_words_are_the_reply(running):
    r = running.send(mail())
    assert re.search(r"250 2\.0\.0 Ok: queued as [0-9A-F]+", r.text), r
    assert r.enhanced == "2.0.0"


def test_envelope_reaches_the_next_hop_as_it_was(running):
    rcpts = [f"user{i}@example.org" for i in range(50)] + ['"odd local"@example.org', "user+ext@sub.example.org"]
    r = running.send(mail(), sender="", rcpts=rcpts)
    row = running.sinks[0].index()[-1]
    assert row["id"] == queue_id(r) and row["sender"] == "" and row["rcpts"] == rcpts


def test_pipelined_commands_get_their_replies_in_order(running):
    with running.smtp() as c:
        c.hello()
        for _ in range(3):
            replies = c.mail_pipelined("sender@example.com", ["a@example.org", "b@example.org"], mail())
            assert [r.code for r in replies] == [250, 250, 250, 354, 250]
    assert running.sinks[0].count() == 3


def test_a_bare_line_feed_is_refused_and_nothing_is_sent_on(running):
    with running.smtp() as c:
        c.hello()
        r = c.cmd("MAIL FROM:<a@example.com>")
        c.cmd("RCPT TO:<rcpt@example.org>")
        assert c.cmd("DATA").code == 354
        c.write(b"Subject: x\r\n\r\nfirst\n.\nMAIL FROM:<smuggled@example.com>\r\n.\r\n")
        r = c.reply()
        assert 500 <= r.code < 600, r
    assert running.sinks[0].count() == 0


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize("text", ["450 4.2.0 come back later", "554 5.7.1 never"])
def test_the_next_hops_refusal_is_passed_on(suite, stage, text):
    suite.sink(args=["--reply", f"{stage}={text}"])
    suite.start_all(services=("scanner",))
    r = suite.send(mail())
    assert r.code == int(text[:3]), r
    assert text[10:] in r.text
    assert suite.sinks[0].count() == 0


@pytest.mark.parametrize("stage", ["connect", "banner", "ehlo", "mail", "rcpt", "data", "dot"])
def test_a_next_hop_that_hangs_up_gives_4xx(suite, stage):
    suite.sink(args=["--drop", stage])
    suite.start_all(services=("scanner",))
    r = suite.send(mail())
    assert 400 <= r.code < 500, r


@pytest.mark.parametrize("stage", ["banner", "ehlo", "mail", "rcpt", "data", "dot"])
def test_a_silent_next_hop_gives_4xx_within_the_time_budget(suite, stage):
    suite.set(child_timeout=4)
    suite.sink(args=["--silent", stage])
    suite.start_all(services=("scanner",))
    r = suite.send(mail(), timeout_s=15)
    assert 400 <= r.code < 500, r


def test_no_next_hop_gives_4xx(suite):
    suite.set(forward_method=f"smtp:[127.0.0.1]:{mw.free_port()}")
    suite.start_all(services=("scanner",))
    r = suite.send(mail())
    assert 400 <= r.code < 500, r
