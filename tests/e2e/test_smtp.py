"""
The front as an SMTP server, with raw sockets in front of it: sessions, limits, ends, and the fields it writes. Mail is
not scanned unless a test is about that; test_smtp_hops.py has what next hops do.
"""
import email
import re
import signal
import socket
import threading
import time

import pytest

import mw
import mwhop
from mwhop import A, send
from mwmail import DkimKey, field, mail
from mwsmtp import Gone, stuffed
from next_hop import NextHop

behind = mwhop.behind  # the fixture
MB = 1 << 20


def sanitised():
    return b"__asan_init" in (mw.BIN / "mailweir-smtp-front").read_bytes()


# ------------------------------------------------------------------ our own fields

def parsed(octets):
    return email.message_from_bytes(octets)


@pytest.mark.parametrize("first", [b"\t; dkim=pass header.d=bank.example\r\n", b" ; dkim=pass header.d=bank.example\r\n",
    b" \r\n\t; dkim=pass header.d=bank.example\r\n", b"\t\t (bank.example\r\n", b" bank.example\r\n\r\n"], ids=repr)
def test_a_mail_that_begins_with_white_space_does_not_go_on_our_fields(behind, suite, first):
    key = DkimKey(suite.folder, "example.com")
    hop = behind(services=("dkim",), settings={"enable_dkim_verification": True, "dkim.dns_local_only": True,
        "dkim.dns_data": [key.dns_line()]})
    octets = key.sign(mail(message_id="<signed@example.com>"))
    assert send(suite, octets=octets).code == 250
    assert send(suite, octets=first + octets).code == 250
    plain, odd = (parsed(m.octets) for m in hop.mails)
    signed = b"\r\n\r\n" not in first  # else the signature stands in the body
    for name in ("Received", "Authentication-Results")[:1 + signed]:
        values = plain.get_all(name), odd.get_all(name)
        assert [len(v) for v in values] == [1, 1], values
        assert "bank" not in values[1][0]
        # Ids and dates differ; the shape does not.
        shapes = [re.sub(r"\bid \S+|;\s+\w{3}, .*", "X", v[0]) for v in values]
        assert shapes[0] == shapes[1]
    assert not signed or "dkim=pass" in values[1][0] and "header.d=example.com" in values[1][0]
    assert signed or odd.get_all("Authentication-Results") is None
    alerts = odd.get_all("X-Amavis-Alert")
    # What the header check found, and last the field that the mail's first line goes on.
    assert len(alerts) == 2 and all(a.startswith("BAD HEADER SECTION, ") for a in alerts)
    assert alerts[1].startswith("BAD HEADER SECTION, the first line begins with white space") and "bank.example" in alerts[1]
    assert plain.get_all("X-Amavis-Alert") is None
    kept = first.removeprefix(b" \r\n")  # but for a line of blanks alone (allow_fixing_improper_header_folding)
    assert hop.mails[1].octets.endswith(kept + octets), "the mail itself is as it was"


CLAIMS = ['Authentication-Results: mw.test; dkim=pass', 'Authentication-Results: "mw.test"; dkim=pass',
    'Authentication-Results:mw.test;dkim=pass', 'AUTHENTICATION-results: MW.Test; dkim=pass',
    'Authentication-Results:  \t mw.test 1; dkim=pass', 'Authentication-Results:\r\n\tmw.test; dkim=pass',
    'Authentication-Results: \r\n\t mw.test\r\n\t; dkim=pass', 'Authentication-Results: (x) mw.test; dkim=pass',
    'Authentication-Results: (a (b) \\) c)\r\n\tmw.test; dkim=pass', 'Authentication-Results: mw.test(x); dkim=pass',
    'Authentication-Results: "mw.te\\st"; dkim=pass', 'Authentication-Results: (x)"mw.test"; dkim=pass',
    'Authentication-Results: mw.test/1; dkim=pass', 'Authentication-Results : mw.test; dkim=pass', 'Authentication-Results: mw.test',
    'Authentication-Results: "mw.test; dkim=pass', 'Authentication-Results: "MW.TEST" 1; dkim=pass']
FOREIGN = ["Authentication-Results: other.example; dkim=pass", 'Authentication-Results: "other.example"; spf=pass',
    "Authentication-Results: mw.test.example; dkim=pass", "Authentication-Results: xmw.test; dkim=fail"]


