"""What a front takes: LMTP, BDAT, DSN, SMTPUTF8, Unix sockets; and mails that others would read as two."""
import os
import smtplib
import socket
import stat

import pytest

import mw
import mwhop
from mwhop import A, B, send
from mwlua import D_REJECT
from mwmail import mail
from mwsmtp import Gone, Smtp, stuffed
from next_hop import OFFERED

behind = mwhop.behind  # the fixture
C = "c@example.org"
EXTENDED = (*OFFERED, "DSN", "SMTPUTF8")


def lhlo(suite, **kw):
    c = suite.smtp(**kw)
    c.hello(verb="LHLO")
    return c


def after_data(c, octets, answers):
    assert c.cmd("DATA").code == 354
    c.write(stuffed(octets))
    return [c.reply() for _ in range(answers)]


# ------------------------------------------------------------------ LMTP

def test_lmtp_answers_for_each_recipient_in_order(behind, suite):
    hop = behind(rcpt=lambda c, line: b"550 5.1.1 nobody\r\n" if B in line else b"250 2.1.5 ok\r\n")
    with lhlo(suite) as c:
        for _ in range(2):
            assert c.envelope("x@example.com", [A, B, C]) is None
            replies = after_data(c, mail(), 3)
            assert [r.code for r in replies] == [250, 550, 250], replies
            assert "nobody" in replies[1].text
        assert c.quit().code == 221
    assert [m.rcpts for m in hop.mails] == [[A, C]] * 2, "one that is refused stops nobody else's mail"
    assert b"with LMTP" in hop.mails[0].octets


def test_lmtp_with_one_refused_for_now(behind, suite):
    hop = behind(rcpt=lambda c, line: b"450 4.2.0 later\r\n" if A in line else b"250 2.1.5 ok\r\n")
    with lhlo(suite) as c:
        assert c.envelope("x@example.com", [A, B]) is None
        assert [r.code for r in after_data(c, mail(), 2)] == [450, 250]
    assert [m.rcpts for m in hop.mails] == [[B]]


@pytest.mark.parametrize("said", [b"451 4.3.0 later\r\n", b"554 5.6.0 never\r\n"], ids=["4xx", "5xx"])
def test_lmtp_says_the_dots_answer_for_all(behind, suite, said):
    behind(dot=said)
    with lhlo(suite) as c:
        assert c.envelope("x@example.com", [A, B, C]) is None
        assert [r.code for r in after_data(c, mail(), 3)] == [int(said[:3])] * 3
        assert c.cmd("NOOP").code == 250


def test_lmtp_refuses_a_mail_once_for_each_recipient(behind, suite):
    hop = behind(settings={"smtpd_message_size_limit": 4096, "enforce_smtpd_message_size_limit_64kb_min": False})
    with lhlo(suite) as c:
        for octets, code in ((mail() + b"x" * 70 + b"\r\n" * 5000, 552), (b"Subject: x\n\r\nbare\r\n", 550)):
            assert c.envelope("x@example.com", [A, B]) is None
            assert [r.code for r in after_data(c, octets, 2)] == [code, code]
            assert c.cmd("NOOP").code == 250
    assert hop.dots == 0


def test_lmtp_data_without_a_recipient_is_503(behind, suite):
    behind()
    with lhlo(suite) as c:
        assert c.cmd("MAIL FROM:<x@example.com>").code == 250
        r = c.cmd("DATA")
        assert (r.code, r.enhanced) == (503, "5.1.1"), r


@pytest.mark.parametrize("protocol,verb,code", [("", "EHLO", 250), ("", "LHLO", 250), ("SMTP", "EHLO", 250), ("SMTP", "HELO", 250),
    ("SMTP", "LHLO", 500), ("LMTP", "LHLO", 250), ("lmtp", "LHLO", 250), ("LMTP", "EHLO", 500), ("LMTP", "HELO", 500)])
def test_a_socket_speaks_what_its_bank_says(behind, suite, protocol, verb, code):
    behind(settings={"protocol": protocol})
    with suite.smtp() as c:
        r = c.hello(verb=verb)
        assert r.code == code, r
        assert (" LMTP " if protocol.upper() == "LMTP" else " ESMTP ") in " " + c.greeting.text
        if code != 250:
            assert c.cmd("MAIL FROM:<x@example.com>").code == 503


def test_an_unknown_protocol_is_an_error_that_names_the_setting(suite):
    suite.set(protocol="UUCP")
    p = suite.start("smtp-front", wait=False)
    mw.until("it to give up", lambda: not p.running())
    assert p.popen.returncode != 0 and "protocol" in p.log() and "UUCP" in p.log()


