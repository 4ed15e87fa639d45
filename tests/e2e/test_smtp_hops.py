"""
The front as an SMTP client: next hops that lie, fall silent and hang up. What they do never makes a 2xx of a mail that
nobody has, nor a refusal of one that somebody has.
"""
import threading
import time

import pytest

import mw
import mwhop
from mwhop import A, B, PIPELINING, class_of, send
from mwmail import mail
from next_hop import DROP, OFFERED, SILENT

behind = mwhop.behind  # the fixture

# ------------------------------------------------------------------ 2xx is said by nobody but the final dot's reply

@PIPELINING
def test_a_250_to_data_is_no_delivery(behind, suite, offered):
    hop = behind(offered=offered, data=b"250 2.0.0 fine, fine\r\n")
    r = send(suite)
    assert class_of(r) == 4, r
    assert hop.dots == 0 and not [line for line in hop.commands if line == "."]


@PIPELINING
@pytest.mark.parametrize("code", [250, 354, 300])
def test_what_belongs_to_another_stage_is_no_yes(behind, suite, offered, code):
    """A 3xx to RCPT is a refusal for now, to the recipient and to those beside it."""
    def rcpt(_, line):
        return b"250 2.1.5 Ok\r\n" if A in line else b"%d what now\r\n" % code
    hop = behind(offered=offered, rcpt=rcpt)
    r = send(suite, [A, B])
    if code == 250:
        assert r.code == 250 and hop.dots == 1, r
        return
    assert class_of(r) == 4 and hop.dots == 0, r
    assert class_of(send(suite, [B])) == 4 and hop.dots == 0


@pytest.mark.parametrize("stage", ["mail", "dot"])
def test_a_354_to_mail_or_to_the_dot_is_a_refusal_for_now(behind, suite, stage):
    behind(**{stage: b"354 go on\r\n"})
    assert class_of(send(suite)) == 4


def test_a_reply_that_came_before_the_dot_is_not_the_dots(behind, suite):
    """354 and a 250 in one write, then the truth."""
    hop = behind(data=b"354 go ahead\r\n250 2.0.0 queued as NOTHING\r\n", dot=b"550 5.7.1 no\r\n")
    r = send(suite)
    assert class_of(r) != 2, r
    assert hop.mails == []


def test_a_connection_with_surplus_words_is_not_used_again(behind, suite):
    def dot(c, _line):
        return b"250 2.0.0 queued as FIRST\r\n250 x\r\n" if c.index == 0 else b"250 2.0.0 queued as SECOND\r\n"
    hop = behind(dot=dot)
    assert "FIRST" in send(suite).text
    assert "SECOND" in send(suite).text
    assert [c.count("MAIL") for c in hop.connections] == [1, 1]


def test_surplus_words_to_an_idle_connection_end_it(behind, suite):
    hop = behind()
    assert send(suite).code == 250
    hop.connections[0].say(b"250 x\r\n")
    assert hop.connections[0].gone.wait(20 * mw.SLOW), "the front still keeps it"
    assert "queued as 1-1" in send(suite).text
    assert len(hop.connections) == 2


@PIPELINING
@pytest.mark.parametrize("stage", ["mail", "rcpt"])
def test_surplus_words_within_the_commands_never_become_a_yes(behind, suite, offered, stage):
    """Every later reply is taken for the one before it: the DATA's is none of 354."""
    ok = b"250 2.0.0 Ok\r\n"
    hop = behind(offered=offered, **{stage: ok + ok}, dot=b"550 5.7.1 no\r\n")
    r = send(suite)
    assert class_of(r) in (4, 5), r
    assert hop.mails == []


# ------------------------------------------------------------------ all recipients or none