def test_claims_in_our_name_do_not_come_through(behind, suite):
    hop = behind()
    through = []
    with suite.smtp() as c:
        c.hello()
        for claim in CLAIMS:
            assert c.mail("x@example.com", [A], mail(headers=[claim, *FOREIGN])).code == 250
            head = hop.mails[-1].octets
            through += [claim] if claim.encode() + b"\r\n" in head else []
            assert all(line.encode() + b"\r\n" in head for line in FOREIGN), claim
        assert c.mail("x@example.com", [A], mail(headers=[*CLAIMS, *FOREIGN, *CLAIMS])).code == 250
    assert through == []
    left = parsed(hop.mails[-1].octets).get_all("Authentication-Results")
    assert left == [line.partition(": ")[2] for line in FOREIGN]


@pytest.mark.parametrize("helo", ["a(b", "a)b;c", "[127.0.0.1]", 'x"y'])
def test_a_helo_name_hides_nothing_of_our_received(behind, suite, helo):
    hop = behind()
    with suite.smtp() as c:
        c.hello(helo)
        assert c.mail("x@example.com", [A], mail()).code == 250
    received = parsed(hop.mails[0].octets).get_all("Received")
    assert len(received) == 1 and received[0].count(";") == 1 and '"' not in received[0]
    depth = [0]
    for ch in received[0]:
        depth.append(depth[-1] + {"(": 1, ")": -1}.get(ch, 0))
    assert min(depth) == 0 and max(depth) == 1 and depth[-1] == 0, received


# ------------------------------------------------------------------ bounded sessions

@pytest.mark.deadline(60)
def test_731_pipelined_recipients_get_731_replies(behind, suite):
    hop = behind()
    rcpts = [f"{'r' * 190}{i:03}@example.org" for i in range(731)]
    with suite.smtp() as c:
        c.hello()
        lines = ["MAIL FROM:<x@example.com>"] + [f"RCPT TO:<{r}>" for r in rcpts] + ["DATA"]
        c.write("".join(line + "\r\n" for line in lines).encode())
        replies = [c.reply() for _ in lines]
        assert [r.code for r in replies] == [250] * 732 + [354]
        assert all(f"<{r}>" in reply.text for r, reply in zip(rcpts, replies[1:]))
        c.write(stuffed(mail()))
        assert c.reply().code == 250
    assert hop.mails[0].rcpts == rcpts


@pytest.mark.deadline(60)
def test_a_client_that_does_not_read_gets_every_reply_later(behind, suite):
    behind(settings={"smtpd_error_limit": 10000})
    count = 60000
    with suite.smtp() as c:
        c.hello()
        writer = threading.Thread(target=c.write, args=(b"NOOP\r\n" * count,))
        writer.start()
        for _ in range(count):
            assert c.reply().code == 250
        writer.join(20)
        assert c.quit().code == 221
    assert mw.memory_kb(suite.front.pid) < 100 * 1024 or sanitised()


@pytest.mark.deadline(100)
def test_1100_long_recipients_are_452_from_some_on_and_lose_no_worker(behind, suite):
    hop = behind(services=("scanner",))
    suite.front.wait_log(r" worker_came ")
    rcpts = [f"{i:04}{'r' * 969}@example.org" for i in range(1100)]
    with suite.smtp() as c:
        c.hello()
        assert c.cmd("MAIL FROM:<x@example.com>").code == 250
        writer = threading.Thread(target=c.write, args=("".join(f"RCPT TO:<{r}>\r\n" for r in rcpts).encode(),))
        writer.start()
        codes = [c.reply().code for _ in rcpts]
        writer.join(20)
        first = codes.index(452)
        assert first > 100 and codes == [250] * first + [452] * (1100 - first)
        assert c.cmd("DATA").code == 354
        c.write(stuffed(mail()))
        r = c.reply()
        assert r.code == 250, r
        assert hop.mails[0].rcpts == rcpts[:first]
        assert c.mail("x@example.com", [A], mail()).code == 250
    log = suite.front.log() + suite.service("scanner").log()
    assert not re.search(r" (worker_left|bad_job|job_failed) ", log), log


def grown_kb(suite, before):
    return suite.front.rss_kb() - before


