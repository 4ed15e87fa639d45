"""Who is told about a mail beside its client: administrators, recipients, its sender. What is told is read with Python's
email package."""
import email
import email.policy
import sys
from pathlib import Path

import pytest

import mw
import mwhop
from mwhop import A, B
from mwlua import D_BOUNCE, D_DISCARD, D_PASS, D_REJECT
from mwmail import DkimKey, eicar_mail, gtube, mail
from mwsmtp import stuffed

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))

from next_hop import NextHop, OFFERED  # noqa: E402

behind = mwhop.behind  # the fixture
SENDER = "ann@example.com"
DSN = (*OFFERED, "DSN")
POSTMASTER = "postmaster@mx.example.org"
BASE = {"myhostname": "mx.example.org", "local_domains_maps": [".example.org"]}
# Viruses for B are refused, for A they pass: one reply cannot tell both.
MIXED = {**BASE, "final_destiny_maps_by_ccat": {"CC_VIRUS": [{A: D_PASS, B: D_REJECT}]}, "viruses_that_fake_sender_maps": [False]}
NOBODY = {"rcpt": lambda c, line: b"550 5.1.1 nobody\r\n" if B in line else b"250 2.1.5 ok\r\n"}


def parsed(octets):
    m = email.message_from_bytes(octets, policy=email.policy.default)
    assert not [d for part in m.walk() for d in part.defects], octets
    assert all(len(line) <= 998 for line in octets.split(b"\r\n"))
    return m


def to(hop, rcpt):
    return [m for m in hop.mails if m.rcpts == [rcpt]]


def the_one(hop, rcpt):
    mails = to(hop, rcpt)
    assert len(mails) == 1, [m.rcpts for m in hop.mails]
    return mails[0]


def report_of(octets):
    """The parts of a notification: text, fields by recipient, the original."""
    m = parsed(octets)
    assert m.get_content_type() == "multipart/report" and m.get_param("report-type") == "delivery-status"
    assert m["Auto-Submitted"] == "auto-replied" and len(list(m.iter_parts())) == 3
    text, status, original = m.iter_parts()
    assert status.get_content_type() == "message/delivery-status"
    return text.get_content(), status.get_payload(), original, m


def send(suite, rcpts=(A, B), octets=None, sender=SENDER, mail_args="", rcpt_args="", verb="EHLO"):
    with suite.smtp() as c:
        c.hello(verb=verb)
        assert c.cmd(f"MAIL FROM:<{sender}>{mail_args}").code == 250
        for r in rcpts:
            assert c.cmd(f"RCPT TO:<{r}>{rcpt_args}").code == 250
        assert c.cmd("DATA").code == 354
        c.write(stuffed(octets or mail(message_id="<1@example.com>")))
        replies = [c.reply() for _ in range(len(rcpts) if verb == "LHLO" else 1)]
        c.cmd("NOOP")  # the record is out, too
        return replies if verb == "LHLO" else replies[0]


# ------------------------------------------------------------------ the sender

def test_a_refusal_among_deliveries_is_told_to_the_sender(behind, suite):
    hop = behind(BASE, offered=DSN, **NOBODY)
    reply = send(suite, mail_args=" ENVID=q+2B1 RET=HDRS", rcpt_args=" ORCPT=rfc822;old+2Bx@example.org",
                 octets=mail(subject="Gr\u00fc\u00dfe \u2713", message_id="<1@example.com>"))
    assert reply.code == 250 and "1 REJECT" in reply.text, [c.commands for c in hop.connections]
    told = the_one(hop, SENDER)
    assert "<>" in told.sender
    text, status, original, m = report_of(told.octets)
    assert m["From"].addresses[0].addr_spec == POSTMASTER and m["To"].addresses[0].addr_spec == SENDER
    assert m["Date"].datetime and m["Message-ID"].startswith("<DSN.") and m["In-Reply-To"] == "<1@example.com>"
    assert B in text and A in text
    assert status[0]["Reporting-MTA"] == "dns; mx.example.org" and status[0]["Original-Envelope-Id"] == "q+1"
    assert status[0]["Received-From-MTA"].startswith("dns; client.example.com") and status[0]["Arrival-Date"]
    assert len(status) == 2
    assert status[1]["Final-Recipient"] == f"rfc822; {B}" and status[1]["Original-Recipient"] == "rfc822; old+x@example.org"
    assert status[1]["Action"] == "failed" and status[1]["Status"] == "5.1.1"
    assert status[1]["Remote-MTA"] == "dns; [127.0.0.1]" and status[1]["Diagnostic-Code"].startswith("smtp; 550 5.1.1 ")
    assert "/" in status[1]["Final-Log-ID"]
    assert original.get_content_type() == "text/rfc822-headers" and "Message-ID: <1@example.com>" in original.get_content()
    assert hop.mails[0].rcpts == [A] and len(hop.mails) == 2  # the mail before the notification