def test_lhlo_after_ehlo_switches_and_back(behind, suite):
    behind()
    with suite.smtp() as c:
        for verb, answers in (("EHLO", 1), ("LHLO", 2), ("EHLO", 1)):
            c.hello(verb=verb)
            assert c.envelope("x@example.com", [A, B]) is None
            assert [r.code for r in after_data(c, mail(), answers)] == [250] * answers
            assert c.cmd("NOOP").code == 250


def test_without_a_scanner_lmtp_is_told_451_for_each(suite):
    suite.sink()
    suite.set(child_timeout=2)
    suite.start_all(services=())
    with lhlo(suite) as c:
        assert c.envelope("x@example.com", [A, B]) is None
        assert [r.code for r in after_data(c, mail(), 2)] == [451, 451]


def test_a_virus_is_refused_to_each_and_delivered_to_none(suite):
    from test_scanner import PLAIN
    sink = suite.sink()
    suite.set(final_virus_destiny=D_REJECT)
    suite.start_all(services=("scanner",))
    suite.front.wait_log(r" worker_came ")
    with lhlo(suite) as c:
        assert c.envelope("x@example.com", [A, B]) is None
        assert [r.code for r in after_data(c, PLAIN, 2)] == [554, 554]
    assert sink.count() == 0


def test_smtplib_speaks_lmtp_to_it(behind, suite):
    hop = behind()
    host, port = suite.smtp_address()
    with smtplib.LMTP(host, port, local_hostname="py.example", timeout=20 * mw.SLOW) as c:
        assert c.sendmail("x@example.com", [A], mail().decode()) == {}
    assert hop.mails[0].rcpts == [A]


# ------------------------------------------------------------------ BDAT

def bdat(*chunks):
    """The chunks as BDAT commands, the last one LAST."""
    return b"".join(b"BDAT %d%s\r\n%s" % (len(x), b" LAST" if i + 1 == len(chunks) else b"", x) for i, x in enumerate(chunks))


OCTETS = mail(b".\r\n..\r\n.x\r\nQUIT\r\n" + b"\xff\x00\r\n")


@pytest.mark.parametrize("chunks", [[OCTETS], [OCTETS[:10], OCTETS[10:]], [OCTETS, b""], [b"", OCTETS], [b""],
    [bytes([x]) for x in OCTETS[:40]] + [OCTETS[40:]], [OCTETS[:-1], OCTETS[-1:]], [OCTETS[:-2]]], ids=lambda x: f"{len(x)} of {len(x[0])}")
@pytest.mark.parametrize("step", [1, 0], ids=["octet by octet", "at once"])
def test_chunks_are_the_mail_however_they_are_cut(behind, suite, chunks, step):
    hop = behind()
    with suite.smtp() as c:
        c.hello()
        assert "CHUNKING" in c.features
        wire = b"MAIL FROM:<x@example.com>\r\nRCPT TO:<%s>\r\n" % A.encode() + bdat(*chunks) + b"NOOP\r\n"
        for i in range(0, len(wire), step or len(wire)):
            c.write(wire[i:i + (step or len(wire))])
        codes = [c.reply().code for _ in range(3 + len(chunks))]
        assert codes == [250] * len(codes)
    whole = b"".join(chunks)
    whole += b"" if whole.endswith(b"\r\n") or not whole else b"\r\n"
    assert len(hop.mails) == 1 and hop.mails[0].octets.endswith(whole)


def test_lmtp_answers_the_last_chunk_for_each_recipient(behind, suite):
    behind()
    with lhlo(suite) as c:
        assert c.envelope("x@example.com", [A, B]) is None
        c.write(bdat(OCTETS[:50], OCTETS[50:]))
        assert [c.reply().code for _ in range(3)] == [250] * 3
        assert c.cmd("NOOP").code == 250


@pytest.mark.parametrize("before,code", [([], 503), (["MAIL FROM:<x@example.com>"], 503)], ids=["no mail", "no recipient"])
def test_a_chunk_out_of_order_is_read_and_refused(behind, suite, before, code):
    hop = behind()
    with suite.smtp() as c:
        c.hello()
        for line in before:
            assert c.cmd(line).code == 250
        c.write(b"BDAT 12 LAST\r\nQUIT\r\nQUIT\r\nNOOP\r\n")
        assert [c.reply().code for _ in range(2)] == [code, 250]
        c.cmd("RSET")
        assert c.mail("x@example.com", [A], mail()).code == 250
    assert len(hop.mails) == 1