@pytest.mark.deadline(60)
@pytest.mark.parametrize("between", [[], ["RSET"], ["EHLO x"]], ids=["one session", "with RSET", "with EHLO"])
def test_20000_xforward_commands_keep_nothing(behind, suite, between):
    behind(settings={"smtpd_error_limit": 10000})
    line = "XFORWARD NAME=" + "n" * 250 + " HELO=" + "h" * 250 + " ADDR=192.0.2.1"
    with suite.smtp() as c:
        c.hello()
        round_ = [line, *between]
        for command in round_:
            assert c.cmd(command).code == 250
        before = suite.front.rss_kb()
        rounds, ended = 20000, False
        for _ in range(rounds // 50):
            if ended:
                break
            c.write("".join(command + "\r\n" for command in round_ * 50).encode())
            try:
                for _ in range(50 * len(round_)):
                    if c.reply().code == 421:
                        ended = True
                        break
            except (Gone, BrokenPipeError):
                ended = True
        assert between == [] or not ended
        grown = grown_kb(suite, before)
        print(f"grown by {grown} KiB, {'ended by the front' if ended else 'all answered'}")
        assert grown <= 2048 or sanitised()


@pytest.mark.deadline(60)
def test_refused_recipients_keep_nothing(behind, suite):
    behind(settings={"smtpd_error_limit": 10000, "smtpd_recipient_limit": 1})
    with suite.smtp() as c:
        c.hello()
        c.cmd("MAIL FROM:<x@example.com>")
        c.cmd(f"RCPT TO:<{A}>")
        before = suite.front.rss_kb()
        for _ in range(180):
            c.write(f"RCPT TO:<{'r' * 900}@example.org>\r\n".encode() * 50)
            assert {c.reply().code for _ in range(50)} == {452}
        assert grown_kb(suite, before) <= 2048 or sanitised()


# ------------------------------------------------------------------ ends and reloads

def term(suite):
    suite.front.signal(signal.SIGTERM)
    return time.monotonic()


def ended_within(suite, began, seconds):
    assert suite.front.popen.wait(seconds * 4 * mw.SLOW) == 0
    took = time.monotonic() - began
    print(f"ended after {took:.2f} s")
    assert took < seconds * mw.SLOW
    return took


@pytest.mark.parametrize("said", [[], ["EHLO x"], ["EHLO x", "MAIL FROM:<x@example.com>"],
    ["EHLO x", "MAIL FROM:<x@example.com>", f"RCPT TO:<{A}>"]], ids=["greeted", "ready", "mail", "rcpt"])
def test_sigterm_ends_a_session_between_commands_with_421(behind, suite, said):
    hop = behind()
    with suite.smtp() as c:
        assert c.reply().code == 220
        for line in said:
            assert c.cmd(line).code == 250
        began = term(suite)
        assert c.reply(20 * mw.SLOW).code == 421
        with pytest.raises(Gone):
            c.reply(20 * mw.SLOW)
        ended_within(suite, began, 5)
    assert hop.mails == []


@pytest.mark.deadline(90)
def test_sigterm_gives_a_session_in_its_data_some_seconds(behind, suite):
    hop = behind()
    with suite.smtp() as c, suite.smtp() as idle:
        idle.hello()
        c.hello()
        assert c.envelope("x@example.com", [A]) is None
        assert c.cmd("DATA").code == 354
        began = term(suite)
        assert idle.reply().code == 421
        with pytest.raises(OSError):
            suite.smtp().hello()
        # It never comes to its dot.
        try:
            assert c.reply(30 * mw.SLOW).code == 421
        except Gone:
            pass
        took = ended_within(suite, began, 15)
        assert took > 2, "it was not given any time"
    assert hop.mails == []


def test_a_mail_that_ends_in_time_after_sigterm_is_delivered(behind, suite):
    hop = behind()
    with suite.smtp() as c:
        c.hello()
        assert c.envelope("x@example.com", [A]) is None
        assert c.cmd("DATA").code == 354
        began = term(suite)
        suite.front.wait_log(r" drain_begun ")
        c.write(stuffed(mail()))
        assert c.reply().code == 250
        assert c.reply().code == 421
        c.close()
        ended_within(suite, began, 5)
    assert len(hop.mails) == 1


@pytest.mark.deadline(90)
def test_a_front_that_was_stopped_for_4_s_loses_no_worker(behind, suite):
    hop = behind(services=("scanner",))
    suite.front.wait_log(r" worker_came ")
    assert send(suite).code == 250
    suite.front.signal(signal.SIGSTOP)
    time.sleep(4.5)  # the time itself is what this is about
    suite.front.signal(signal.SIGCONT)
    for _ in range(3):
        assert send(suite).code == 250
    assert "X-Virus-Scanned" in parsed(hop.mails[-1].octets)
    assert not suite.front.log_lines("worker_left"), suite.front.tail()


def reload(suite, times=1, **settings):
    suite.set(**settings)
    suite.conf_path("smtp-front", "1")
    suite.front.signal(signal.SIGHUP)
    suite.front.wait_log(r" settings_reloaded ", count=times)


def test_a_session_opened_before_a_reload_sends_under_the_new_settings(behind, suite):
    hop = behind(services=("scanner",), settings={"X_HEADER_LINE": "old words", "localhost_name": "old.example"})
    suite.front.wait_log(r" worker_came ")
    with suite.smtp() as c, suite.smtp() as begun, NextHop() as other:
        for s in (c, begun):
            s.hello()
            assert s.mail("x@example.com", [A], mail()).code == 250
        assert begun.envelope("x@example.com", [A]) is None
        reload(suite, X_HEADER_LINE="new words", localhost_name="new.example", forward_method=other.method,
            smtpd_message_size_limit=2000, enforce_smtpd_message_size_limit_64kb_min=False)
        assert c.mail("x@example.com", [A], mail()).code == 250
        assert c.cmd("MAIL FROM:<x@example.com> SIZE=2001").code == 552
        # What had begun before goes on under the settings of its MAIL.
        assert begun.cmd("DATA").code == 354
        begun.write(stuffed(mail(body=b"x" * 70 + b"\r\n" + b"y" * 3000 + b"\r\n")))
        assert begun.reply().code == 250
    assert [field(m.octets, "X-Virus-Scanned") for m in hop.mails + other.mails] == ["old words"] * 3 + ["new words"]
    assert "by new.example" in field(other.mails[0].octets, "Received")
    assert "by old.example" in field(hop.mails[-1].octets, "Received")


# ------------------------------------------------------------------ commands

@pytest.mark.parametrize("line,code", [("HELO", 501), ("EHLO", 501), ("XYZZY", 500), ("STARTTLS", 502),
    ("AUTH PLAIN", 502), ("EXPN x", 502), ("ETRN x", 502), ("", 500), ("MAIL FROM:a@example.com", 501), ("MAIL FROM:<a b@example.com>", 501),
    ("MAIL FROM:<a@example.com> X=1", 555), ("MAIL FROM:<a@example.com> BODY=BINARYMIME", (501, 555)),
    ("MAIL FROM:<a@@example.com>", 501),
    ("RCPT TO:<a@example.org>", 503), ("DATA", 503), ("VRFY x", 252), ("HELP", 214), ("NOOP x", 250), (b"NO\0OP", 500),
    (b"NOOP\rX", (250, 500)), ("MAIL FROM:<> SIZE=99999999999999999999999", (501, 552)), ("GET / HTTP/1.1", 500)], ids=repr)
def test_odd_commands_are_answered_and_the_session_goes_on(behind, suite, line, code):
    hop = behind()
    with suite.smtp() as c:
        c.hello()
        r = c.cmd(line)
        assert r.code in (code if isinstance(code, tuple) else (code,)), r
        assert c.mail("x@example.com", [A], mail()).code == 250
    assert len(hop.mails) == 1


@pytest.mark.parametrize("line,code", [("NOOP", 250), ("RSET", 250), ("HELP", 214), ("VRFY x", 252), ("EXPN x", 502), ("MAIL FROM:<>", 503)])
def test_what_may_be_said_before_ehlo(behind, suite, line, code):
    """RFC 5321 section 4.1.4: all but mail transactions."""
    behind()
    with suite.smtp() as c:
        assert c.reply().code == 220
        assert c.cmd(line).code == code


# ------------------------------------------------------------------ limits: the limit, and one more

def test_a_command_line_has_2048_octets_at_most(behind, suite):
    behind()
    with suite.smtp() as c:
        c.hello()
        assert c.cmd("NOOP " + "x" * (2048 - 7)).code == 250
        r = c.cmd("NOOP " + "x" * (2049 - 7))
        assert r.code == 500 and "smtpd_line_limit" in r.text
        with pytest.raises(Gone):
            c.reply()


def test_a_line_without_an_end_is_not_waited_for(behind, suite):
    behind()
    with suite.smtp() as c:
        c.hello()
        c.write(b"N" * 2047)
        with pytest.raises(TimeoutError):
            c.reply(0.2)
        c.write(b"N")
        assert c.reply().code == 500


def test_errors_have_a_limit(behind, suite):
    behind(settings={"smtpd_error_limit": 5})
    with suite.smtp() as c:
        c.hello()
        assert [c.cmd("XYZZY").code for _ in range(5)] == [500] * 5
        r = c.cmd("XYZZY")
        assert r.code == 421 and "smtpd_error_limit" in r.text
        with pytest.raises(Gone):
            c.reply()


def test_commands_have_a_limit(behind, suite):
    behind(settings={"smtpd_command_limit": 10})
    with suite.smtp() as c:
        c.hello()
        assert [c.cmd("NOOP").code for _ in range(9)] == [250] * 9
        r = c.cmd("NOOP")
        assert r.code == 421 and "smtpd_command_limit" in r.text


def test_recipients_have_a_limit_and_those_within_get_the_mail(behind, suite):
    hop = behind(settings={"smtpd_recipient_limit": 3})
    with suite.smtp() as c:
        c.hello()
        c.cmd("MAIL FROM:<x@example.com>")
        assert [c.cmd(f"RCPT TO:<u{i}@example.org>").code for i in range(5)] == [250] * 3 + [452] * 2
        assert c.cmd("DATA").code == 354
        c.write(stuffed(mail()))
        assert c.reply().code == 250
    assert hop.mails[0].rcpts == [f"u{i}@example.org" for i in range(3)]


def of_size(octets):
    head = mail(b"")
    return head + b"x" * (octets - len(head) - 2) + b"\r\n"


def test_sizes_have_a_limit_declared_and_real(behind, suite):
    hop = behind(settings={"smtpd_message_size_limit": 2000,
                            "enforce_smtpd_message_size_limit_64kb_min": False})
    with suite.smtp() as c:
        c.hello()
        assert c.features["SIZE"] == "2000"
        assert c.mail("x@example.com", [A], of_size(2000), mail_args=" SIZE=2000").code == 250
        assert c.mail("x@example.com", [A], of_size(100 + 1900), mail_args=" SIZE=2001").code == 552
        assert c.mail("x@example.com", [A], of_size(2001), mail_args=" SIZE=1").code == 552
        dots = mail(b".\r\n" * 100)
        dots += b"x" * (2000 - len(dots) - 2) + b"\r\n"
        assert c.mail("x@example.com", [A], dots).code == 250, "doubled dots are not counted"
        r = c.mail("x@example.com", [A], of_size(MB))
        assert r.code == 552 and "smtpd_message_size_limit" in r.text
        assert c.mail("x@example.com", [A], mail()).code == 250
    assert len(hop.mails) == 3 and hop.mails[1].octets.endswith(dots)


def greeting(suite, source=None):
    c = suite.smtp()
    if source is not None:
        c.close()
        c.sock = socket.create_connection(suite.smtp_address(), 30, (source, 0))
    return c, c.reply().code


@pytest.mark.parametrize("setting,other", [("smtpd_session_limit", 421), ("smtpd_session_limit_per_client", 220)])
def test_sessions_have_a_limit(behind, suite, setting, other):
    behind(settings={setting: 2, "inet_acl": ["127.0.0.0/8"]})
    first, code = greeting(suite)
    second, code2 = greeting(suite)
    assert (code, code2) == (220, 220)
    third, code = greeting(suite)
    assert code == 421
    with pytest.raises(Gone):
        third.reply()
    third.close()
    fourth, code = greeting(suite, "127.0.0.2")
    assert code == other
    fourth.close()
    assert second.quit().code == 221

    def again():
        c, code = greeting(suite)
        c.close()
        return code == 220
    mw.until("room for another", again)
    first.close()


def test_strangers_get_554(behind, suite):
    behind()
    c, code = greeting(suite, "127.0.0.2")
    assert code == 554
    with pytest.raises(Gone):
        c.reply()


@pytest.mark.parametrize("said", [[], [b"NOO"], [b"EHLO x\r\n", b"MAIL FROM:<x@example.com>\r\n", b"RCPT TO:<a@example.org>\r\n",
    b"DATA\r\n", b"Subject: x\r\n"]], ids=["greeted", "half a line", "data"])
def test_a_silent_client_gets_421(behind, suite, said):
    behind(settings={"smtpd_timeout": 5})
    with suite.smtp() as c:
        c.reply()
        for octets in said:
            c.write(octets)
            if octets.endswith(b"\r\n") and not octets.startswith(b"Subject"):
                c.reply()
        began = time.monotonic()
        assert c.reply(50 * mw.SLOW).code == 421
        assert 4 < time.monotonic() - began < 15 * mw.SLOW


@pytest.mark.parametrize("count,code", [(100, 250), (101, 554)])
def test_a_mail_of_too_many_hops_is_in_a_loop(behind, suite, count, code):
    hop = behind()
    r = send(suite, octets=b"".join(b"Received: from h%d by h%d\r\n" % (i, i + 1) for i in range(count)) + mail())
    assert r.code == code and (code == 250 or r.enhanced == "5.4.6"), r
    assert len(hop.mails) == (code == 250)


def test_mails_in_flight_have_a_limit_in_octets(behind, suite):
    behind(settings={"front.held_octets": MB})
    with suite.smtp() as c:
        c.hello()
        r = c.mail("x@example.com", [A], mail(b"y" * 998 + b"\r\n") + (b"y" * 998 + b"\r\n") * 1100)
        assert r.code == 452 and "front.held_octets" in r.text, r
        for _ in range(3):  # nothing of it is counted any more
            assert c.mail("x@example.com", [A], mail(b"y" * 998 + b"\r\n") + (b"y" * 998 + b"\r\n") * 900).code == 250


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_a_mail_is_whole_in_memory_and_in_a_spool_file(behind, suite, more):
    hop = behind(settings={"front.memory_octets": 5000})
    octets = of_size(5000 + more)
    assert send(suite, octets=octets).code == 250
    assert hop.mails[0].octets.endswith(octets)


# ------------------------------------------------------------------ ends of data that are none

@pytest.mark.parametrize("cut", [False, True], ids=["at once", "octet by octet"])
@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n", b"\r.\r", b"\n.\r", b"\r\n\0.\r\n",
    b"\r\n.\0\r\n", b"\r\n.\r\r\n", b"\r\r\n.\r\r\n", b"\n\n.\n\n"], ids=repr)