BULK = {"list": ["List-Id: <l.example.com>"], "bulk": ["Precedence: bulk"], "owner": []}
OWNER = "owner-list@example.com"


@pytest.mark.parametrize("case", ["null sender", "never", "success only", *BULK, "faked virus"])
def test_no_backscatter_leaves(behind, suite, case):
    virus = case == "faked virus" or case in BULK
    hop = behind({**MIXED, "viruses_that_fake_sender_maps": [case == "faked virus"]} if virus else BASE,
                 services=("scanner",) if virus else (), **({} if virus else NOBODY))
    sender = {"null sender": "", "owner": OWNER}.get(case, SENDER)
    args = {"never": " NOTIFY=NEVER", "success only": " NOTIFY=SUCCESS,DELAY"}.get(case, "")
    octets = eicar_mail(headers=BULK.get(case, [])) if virus else None
    reply = send(suite, sender=sender, rcpt_args=args, octets=octets)
    assert reply.code == 250 and "1 REJECT" in reply.text
    assert [m.rcpts for m in hop.mails if A not in m.rcpts and m.rcpts != [SENDER]] == []
    failures = [m for m in hop.mails if m.octets.find(b"Action: failed") >= 0]
    assert failures == []


@pytest.mark.parametrize("case", BULK)
def test_bulk_mail_in_which_nothing_was_found_is_not_lost_in_silence(behind, suite, case):
    """A has it, so the client hears 250; that the next hop refuses B would else be known to nobody."""
    sender = OWNER if case == "owner" else SENDER
    hop = behind(BASE, **NOBODY)
    reply = send(suite, sender=sender, octets=mail(headers=BULK[case]))
    assert reply.code == 250 and "1 REJECT" in reply.text
    _, status, _, _ = report_of(the_one(hop, sender).octets)
    assert status[1]["Final-Recipient"] == f"rfc822; {B}" and status[1]["Action"] == "failed"


def test_two_recipients_with_opposite_policies(behind, suite):
    hop = behind(MIXED, services=("scanner",))
    reply = send(suite, octets=eicar_mail(message_id="<v@example.com>"), mail_args=" RET=FULL")
    assert reply.code == 250 and "1 REJECT" in reply.text
    text, status, original, m = report_of(the_one(hop, SENDER).octets)
    assert "Eicar" in text and status[1]["Final-Recipient"] == f"rfc822; {B}" and status[1]["Status"] == "5.7.0"
    assert original.get_content_type() == "text/rfc822-headers"  # nobody gets a virus from us
    assert b"Eicar" in hop.mails[0].octets or hop.mails[0].rcpts == [A]


def test_who_asks_for_all_of_it_gets_it_within_the_limit(behind, suite):
    hop = behind({**BASE, "notices.full_octets": 2000}, **NOBODY)
    small, large = mail(body="sm\u00e4ll\n.\n..\nFrom x\n"), mail(body=b"x" * 70 + b"\r\n" + b"y" * 70 + b"\r\n" * 1000)
    for octets, whole in ((small, True), (large, False)):
        hop.mails.clear()
        assert send(suite, octets=octets, mail_args=" RET=FULL BODY=8BITMIME").code == 250
        text, status, original, m = report_of(the_one(hop, SENDER).octets)
        assert original.get_content_type() == ("message/rfc822" if whole else "text/rfc822-headers")
        if whole:
            assert octets in the_one(hop, SENDER).octets


@pytest.mark.parametrize("level", [5, 5000], ids=["spam", "spammy"])
def test_spam_does_not_go_back_whole_to_whom_it_names_as_its_sender(behind, suite, level):
    spamd = suite.spamd()
    hop = behind({**BASE, "scanner.spamd": spamd.address, "spam_kill_level_maps": [level], "final_spam_destiny": D_BOUNCE,
                  "final_destiny_by_ccat": {"CC_SPAMMY": D_BOUNCE}}, services=("scanner",))
    assert send(suite, rcpts=(A,), octets=mail(body=gtube().encode() + b"\r\n"), mail_args=" RET=FULL").code == 250
    text, status, original, _ = report_of(the_one(hop, SENDER).octets)
    assert status[1]["Action"] == "failed" and original.get_content_type() == "text/rfc822-headers"
    assert gtube().encode() not in hop.mails[0].octets and len(hop.mails) == 1