@pytest.mark.parametrize("line", ["BDAT", "BDAT x", "BDAT -1 LAST", "BDAT 10 LAST x", "BDAT 9999999999999999999"])
def test_a_chunk_of_unknown_length_ends_the_session(behind, suite, line):
    hop = behind()
    with suite.smtp() as c:
        c.hello()
        assert c.envelope("x@example.com", [A]) is None
        assert c.cmd(line).code == 501
        c.write(b"RSET\r\n")
        with pytest.raises((Gone, ConnectionError)):
            c.reply()
    assert hop.dots == 0


@pytest.mark.parametrize("line,code", [("MAIL FROM:<y@example.com>", 503), (f"RCPT TO:<{B}>", 503), ("DATA", 503), ("NOOP", 250)])
def test_between_chunks_the_envelope_is_closed(behind, suite, line, code):
    hop = behind()
    with suite.smtp() as c:
        c.hello()
        assert c.envelope("x@example.com", [A]) is None
        c.write(b"BDAT 4\r\na: b")
        assert c.reply().code == 250
        assert c.cmd(line).code == code
        c.write(b"BDAT 6 LAST\r\n\r\nhi\r\n")
        assert c.reply().code == 250
    assert hop.mails[0].octets.endswith(b"a: b\r\nhi\r\n")


def test_rset_between_chunks_forgets_the_mail(behind, suite):
    hop = behind()
    with suite.smtp() as c:
        c.hello()
        assert c.envelope("x@example.com", [A]) is None
        c.write(b"BDAT 4\r\na: b")
        assert c.reply().code == 250
        assert c.cmd("RSET").code == 250
        c.write(b"BDAT 2 LAST\r\nhi")
        assert c.reply().code == 503
        assert c.mail("x@example.com", [A], mail()).code == 250
    assert len(hop.mails) == 1


def test_chunks_above_the_limit_are_read_and_refused(behind, suite):
    hop = behind(settings={"smtpd_message_size_limit": 4096, "enforce_smtpd_message_size_limit_64kb_min": False})
    with suite.smtp() as c:
        c.hello()
        for chunks, codes in (([b"x" * 5000], [552]), ([b"x" * 4000, b"x" * 4000, b"y"], [250, 552, 503])):
            assert c.envelope("x@example.com", [A]) is None
            c.write(bdat(*chunks))
            assert [c.reply().code for _ in codes] == codes
            assert c.cmd("RSET").code == 250
        assert c.envelope("x@example.com", [A]) is None
        c.write(bdat(b"x" * 4094 + b"\r\n"))
        assert c.reply().code == 250
    assert len(hop.mails) == 1


def test_lmtp_refuses_a_chunk_before_the_last_with_one_answer(behind, suite):
    """More of them would be taken for the answers to what was pipelined behind it."""
    behind(settings={"smtpd_message_size_limit": 4096, "enforce_smtpd_message_size_limit_64kb_min": False})
    with lhlo(suite) as c:
        assert c.envelope("x@example.com", [A, B]) is None
        c.write(bdat(b"x" * 5000, b"y") + b"RSET\r\n")
        assert [c.reply().code for _ in range(3)] == [552, 503, 250]
        assert c.envelope("x@example.com", [A, B]) is None
        c.write(bdat(b"x" * 4000, b"y" * 4000))
        assert [c.reply().code for _ in range(3)] == [250, 552, 552]
        assert c.cmd("NOOP").code == 250


def test_a_client_that_goes_in_a_chunk_has_sent_no_mail(behind, suite):
    hop = behind()
    with suite.smtp() as c:
        c.hello()
        assert c.envelope("x@example.com", [A]) is None
        c.write(b"BDAT 1000 LAST\r\nSubject: x\r\n")
    suite.front.wait_log(r" client_gone ")
    assert send(suite).code == 250
    assert len(hop.mails) == 1


# ------------------------------------------------------------------ parameters

def test_dsn_parameters_go_on_where_they_are_offered(behind, suite):
    hop = behind(offered=EXTENDED)
    with suite.smtp() as c:
        c.hello()
        assert "DSN" in c.features
        assert c.mail("x@example.com", [A], mail(), " RET=HDRS ENVID=id+2B1", " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+2Bb@example.org").code == 250
        assert c.mail("x@example.com", [A], mail()).code == 250
    lines = [line for line in hop.commands if line.startswith(("MAIL", "RCPT"))]
    assert lines[0].endswith(" RET=HDRS ENVID=id+2B1") and lines[1] == f"RCPT TO:<{A}> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+2Bb@example.org"
    assert "RET" not in lines[2] and lines[3] == f"RCPT TO:<{A}>"