@PIPELINING
@pytest.mark.parametrize("refusal", [b"550 5.1.1 nobody of that name\r\n", b"450 4.2.1 full\r\n"], ids=["550", "450"])
@pytest.mark.parametrize("who", [A, B])
def test_a_recipient_refused_by_the_next_hop_stops_the_mail_for_all(behind, suite, offered, refusal, who):
    hop = behind(mwhop.NO_DSN, offered=offered, rcpt=lambda _, line: refusal if who in line else b"250 2.1.5 Ok\r\n")
    r = send(suite, [A, B])
    assert r.code == int(refusal[:3]), r
    assert refusal[4:].strip().decode() in r.text
    assert hop.dots == 0 and hop.mails == []
    other = B if who == A else A
    assert send(suite, [other]).code == 250, "the one that was not refused"
    assert [m.rcpts for m in hop.mails] == [[other]]


def test_a_450_beside_a_550_is_a_450(behind, suite):
    hop = behind(rcpt=lambda _, line: b"550 5.1.1 no\r\n" if A in line else b"450 4.2.1 full\r\n")
    assert send(suite, [A, B]).code == 450
    assert hop.dots == 0


# ------------------------------------------------------------------ next hops that fail

def first_connection(c, says, otherwise):
    """What the first connection is told for its second mail."""
    return says if c.index == 0 and c.dots > 0 else otherwise


@pytest.mark.parametrize("says", [b"421 4.3.2 too old\r\n", DROP], ids=["421", "drop"])
def test_a_kept_connection_that_has_grown_stale_costs_no_mail(behind, suite, says):
    hop = behind(mail=lambda c, _: first_connection(c, says, b"250 2.1.0 Ok\r\n"))
    for _ in range(2):
        assert send(suite).code == 250
    assert [c.dots for c in hop.connections] == [1, 1]
    assert hop.connections[0].count("MAIL") == 2


def test_a_kept_connection_that_closes_at_xforward_costs_no_mail(behind, suite):
    hop = behind(offered=(*OFFERED, "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"),
        xforward=lambda c, _: first_connection(c, b"421 4.3.2 too old\r\n", b"250 2.0.0 Ok\r\n"))
    with suite.smtp() as c:
        c.hello()
        for _ in range(2):
            assert c.cmd("XFORWARD NAME=client.example ADDR=192.0.2.7").code == 250
            assert c.mail("x@example.com", [A], mail()).code == 250
    assert [c.dots for c in hop.connections] == [1, 1]


def test_a_new_connection_that_answers_421_is_4xx(behind, suite):
    hop = behind(mail=b"421 4.3.2 not now\r\n")
    assert class_of(send(suite)) == 4
    assert len(hop.connections) == 1


SHORT = {f"delivery.{k}_timeout": 1 for k in ("connect", "greeting", "command", "data", "dot")}
STAGES = ["banner", "ehlo", "xforward", "mail", "rcpt", "data", "dot"]
WITH_XFORWARD = (*OFFERED, "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE")


def send_with_xforward(suite):
    with suite.smtp() as c:
        c.hello()
        assert c.cmd("XFORWARD NAME=client.example ADDR=192.0.2.7").code == 250
        return c.mail("x@example.com", [A], mail())


@PIPELINING
@pytest.mark.parametrize("stage", STAGES)
def test_a_next_hop_that_is_silent_is_4xx_in_time(behind, suite, offered, stage):
    hop = behind(offered=(*offered, WITH_XFORWARD[-1]), **{stage: SILENT}, settings=SHORT)
    began = time.monotonic()
    r = send_with_xforward(suite)
    assert class_of(r) == 4 and "timed out" in r.text, r
    assert 0.9 < time.monotonic() - began < 10 * mw.SLOW
    assert hop.mails == []


@PIPELINING
@pytest.mark.parametrize("stage", STAGES)
def test_a_next_hop_that_hangs_up_is_4xx_at_once(behind, suite, offered, stage):
    hop = behind(offered=(*offered, WITH_XFORWARD[-1]), **{stage: DROP})
    r = send_with_xforward(suite)
    assert class_of(r) == 4, r
    assert hop.mails == []