def test_spam_does_not_go_back_whole_for_a_recipient_who_bypasses_the_check(behind, suite):
    """A takes spam, and the next hop refuses B, for whom nothing was looked for."""
    spamd = suite.spamd()
    hop = behind({**BASE, "scanner.spamd": spamd.address, "spam_lovers_maps": [[A]], "bypass_spam_checks_maps": [[B]],
                  "spam_quarantine_method": ""}, services=("scanner",), **NOBODY)
    assert send(suite, octets=mail(body=gtube().encode() + b"\r\n"), mail_args=" RET=FULL").code == 250
    _, status, original, _ = report_of(the_one(hop, SENDER).octets)
    assert status[1]["Final-Recipient"] == f"rfc822; {B}" and original.get_content_type() == "text/rfc822-headers"
    assert gtube().encode() not in the_one(hop, SENDER).octets


def test_a_next_hop_without_8bitmime_gets_the_header_section_alone(behind, suite):
    plain = tuple(o for o in OFFERED if o != "8BITMIME")
    hop = behind(BASE, offered=plain, **NOBODY)
    assert send(suite, octets=mail(body="sm\u00e4ll\n"), mail_args=" RET=FULL").code == 250
    text, status, original, m = report_of(the_one(hop, SENDER).octets)
    assert original.get_content_type() == "text/rfc822-headers"


@pytest.mark.parametrize("verb", ["EHLO", "LHLO"])
@pytest.mark.parametrize("answer", [b"451 4.3.0 later\r\n", b"550 5.1.1 no\r\n"], ids=["later", "never"])
def test_what_a_notification_comes_to(behind, suite, verb, answer):
    """A 4xx keeps the mail with the client where nobody has it yet; a 5xx is nobody's to repair."""
    from mwlua import D_BOUNCE
    hop = behind({**BASE, "final_destiny_by_ccat": {"CC_OVERSIZED": D_BOUNCE}, "message_size_limit_maps": [{B: 65536}]},
                 mail=lambda c, line: answer if "<>" in line else b"250 2.1.0 ok\r\n")
    reply = send(suite, rcpts=[B], octets=mail(body=b"x" * 70 + b"\r\n" * 70000), verb=verb)
    reply = reply[0] if verb == "LHLO" else reply
    assert reply.code == (451 if answer[:1] == b"4" else 552), reply
    assert hop.mails == []


def test_success_is_told_when_the_next_hop_does_not(behind, suite):
    hop = behind(BASE)  # offers no DSN
    assert send(suite, rcpts=[A], rcpt_args=" NOTIFY=SUCCESS").code == 250
    text, status, original, m = report_of(the_one(hop, SENDER).octets)
    assert status[1]["Action"] == "relayed" and status[1]["Status"].startswith("2.")


@pytest.mark.parametrize("settings,passed,told", [({}, "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x", 0),
                                                  ({"terminate_dsn_on_notify_success": True}, "NOTIFY=FAILURE ORCPT=rfc822;x", 1),
                                                  ({"propagate_dsn_if_possible": False}, "", 1)],
                         ids=["passed on", "ends here", "not passed on"])
def test_what_the_next_hop_hears_of_notifications(behind, suite, settings, passed, told):
    hop = behind({**BASE, **settings}, offered=DSN)
    assert send(suite, rcpts=[A], rcpt_args=" NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x").code == 250
    said = [line for c in hop.connections for line in c.commands if line.startswith(f"RCPT TO:<{A}>")]
    assert said == [f"RCPT TO:<{A}>" + (f" {passed}" if passed else "")]
    assert len(to(hop, SENDER)) == told


# ------------------------------------------------------------------ administrators and recipients

ADMIN = {**BASE, "virus_admin_maps": ["va@example.org"], "newvirus_admin_maps": ["new@example.org"],
         "warnvirusrecip_maps": [{A: True}], "final_virus_destiny": D_DISCARD}


