"""Policy banks: which are loaded for a mail, in which order, and what they change. The examples of docs/policy.md."""
import signal

import pytest

import mw
import mwhop
from mwhop import A
from mwlua import D_REJECT
from mwmail import eicar_mail, mail
from mwsmtp import stuffed
from next_hop import NextHop

behind = mwhop.behind  # the fixture


def xforward(c, **attributes):
    words = " ".join(f"{k}={v}" for k, v in attributes.items())
    assert c.cmd(f"XFORWARD {words}").code == 250


def send(suite, at=0, sender="x@example.com", rcpts=(A,), octets=None, **forwarded):
    with suite.smtp(at) as c:
        c.hello()
        if forwarded:
            xforward(c, **forwarded)
        return c.mail(sender, list(rcpts), octets or mail())


def banks(suite, count=1):
    """policy_banks of the records so far."""
    mw.until(f"{count} records", lambda: len(suite.records()) >= count)
    return [r["policy_banks"] for r in suite.records()]


def test_our_networks_load_mynets_by_the_original_client(behind, suite):
    behind({"policy_bank": {"MYNETS": {"sa_kill_level_deflt": 20}}}, services=("logger",))
    for addr in ("10.1.2.3", "192.0.2.1", "[UNAVAILABLE]", "IPv6:fd00::1"):
        assert send(suite, ADDR=addr).code == 250
    assert send(suite).code == 250, "without XFORWARD nobody knows"
    assert banks(suite, 5) == [["MYNETS"], [], [], ["MYNETS"], []]
    assert [r["originating"] for r in suite.records()] == [True, False, False, True, False]


def test_a_client_s_banks_lie_on_those_of_the_port(behind, suite):
    port = mw.free_port()
    behind({"inet_socket_port": [0, port], "interface_policy": {str(port): "PORT"},
            "client_ipaddr_policy": [[["192.0.2.1"], "ONE, TWO"], [["192.0.2.0/24"], "NET"]],
            "policy_bank": {name: {} for name in ("PORT", "ONE", "TWO", "NET")}}, services=("logger",))
    at = [f.rsplit(":", 1)[1] for f in suite.front.ready_field("smtp").split(",")].index(str(port))
    for addr in ("192.0.2.1", "192.0.2.2", "198.51.100.1"):
        assert send(suite, at=at, ADDR=addr).code == 250
    assert send(suite, ADDR="192.0.2.1").code == 250
    assert banks(suite, 4) == [["PORT", "ONE", "TWO"], ["PORT", "NET"], ["PORT"], ["ONE", "TWO"]]


def test_myusers_is_for_originating_mail_of_a_local_sender(behind, suite):
    behind({"local_domains_maps": [".example.com"], "policy_bank": {"MYNETS": {}, "MYUSERS": {}}}, services=("logger",))
    assert send(suite, sender="u@example.com", ADDR="10.0.0.1").code == 250
    assert send(suite, sender="u@example.net", ADDR="10.0.0.1").code == 250
    assert send(suite, sender="u@example.com", ADDR="192.0.2.1").code == 250
    assert banks(suite, 3) == [["MYNETS", "MYUSERS"], ["MYNETS"], []]


def test_the_null_address_is_no_user_even_where_all_addresses_are_local(behind, suite):
    behind({"local_domains_maps": [["."]], "policy_bank": {"MYNETS": {}, "MYUSERS": {}}}, services=("logger",))
    for sender in ("u@example.com", ""):
        assert send(suite, sender=sender, ADDR="10.0.0.1").code == 250
    assert banks(suite, 2) == [["MYNETS", "MYUSERS"], ["MYNETS"]]


def test_each_mail_of_a_session_has_its_own_banks(behind, suite):
    hop = behind({"policy_bank": {"MYNETS": {"X_HEADER_TAG": "X-Ours"}}}, services=("logger",))
    with suite.smtp() as c:
        c.hello()
        for addr in ("10.0.0.1", "192.0.2.1", "10.0.0.1"):
            xforward(c, ADDR=addr)
            assert c.mail("x@example.com", [A], mail()).code == 250
    assert banks(suite, 3) == [["MYNETS"], [], ["MYNETS"]]
    assert len(hop.mails) == 3


def test_a_bank_s_size_limit_and_recipient_limit_hold_for_its_mail(behind, suite):
    behind({"smtpd_message_size_limit": 2048, "enforce_smtpd_message_size_limit_64kb_min": False,
            "policy_bank": {"MYNETS": {"smtpd_message_size_limit": 8192, "smtpd_recipient_limit": 1}}})
    large = mail(body=b"y" * 70 + b"\r\n" + (b"x" * 70 + b"\r\n") * 50)
    assert send(suite, octets=large).code == 552
    assert send(suite, octets=large, ADDR="10.0.0.1").code == 250
    with suite.smtp() as c:
        c.hello()
        assert c.cmd("MAIL FROM:<x@example.com> SIZE=4000").code == 552
        assert c.cmd("MAIL FROM:<x@example.com>").code == 250, "the session has no mail after the refusal"
        c.cmd("RSET")
        xforward(c, ADDR="10.0.0.1")
        assert c.cmd("MAIL FROM:<x@example.com> SIZE=4000").code == 250
        assert c.cmd(f"RCPT TO:<{A}>").code == 250
        assert c.cmd("RCPT TO:<b@example.org>").code == 452