def test_dsn_parameters_stay_behind_where_they_are_not(behind, suite):
    hop = behind()
    assert send(suite, mail_args=" RET=FULL ENVID=x", rcpt_args=" NOTIFY=NEVER").code == 250
    assert not any("RET" in line or "NOTIFY" in line for line in hop.commands)


UTF8 = "j\u00f6rg@example.com"


def test_utf8_addresses_need_smtputf8_and_go_on_with_it(behind, suite):
    hop = behind(offered=EXTENDED)
    with suite.smtp() as c:
        c.hello()
        assert "SMTPUTF8" in c.features
        r = c.cmd(f"MAIL FROM:<{UTF8}>")
        assert (r.code, r.enhanced) == (550, "5.6.7"), r
        assert c.cmd("MAIL FROM:<x@example.com>").code == 250
        r = c.cmd(f"RCPT TO:<{UTF8}>")
        assert (r.code, r.enhanced) == (553, "5.6.7"), r
        c.cmd("RSET")
        assert c.mail(UTF8, [UTF8, A], mail(), " SMTPUTF8").code == 250
        assert c.cmd(b"MAIL FROM:<\xc3@example.com> SMTPUTF8").code == 501, "half a character"
    line = next(line for line in hop.commands if line.startswith("MAIL"))
    assert " SMTPUTF8" in line and UTF8 in line.encode("latin-1").decode()
    assert b"with UTF8SMTP" in hop.mails[0].octets


@pytest.mark.parametrize("sender,rcpts,code", [(UTF8, [A], 550), ("x@example.com", [UTF8], 553), ("x@example.com", [A], 250)],
    ids=["sender", "recipient", "neither"])
def test_where_the_next_hop_does_not_offer_it(behind, suite, sender, rcpts, code):
    hop = behind()
    r = send(suite, rcpts, sender=sender, mail_args=" SMTPUTF8")
    assert r.code == code and (code == 250 or r.enhanced == "5.6.7"), r
    assert len(hop.mails) == (code == 250)
    assert not any("SMTPUTF8" in line for line in hop.commands)


def test_utf8_addresses_pass_the_checks(behind, suite):
    hop = behind(offered=EXTENDED, services=("scanner",))
    suite.front.wait_log(r" worker_came ")
    assert send(suite, [UTF8], sender=UTF8, mail_args=" SMTPUTF8").code == 250
    assert len(hop.mails) == 1


def test_keywords_can_be_discarded(behind, suite):
    hop = behind(settings={"smtpd_discard_ehlo_keywords": ["8bitmime", "CHUNKING", "DSN", "XFORWARD"]}, offered=EXTENDED)
    with suite.smtp() as c:
        c.hello()
        assert set(c.features) == {"PIPELINING", "SIZE", "ENHANCEDSTATUSCODES"}
        for line, code in (("MAIL FROM:<x@example.com> RET=FULL", 555), ("MAIL FROM:<x@example.com> BODY=8BITMIME", 555),
                ("MAIL FROM:<x@example.com> SMTPUTF8", 555)):
            assert c.cmd(line).code == code, line
        assert c.envelope("x@example.com", [A]) is None
        c.write(bdat(b"hi"))
        assert c.reply().code == 502
        assert after_data(c, mail(), 1)[0].code == 250
    assert len(hop.mails) == 1


# ------------------------------------------------------------------ Unix sockets

def test_mail_comes_by_a_unix_socket_of_its_own_bank(behind, suite):
    path = suite.folder / "in.sock"
    hop = behind(settings={"unix_socketname": [str(path)], "unix_socket_mode": "0600", "interface_policy": {str(path): "LOCAL"},
        "policy_bank": {"LOCAL": {"protocol": "LMTP"}}})
    assert str(path) in suite.front.ready_field("smtp")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with Smtp(str(path), 20 * mw.SLOW) as c:
        assert c.hello(verb="LHLO").code == 250 and "LMTP" in c.greeting.text
        assert c.envelope("x@example.com", [A, B]) is None
        assert [r.code for r in after_data(c, mail(), 2)] == [250, 250]
    assert len(hop.mails) == 1 and hop.mails[0].octets.startswith(b"Received: from client.example.com by ")
    assert b"(mailweir, unix socket) with LMTP\r\n id " in hop.mails[0].octets
    suite.front.stop()
    assert not path.exists()