def test_a_next_hop_that_does_not_read_is_4xx_in_time(behind, suite):
    hop = behind(deaf=True, settings=SHORT)
    r = send(suite, octets=mail(b"x" * 998 + b"\r\n") + (b"y" * 998 + b"\r\n") * 16000)
    assert class_of(r) == 4 and "timed out" in r.text, r
    assert hop.mails == []


def test_a_next_hop_that_hangs_up_in_the_middle_of_the_octets_is_4xx(behind, suite):
    hop = behind(drop_after=100000)
    r = send(suite, octets=mail(b"x" * 998 + b"\r\n") + (b"y" * 998 + b"\r\n") * 16000)
    assert class_of(r) == 4, r
    assert hop.dots == 0


def test_a_silent_rset_does_not_change_the_answer(behind, suite):
    behind(offered=OFFERED[1:], rcpt=b"550 5.1.1 nobody\r\n", rset=SILENT, settings=SHORT)
    r = send(suite)
    assert r.code == 550 and "nobody" in r.text, r


@pytest.mark.parametrize("banner", [b"554 no service\r\n", b"421 later\r\n", b"SSH-2.0-x\r\n", b"\r\n", b"220-a\r\n554 b\r\n",
    b"\0" * 10000], ids=lambda b: repr(b[:12]))
def test_a_banner_that_is_none_is_4xx(behind, suite, banner):
    behind(banner=banner)
    assert class_of(send(suite)) == 4


@pytest.mark.parametrize("reply", [b"250\n", b"250-a\r\n550 b\r\n", b"999 x\r\n", b"2500 x\r\n", b"25", b"250_x\r\n", b" 250 x\r\n",
    b"\xff\xfe\r\n", b"100 x\r\n", b"250-" + b"x" * 5000 + b"\r\n250 x\r\n"], ids=lambda b: repr(b[:14]))
def test_a_reply_to_the_dot_that_is_none_is_4xx(behind, suite, reply):
    """Bare LF is a reply to most; everything else is not."""
    behind(dot=reply, settings=SHORT)
    r = send(suite)
    assert class_of(r) == 4 or reply == b"250\n" and r.code == 250, r


@pytest.mark.parametrize("lines,code_class", [(100, 2), (101, 4)])
def test_a_reply_has_100_lines_at_most(behind, suite, lines, code_class):
    behind(dot=b"".join(b"250-2.0.0 line %d\r\n" % i for i in range(lines - 1)) + b"250 2.0.0 last\r\n")
    r = send(suite)
    assert class_of(r) == code_class, r
    assert all(len(line) <= 510 for line in r.lines)


def test_words_of_the_next_hop_cannot_speak_to_the_client(behind, suite):
    behind(dot=b"250 2.0.0 \x1b[2J\x00\xffok\r554 5.0.0 x\r\n")
    with suite.smtp() as c:
        c.hello()
        r = c.mail("x@example.com", [A], mail())
        assert r.code == 250 and len(r.lines) == 1 and r.text.isprintable(), r
        assert c.cmd("NOOP").text.endswith("NOOP")


@PIPELINING
def test_replies_cut_at_every_octet_are_the_same(behind, suite, offered):
    hop = behind(offered=offered, cut=True)
    for _ in range(2):
        r = send(suite, [A, B])
        assert r.code == 250 and "queued as 0-" in r.text, r
    assert [m.rcpts for m in hop.mails] == [[A, B], [A, B]]


def test_a_next_hop_without_ehlo_is_greeted_with_helo(behind, suite):
    hop = behind(ehlo=b"502 5.5.2 not here\r\n")
    assert send(suite).code == 250
    assert hop.commands[1].startswith("HELO ")


@pytest.mark.deadline(60)
def test_one_connection_serves_all_when_no_more_may_be(behind, suite):
    hop = behind(settings={"delivery.max_connections": 1, "delivery.max_uses": 3})
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(send(suite, timeout_s=50))) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [r.code for r in replies] == [250] * 8
    assert [c.dots for c in hop.connections] == [3, 3, 2]
