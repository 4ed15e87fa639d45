"""The way out: every kind of next hop, fail-over, several transactions for one mail. What hops do wrong: test_smtp_hops.py."""
import socket

import pytest

import mw
import mwhop
from mwhop import A, B, NO_DSN, send
from mwmail import mail
from mwsmtp import stuffed
from next_hop import DROP, OFFERED, NextHop

behind = mwhop.behind  # the fixture
C = "c@example.org"


def of_rcpt(answers):
    """What LMTP says of each recipient."""
    return lambda _connection, rcpt: answers.get(rcpt, b"250 2.1.5 <%s> delivered\r\n" % rcpt.encode())


@pytest.fixture
def hops():
    made = []

    def make(**kw):
        made.append(NextHop(**kw))
        return made[-1]
    yield make
    for hop in made:
        hop.close()


def start(suite, methods, **settings):
    suite.set(forward_method=methods, bypass_virus_checks_maps=[True], **settings)
    suite.start_all(services=())


# ------------------------------------------------------------------ LMTP and Unix sockets

@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
@pytest.mark.parametrize("lmtp", [False, True], ids=["smtp", "lmtp"])
@pytest.mark.parametrize("offered", [OFFERED, OFFERED[1:]], ids=["pipelining", "one by one"])
def test_mail_goes_to_every_kind_of_hop_and_its_connection_is_kept(suite, hops, unix, lmtp, offered):
    hop = hops(lmtp=lmtp, path=suite.folder / "hop.sock" if unix else None, offered=offered, **({"dot": of_rcpt({})} if lmtp else {}))
    start(suite, hop.method)
    for _ in range(3):
        r = send(suite, (A, B), mail(b".dots\r\n..\r\n"))
        assert r.code == 250 and f"from MTA({hop.method}): 250 " in r.text, r
    assert len(hop.connections) == 1
    assert hop.commands[0].startswith("LHLO " if lmtp else "EHLO ")
    assert sorted(rcpt for m in hop.mails for rcpt in m.rcpts) == sorted([A, B] * 3)
    assert all(m.octets.endswith(b"\r\n\r\n.dots\r\n..\r\n") for m in hop.mails)


@pytest.mark.parametrize("answers,code", [
    ({}, 250), ({A: b"550 5.2.1 gone\r\n"}, 550), ({B: b"452 4.2.2 full\r\n"}, 452),
    ({A: b"550 5.2.1 gone\r\n", C: b"451 4.3.0 later\r\n"}, 451), ({r: b"554 5.6.0 no\r\n" for r in (A, B, C)}, 554)], ids=str)
def test_lmtp_speaks_of_each_recipient(suite, hops, answers, code):
    hop = hops(lmtp=True, dot=of_rcpt(answers))
    suite.set(**mwhop.NO_DSN)
    start(suite, hop.method)
    r = send(suite, (A, B, C))
    assert r.code == code, r
    assert sorted(rcpt for m in hop.mails for rcpt in m.rcpts) == sorted({A, B, C} - set(answers))
    assert send(suite, (B,)).code == (452 if B in answers and code == 452 else 554 if code == 554 else 250)
    assert len(hop.connections) == 1, "answers of the kind a hop may give do not end its connection"


@pytest.mark.parametrize("said", [0, 1, 2])
def test_an_lmtp_hop_that_does_not_answer_for_all_has_delivered_to_nobody_else(suite, hops, said):
    hop = hops(lmtp=True, dot=lambda c, rcpt: DROP if [A, B, C].index(rcpt) == said else b"250 2.1.5 ok\r\n")
    start(suite, hop.method)
    r = send(suite, (A, B, C))
    assert r.code // 100 == 4, r
    assert len(hop.mails) == said


def test_words_behind_the_last_lmtp_answer_end_the_connection(suite, hops):
    hop = hops(lmtp=True, dot=of_rcpt({B: b"250 2.1.5 ok\r\n250 2.1.5 and one more\r\n"}))
    start(suite, hop.method)
    assert send(suite, (A, B)).code == 250
    assert send(suite, (A,)).code == 250
    assert len(hop.connections) == 2


def test_lhlo_refused_is_not_tried_as_helo(suite, hops):
    hop = hops(lmtp=True, ehlo=b"500 5.5.1 what?\r\n")
    start(suite, hop.method)
    assert send(suite).code == 450
    assert [line.split(" ")[0] for line in hop.commands] == ["LHLO"]


# ------------------------------------------------------------------ lists, names, *