def test_a_new_virus_is_told_of_when_its_notice_was_refused_for_now(behind, suite):
    later = [b"450 4.2.2 later\r\n"]
    hop = behind({**ADMIN, "virus_admin_maps": [], "warnvirusrecip_maps": []}, services=("scanner",),
        rcpt=lambda _c, line: later.pop() if "new@" in line and later else b"250 2.1.5 Ok\r\n")
    assert send(suite, octets=eicar_mail()).code == 451 and not hop.mails
    for _ in range(2):
        assert send(suite, octets=eicar_mail()).code == 250
    assert [m.rcpts for m in hop.mails] == [["new@example.org"]]


def test_administrators_and_recipients_are_told(behind, suite):
    hop = behind(ADMIN, services=("scanner", "logger"))
    virus = eicar_mail(subject="=?utf-8?Q?a=0D=0ABcc:_evil=40example.com=0D=0A=0D=0Abody?=", sender="\u00e4 <x@example.com>")
    assert send(suite, octets=virus).code == 250
    assert sorted(m.rcpts[0] for m in hop.mails) == [A, "new@example.org", "va@example.org"]
    for told in hop.mails:
        m = parsed(told.octets)
        assert "<>" in told.sender and m["Auto-Submitted"] == "auto-generated" and m["Bcc"] is None
        assert m["From"].addresses[0].addr_spec == POSTMASTER and m["To"].addresses[0].addr_spec == told.rcpts[0]
        assert m["Date"].datetime and m["Message-ID"] and "Eicar" in m.get_content()
    hop.mails.clear()
    assert send(suite, octets=virus).code == 250
    assert sorted(m.rcpts[0] for m in hop.mails) == [A, "va@example.org"]  # it is not new any more
    # What looks like a notice of ours does not pass by in silence when it is infected, but not for ever.
    alike = eicar_mail(sender=f"x <{POSTMASTER}>", headers=["Auto-Submitted: auto-generated"])
    for i in range(11):
        hop.mails.clear()
        assert send(suite, octets=alike, sender="").code == 250
        assert sorted(m.rcpts[0] for m in hop.mails) == ([A, "va@example.org"] if i < 10 else [])
    suite.front.wait_log("notices_ended")
    records = mw.until("records of the notices", lambda: [
        r for r in mw.json_lines(suite.folder / "mail.json") if r["event"] == "notification"])
    assert records[0]["action"] == ["NOTIF"] and records[0]["mail_id_parent"] and records[0]["originating"]


@pytest.mark.parametrize("answer,code", [(b"451 4.3.0 later\r\n", 451), (b"550 5.1.1 no\r\n", 250)])
def test_a_notice_that_cannot_go_for_now_keeps_the_mail(behind, suite, answer, code):
    settings = {**BASE, "warnbadhrecip_maps": [False], "admin_maps_by_ccat": {"CC_OVERSIZED": ["va@example.org"]},
                "final_destiny_by_ccat": {"CC_OVERSIZED": D_PASS}, "message_size_limit_maps": [65536]}
    hop = behind(settings, rcpt=lambda c, line: answer if "va@" in line else b"250 2.1.5 ok\r\n")
    reply = send(suite, rcpts=[A], octets=mail(body=b"x" * 70 + b"\r\n" * 70000))
    assert reply.code == code
    assert [m.rcpts for m in hop.mails] == ([] if code == 451 else [[A]])


def test_no_more_notices_than_the_limit(behind, suite):
    hop = behind({**ADMIN, "warnvirusrecip_maps": [True], "virus_admin_maps": [], "newvirus_admin_maps": [], "notices.limit": 3},
                 services=("scanner",))
    assert send(suite, rcpts=[f"r{i}@example.org" for i in range(5)], octets=eicar_mail()).code == 250
    assert len(hop.mails) == 3
    suite.front.wait_log("notices_left_out .*left_out=2")


# ------------------------------------------------------------------ signatures

def test_what_we_say_ourselves_is_signed(behind, suite):
    """A key for our own domain: notices and notifications are signed like any other mail of it."""
    key = DkimKey(suite.folder, "example.org")
    suite.lines.append(f'dkim_key("example.org", "{key.selector}", "{key.path}")')
    hop = behind({**MIXED, "enable_dkim_signing": True, "virus_admin_maps": ["admin@example.org"],
                  "hdrfrom_notify_admin": "Filter <filter@example.org>", "hdrfrom_notify_sender": "Filter <filter@example.org>"},
                 services=("scanner", "dkim"))
    assert send(suite, octets=eicar_mail()).code == 250
    for rcpt in ("admin@example.org", SENDER):
        assert b"DKIM-Signature:" in the_one(hop, rcpt).octets.split(b"\r\n\r\n")[0], rcpt