def test_an_end_that_is_none_never_makes_two_mails(behind, suite, end, cut):
    hop = behind()
    with suite.smtp() as c:
        c.hello()
        assert c.envelope("x@example.com", [A]) is None
        assert c.cmd("DATA").code == 354
        octets = (mail(b"first") + end + b"MAIL FROM:<smuggled@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n" +
            mail(b"second\r\n") + b".\r\n")
        for i in range(0, len(octets), 1 if cut else len(octets)):
            c.write(octets[i:i + (1 if cut else len(octets))])
        r = c.reply()
        c.write(b"NOOP\r\n")
        assert c.reply().text.endswith("NOOP"), "there was more than one reply"
        bare = re.search(rb"(?<!\r)\n", octets) is not None
        assert r.code == 550 if bare else r.code in (250, 550), r
        assert len(hop.mails) == (r.code == 250)
        if hop.mails:
            assert hop.mails[0].octets.endswith(octets[:-3].replace(b"\r\n.", b"\r\n")), "one mail, octet by octet"
        assert c.mail("x@example.com", [A], mail()).code == 250


def test_mails_written_without_waiting_are_answered_in_order(behind, suite):
    hop = behind()
    one = b"MAIL FROM:<x@example.com>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n"
    with suite.smtp() as c:
        c.hello()
        c.write(b"".join(one + stuffed(mail(subject=f"mail {i}")) for i in range(20)) + b"QUIT\r\n")
        codes = [c.reply().code for _ in range(81)]
    assert codes == [250, 250, 354, 250] * 20 + [221]
    assert [field(m.octets, "Subject") for m in hop.mails] == [f"mail {i}" for i in range(20)]