def test_of_a_list_the_first_that_can_be_talked_to_gets_it(suite, hops):
    refusing, hop = hops(banner=b"554 5.3.2 no service\r\n"), hops()
    dead = f"smtp:[127.0.0.1]:{mw.free_port()}"
    start(suite, [dead, refusing.method, hop.method])
    for _ in range(2):
        assert send(suite).code == 250
    assert len(hop.mails) == 2 and len(hop.connections) == 1
    assert [line.split(" hop=")[1].split(" ")[0] for line in suite.front.log_lines("hop_failed")] == [dead, refusing.method]
    hop.close()
    r = send(suite)
    assert r.code // 100 == 4, r
    assert len(suite.front.log_lines("hop_failed")) >= 3, "those that were passed over are tried when nothing else is left"


def test_a_hop_that_is_back_gets_its_mail_again_after_the_pause(suite, hops):
    port = mw.free_port()
    second = hops()
    start(suite, [f"smtp:[127.0.0.1]:{port}", second.method], delivery__hop_pause=1, delivery__idle_time=0)
    assert send(suite).code == 250
    first = hops(port=port)

    def came_back():
        assert send(suite).code == 250
        return first.mails
    mw.until("a mail at the first hop", came_back)


def test_once_the_envelope_was_said_no_other_hop_is_tried(suite, hops):
    first, second = hops(rcpt=b"450 4.2.0 later\r\n"), hops()
    start(suite, [first.method, second.method])
    assert send(suite).code == 450
    assert second.connections == []


def test_a_name_with_several_addresses_of_which_one_listens(suite, hops):
    hop = hops()  # 127.0.0.1 alone; localhost may be ::1 first
    start(suite, f"smtp:localhost:{hop.port}")
    for _ in range(3):
        assert send(suite).code == 250
    assert len(hop.mails) == 3


def test_a_name_that_is_none_is_later(suite):
    start(suite, "smtp:no-such-host.invalid:25")
    r = send(suite)
    assert r.code == 450 and r.enhanced == "4.4.3", r


def test_stars_lead_back_to_where_the_mail_came_from(suite, hops):
    port = mw.free_ports(2)
    hop = hops(port=port + 1)
    start(suite, "smtp:*:*", inet_socket_port=port, inet_socket_bind=["127.0.0.1"])
    r = send(suite)
    assert r.code == 250 and f"from MTA({hop.method})" in r.text, r


@pytest.mark.parametrize("methods", [["smtp:[127.0.0.1]:25", "lmtp:[127.0.0.1]:24"], "pipe:x", "smtp:[127.0.0.1]", "smtp:host:0", "smtp:/" + "x" * 200,
    [], ["smtp:[127.0.0.1]:25"] * 17], ids=str)
def test_what_is_no_method_is_an_error_that_names_the_setting(suite, methods):
    suite.set(forward_method=methods)
    p = suite.start("smtp-front", wait=False)
    mw.until("it to give up", lambda: not p.running())
    assert p.popen.returncode != 0 and "forward_method" in p.log(), p.log()


# ------------------------------------------------------------------ one mail, several transactions; limits of the hop

def two_at_most(connection, line):
    return b"250 2.1.5 Ok\r\n" if len(connection.rcpts) < 2 else b"452 4.5.3 too many recipients\r\n"


@pytest.mark.parametrize("offered", [OFFERED, OFFERED[1:]], ids=["pipelining", "one by one"])
def test_recipients_that_are_too_many_go_in_further_transactions(behind, suite, offered):
    hop = behind(rcpt=two_at_most, offered=offered)
    rcpts = [f"r{i}@example.org" for i in range(5)]
    r = send(suite, rcpts)
    assert r.code == 250, r
    assert [m.rcpts for m in hop.mails] == [rcpts[:2], rcpts[2:4], rcpts[4:]]
    assert len(hop.connections) == 1


@pytest.mark.parametrize("offered", [OFFERED, OFFERED[1:]], ids=["pipelining", "one by one"])
@pytest.mark.parametrize("dot,code", [(b"450 4.2.0 later\r\n", 450), (b"554 5.7.1 never\r\n", 554)], ids=["for now", "for good"])
def test_while_nobody_has_the_mail_no_further_transaction_is_begun(behind, suite, offered, dot, code):
    """The client sends to all again, or tells the sender that nobody has it: whoever were in the second one would have it then."""
    hop = behind(rcpt=two_at_most, offered=offered, dot=dot, settings=NO_DSN)
    r = send(suite, [f"r{i}@example.org" for i in range(5)])
    assert r.code == code, r
    assert hop.dots == 1 and sum(line.startswith("MAIL") for line in hop.commands) == 1