def test_a_dead_sockets_file_is_taken_over_and_a_live_ones_is_not(suite):
    path = suite.folder / "in.sock"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    suite.sink()
    suite.set(unix_socketname=str(path), interface_policy={"SOCK": "S"}, policy_bank={"S": {}})
    suite.start("smtp-front")
    second = suite.start("smtp-front", "2", wait=False)
    mw.until("the second to give up", lambda: not second.running())
    assert second.popen.returncode != 0 and "unix_socketname" in second.log(), second.log()
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(path))
        assert s.recv(100).startswith(b"220 ")


@pytest.mark.parametrize("settings", [{"unix_socketname": ["relative.sock"]}, {"unix_socketname": ["/" + "x" * 108]},
    {"unix_socketname": ["/tmp"]}, {"unix_socketname": ["/tmp/x.sock"], "unix_socket_mode": "999"}], ids=str)
def test_what_is_no_socket_is_an_error_that_names_the_setting(suite, settings):
    suite.set(**settings)
    p = suite.start("smtp-front", wait=False)
    mw.until("it to give up", lambda: not p.running())
    assert p.popen.returncode != 0 and "unix_socket" in p.log(), p.log()


# ------------------------------------------------------------------ one mail or a refusal, never two

ENDS = [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n", b"\r\n\x00.\r\n", b"\r\n.\x00\r\n", b"\n\x00.\n", b"\r\x00.\r\n",
    b"\r\n.\r\r\n", b"\r\x00\n.\r\n"]
SECOND = b"MAIL FROM:<evil@example.com>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\nSubject: smuggled\r\n\r\nevil\r\n.\r\n"


def would_split(octets):
    """Whether a server of any of the known bad habits would see an end of data in what it gets over the wire."""
    wire = stuffed(octets)[:-5]
    for squeeze in (lambda x: x, lambda x: x.replace(b"\0", b"")):
        text = squeeze(wire).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n.\n" in b"\n" + text + b"\n":
            return True
    return False


@pytest.mark.parametrize("policy", ["reject", "normalise", "pass"])
@pytest.mark.parametrize("by", ["DATA", "BDAT"])
def test_no_false_end_makes_two_mails_of_one(behind, suite, policy, by):
    hop = behind(settings={"bare_newline": policy, "smtpd_error_limit": 10000})
    for end in ENDS:
        octets = b"Subject: first\r\n\r\nfirst" + end + SECOND
        with suite.smtp() as c:
            c.hello()
            before = len(hop.mails)
            for cut in range(len(end) + 1):
                at = octets.index(end) + cut
                assert c.envelope("x@example.com", [A]) is None
                if by == "DATA":
                    assert c.cmd("DATA").code == 354
                    body = octets[:-3]  # SECOND's own end is the true one
                    c.write(body[:at])
                    c.write(body[at:] + b".\r\n")
                else:
                    c.write(b"BDAT %d\r\n" % at + octets[:at] + b"BDAT %d LAST\r\n" % (len(octets) - at) + octets[at:])
                    assert c.reply().code == 250
                r = c.reply()
                assert r.code in (250, 550), (end, r)
                taken = len(hop.mails) - before
                assert taken == (r.code == 250), (end, cut, r)
                before = len(hop.mails)
                if taken and policy != "pass":
                    assert not would_split(hop.mails[-1].octets), (end, hop.mails[-1].octets)
                assert c.cmd("NOOP").code == 250, "nothing of the mail was taken for commands"
    assert not any("victim" in r for m in hop.mails for r in m.rcpts)


def test_a_bare_newline_is_told_of(behind, suite):
    behind(services=("logger",))
    for _ in range(3):
        assert send(suite, octets=b"Subject: x\n\nbare\r\n").code == 550
    assert len(suite.front.log_lines("bare_newline")) == 3
    mw.until("the alert", lambda: [a for a in suite.alerts() if a["alert"] == "bare_newline"], 10)
    assert len([a for a in suite.alerts() if a["alert"] == "bare_newline"]) == 1, "once a minute is enough"


def test_normalised_mail_has_whole_lines(behind, suite):
    hop = behind(settings={"bare_newline": "normalise"})
    assert send(suite, octets=b"Subject: x\n\none\ntwo\r\nthree\n.four\r\n").code == 250
    assert hop.mails[0].octets.endswith(b"Subject: x\r\n\r\none\r\ntwo\r\nthree\r\nfour\r\n")


def test_passed_mail_keeps_its_octets(behind, suite):
    hop = behind(settings={"bare_newline": "pass", "allow_fixing_improper_header": False})
    octets = b"Subject: x\n\none\ntwo\r\nthree\rfour\r\n"
    assert send(suite, octets=octets).code == 250
    assert hop.mails[0].octets.endswith(octets)