def test_a_bank_takes_its_mail_another_way(behind, suite):
    """Example 3 and 8: forward_method of a bank."""
    hop = behind()
    other = NextHop()
    try:
        suite.set(policy_bank={"MYNETS": {"forward_method": other.method}})
        suite.restart(suite.front)
        assert send(suite, ADDR="10.0.0.1").code == 250
        assert send(suite).code == 250
        assert (len(other.mails), len(hop.mails)) == (1, 1)
    finally:
        other.close()


def test_a_bank_that_leaves_the_virus_check_out(behind, suite):
    """Example 1, by the port: nothing is called scanned that was not."""
    port = mw.free_port()
    hop = behind({"inet_socket_port": [0, port], "interface_policy": {str(port): "NOVIRUSCHECK"},
                  "final_virus_destiny": D_REJECT, "virus_quarantine_method": "",
                  "policy_bank": {"NOVIRUSCHECK": {"bypass_decode_parts": True, "bypass_virus_checks_maps": [1]}}},
                 services=("scanner",))
    at = [f.rsplit(":", 1)[1] for f in suite.front.ready_field("smtp").split(",")].index(str(port))
    assert send(suite, octets=eicar_mail()).code == 554
    assert send(suite, at=at, octets=eicar_mail()).code == 250
    assert b"X-Virus-Scanned" not in hop.mails[0].octets


def test_a_reload_changes_the_banks_of_new_mail_only(behind, suite):
    behind({"policy_bank": {"MYNETS": {}}}, services=("logger",))
    with suite.smtp() as c:
        c.hello()
        xforward(c, ADDR="10.0.0.1")
        assert c.envelope("x@example.com", [A]) is None
        suite.set(policy_bank={"OTHER": {}}, client_ipaddr_policy=[[["10/8"], "OTHER"]])
        suite.conf_path("smtp-front", "1")
        suite.front.signal(signal.SIGHUP)
        suite.front.wait_log(" settings_reloaded ")
        assert c.cmd("DATA").code == 354
        c.write(stuffed(mail()))
        assert c.reply().code == 250
        xforward(c, ADDR="10.0.0.1")
        assert c.mail("x@example.com", [A], mail()).code == 250
    assert banks(suite, 2) == [["MYNETS"], ["OTHER"]]


@pytest.mark.parametrize("settings, named", [
    ({"client_ipaddr_policy": [[["10/8"], "NONE"]]}, "NONE"),
    ({"interface_policy": {"10024": "A, NONE"}, "policy_bank": {"A": {}}}, "NONE"),
    ({"policy_bank": {"MYNETS": {}}, "mynetworks": ["localhost"]}, "localhost"),
])
def test_a_bank_that_is_not_there_is_an_error_at_start(suite, settings, named):
    suite.set(**settings)
    p = suite.start("smtp-front", wait=False)
    mw.until("it to give up", lambda: not p.running())
    assert p.popen.returncode != 0 and named in p.log(), p.log()


def test_who_is_not_offered_xforward_cannot_choose_banks_by_it(behind, suite):
    behind({"smtpd_discard_ehlo_keywords": ["XFORWARD"], "policy_bank": {"MYNETS": {}}}, services=("logger",))
    with suite.smtp() as c:
        c.hello()
        r = c.cmd("XFORWARD ADDR=10.0.0.1")
        assert (r.code, r.enhanced) == (502, "5.5.1")
        assert c.mail("x@example.com", [A], mail()).code == 250
    assert banks(suite) == [[]]


def test_bare_newline_is_the_mail_s_own_bank_s(behind, suite):
    behind({"policy_bank": {"MYNETS": {"bare_newline": "normalise"}}})
    for addr, code in (("10.0.0.1", 250), ("192.0.2.1", 550)):
        with suite.smtp() as c:
            c.hello()
            xforward(c, ADDR=addr)
            assert c.envelope("x@example.com", [A]) is None
            assert c.cmd("DATA").code == 354
            c.write(b"Subject: x\r\n\r\na\nb\r\n.\r\n")
            assert c.reply().code == code


def test_a_bank_for_a_socket_that_nobody_listens_at_is_a_warning(behind, suite):
    port = mw.free_port()
    behind({"inet_socket_port": [0, port], "policy_bank": {"A": {}},
            "interface_policy": {str(port): "A", f"[127.0.0.1]:{port}": "A", f"[192.0.2.7]:{port}": "A", "SOCK": "A"}})
    told = suite.front.log_lines("interface_policy_unused")
    assert len(told) == 2 and any("192.0.2.7" in x for x in told) and any("SOCK" in x for x in told), told