@pytest.mark.parametrize("slowly", [False, True], ids=["at once", "in pieces"])
@pytest.mark.parametrize("protocol,answers", [("SMTP", 1), ("LMTP", 2)])
def test_replies_that_are_out_of_step_are_nobodys_refusal(behind, suite, protocol, answers, slowly):
    """One reply too many: the first recipient's refusal looks like the second one's, and a 250 like the answer to DATA."""
    def mail_from(c, _line):
        c.say(b"250 2.1.0 Ok\r\n")
        return b"250 2.0.0 once more\r\n"

    def data(c, _line):
        if slowly:
            c.wait_gone()  # this one's answer is taken for that of the dot
        return b"354 go ahead\r\n"
    hop = behind(mail=mail_from, rcpt=lambda _, line: b"550 5.1.1 no\r\n" if A in line else b"250 2.1.5 Ok\r\n", data=data,
        settings={"protocol": protocol})
    with suite.smtp() as c:
        c.hello(verb="LHLO" if protocol == "LMTP" else "EHLO")
        assert c.envelope("x@example.com", [A, B]) is None and c.cmd("DATA").code == 354
        c.write(stuffed(mail()))
        assert [c.reply().code for _ in range(answers)] == [451] * answers
    assert hop.mails == []


def test_a_hop_that_takes_nobody_is_not_asked_again(behind, suite):
    hop = behind(rcpt=b"452 4.5.3 too many recipients\r\n")
    assert send(suite, (A, B)).code == 452
    assert hop.dots == 0 and sum(line.startswith("MAIL") for line in hop.commands) == 1


def test_a_mail_above_the_hops_size_is_refused_before_it_is_sent(behind, suite):
    hop = behind(offered=("PIPELINING", "SIZE 4000", "8BITMIME"))
    r = send(suite, octets=mail(b"x" * 70 + b"\r\n" + b"y" * 70 + b"\r\n" * 4000))
    assert r.code == 552 and r.enhanced == "5.3.4", r
    assert not any(line.startswith("MAIL") for line in hop.commands)
    assert send(suite).code == 250


@pytest.mark.parametrize("attributes", [("ADDR",), ("NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE")], ids=" ".join)
def test_xforward_says_what_the_hop_takes_in_lines_of_512(behind, suite, attributes):
    hop = behind(offered=("PIPELINING", "XFORWARD " + " ".join(attributes)))
    values = {"NAME": "n" * 255, "ADDR": "IPv6:2001:db8::1", "PORT": "2525", "PROTO": "ESMTP", "HELO": "h" * 255, "IDENT": "i" * 200,
        "SOURCE": "REMOTE"}
    with suite.smtp() as c:
        c.hello()
        for key, value in values.items():
            assert c.cmd(f"XFORWARD {key}={value}").code == 250
        assert c.mail("x@example.com", [A], mail()).code == 250
    lines = [line for line in hop.commands if line.startswith("XFORWARD ")]
    assert all(len(line) + 2 <= 512 for line in lines)
    said = dict(word.split("=", 1) for line in lines for word in line.split(" ")[1:])
    assert said == {k: values[k] for k in attributes}


def test_xforward_is_said_for_each_transaction_of_a_mail(behind, suite):
    """It is forgotten at the end of each (Postfix XFORWARD_README)."""
    hop = behind(rcpt=two_at_most, offered=("PIPELINING", "XFORWARD ADDR"))
    with suite.smtp() as c:
        c.hello()
        assert c.cmd("XFORWARD ADDR=192.0.2.7").code == 250
        assert c.mail("x@example.com", [A, B, C], mail()).code == 250
    assert [line.split(" ")[0] for line in hop.commands[1:]] == [*"XFORWARD MAIL RCPT RCPT RCPT DATA".split(), *"XFORWARD MAIL RCPT DATA".split()]


@pytest.mark.parametrize("full", [b"452 4.2.2 mailbox full\r\n", b"452 4.3.1 no space\r\n"], ids=str)
def test_a_452_that_is_not_about_their_number_is_for_now(behind, suite, full):
    """A would get the mail with every retry for B."""
    hop = behind(rcpt=lambda _, line: full if B in line else b"250 2.1.5 Ok\r\n")
    assert send(suite, (A, B)).code == 452
    assert hop.mails == []


@pytest.mark.parametrize("words", [b"452 too many\r\n", b"552 5.5.3 too many\r\n"], ids=str)
def test_other_words_for_too_many_recipients(behind, suite, words):
    hop = behind(rcpt=lambda c, _: b"250 2.1.5 Ok\r\n" if not c.rcpts else words)
    assert send(suite, (A, B)).code == 250
    assert [m.rcpts for m in hop.mails] == [[A], [B]]


@pytest.mark.parametrize("words,code", [(b"554 5.7.1 I do not like it\r\n", 554), (b"451 4.7.1 not now\r\n", 451), (b"250 2.0.0 thanks\r\n", 451)], ids=str)
def test_a_hop_that_speaks_before_the_end_of_the_octets(behind, suite, words, code):
    """No is no, and yes is nothing."""
    def data(c, _line):
        c.say(b"354 go ahead\r\n")
        c.sock.recv(1000)
        c.say(words)
        c.hop.closing.wait()  # what it has not read cannot all be written, so the end of the mail is still to come
        return DROP
    hop = behind(data=data)
    r = send(suite, octets=mail(b"x" * 998 + b"\r\n") + (b"y" * 998 + b"\r\n") * 32000)
    assert r.code == code, r
    assert (words[10:].strip().decode() in r.text) == (words[:1] != b"2"), r
    assert hop.mails == []


def test_what_a_hop_says_at_the_door_is_told(behind, suite):
    behind(banner=b"554 5.3.2 closed for the day\r\n")
    r = send(suite)
    assert r.code == 450 and "554 5.3.2 closed for the day" in r.text, r


@pytest.mark.parametrize("dots", [False, True], ids=["", "lines with dots"])
def test_a_slow_hop_may_take_longer_for_a_large_mail_as_long_as_it_takes_something(behind, suite, dots):
    limit = round(2 * mw.SLOW)
    octets = mail(b"x" * 998 + b"\r\n") + ((b"." if dots else b"y") * 998 + b"\r\n") * 16000

    def data(c, _line):
        c.say(b"354 go ahead\r\n")
        while not c.rest.endswith(b"\r\n.\r\n"):
            before = len(c.rest)
            while len(c.rest) < before + (1 << 20) and not c.rest.endswith(b"\r\n.\r\n"):
                got = c.sock.recv(1 << 16)
                if not got:
                    return DROP
                c.rest += got
            if not dots:
                c.hop.closing.wait(limit / 8)
        size.append(len(c.rest))
        c.rest = b""
        return b"250 2.0.0 at last\r\n"
    size = []
    hop = behind(data=data, settings={"delivery.data_timeout": limit})
    hop.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    r = send(suite, octets=octets)
    assert r.code == 250 and "at last" in r.text, r
    assert size[0] > len(octets) + (16000 if dots else 0), "whole, and each dot doubled"


# ------------------------------------------------------------------ parameters of the envelope

UTF8 = ("PIPELINING", "8BITMIME", "SMTPUTF8")


def send_utf8(suite, sender, rcpt):
    with suite.smtp() as c:
        c.hello()
        return c.mail(sender, [rcpt], mail(), mail_args=" SMTPUTF8 BODY=8BITMIME")


def test_smtputf8_is_passed_on_where_it_is_offered(behind, suite):
    hop = behind(offered=UTF8)
    assert send_utf8(suite, "jürgen@bücher.example", "用户@例.example").code == 250
    said = [line.encode("latin-1").decode() for line in hop.commands]
    assert any(line.startswith("MAIL FROM:<jürgen@bücher.example>") and " SMTPUTF8" in line for line in said), said
    assert "RCPT TO:<用户@例.example>" in said


@pytest.mark.parametrize("sender,rcpt,code", [
    ("a@example.com", "b@example.org", 250), ("a@bücher.example", "b@例.example", 250),
    ("jürgen@example.com", "b@example.org", 550), ("a@example.com", "用户@example.org", 553)])
def test_smtputf8_that_is_not_offered(behind, suite, sender, rcpt, code):
    hop = behind(offered=UTF8[:-1])
    r = send_utf8(suite, sender, rcpt)
    assert r.code == code and (code == 250 or r.enhanced == "5.6.7"), r
    said = [line for line in hop.commands if line.startswith(("MAIL", "RCPT"))]
    if code != 250:
        assert said == []
        return
    assert all(line.isascii() and "SMTPUTF8" not in line for line in said)
    if "ü" in sender:
        assert said[0].startswith("MAIL FROM:<a@xn--bcher-kva.example>") and said[1] == "RCPT TO:<b@xn--fsq.example>"


@pytest.mark.parametrize("offered", [True, False])
def test_dsn_is_passed_on_where_it_is_offered_and_logged_where_not(behind, suite, offered):
    hop = behind(offered=("PIPELINING", "DSN") if offered else ("PIPELINING",))
    with suite.smtp() as c:
        c.hello()
        r = c.mail("a@example.com", [A], mail(), mail_args=" RET=HDRS ENVID=x+2By", rcpt_args=f" NOTIFY=SUCCESS,DELAY ORCPT=rfc822;{B}")
        assert r.code == 250, r
    said = [line for line in hop.commands if line.startswith(("MAIL", "RCPT"))][:2]  # then the notification
    dsn = [" RET=HDRS ENVID=x+2By", f" NOTIFY=SUCCESS,DELAY ORCPT=rfc822;{B}"] if offered else ["", ""]
    assert said == ["MAIL FROM:<a@example.com>" + dsn[0], f"RCPT TO:<{A}>" + dsn[1]]
    assert len(suite.front.log_lines("dsn_not_passed_on")) == (not offered)
