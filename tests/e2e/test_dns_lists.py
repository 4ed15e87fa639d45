"""DNS lists among the tables of client addresses: a real nsd, a name server that misbehaves, and mails that wait."""
import json
import os
import re
import signal
import urllib.request

import pytest

import mw
import mwhop
from mwampdp import Client, MailDir, check
from mwdns import SERVFAIL, FakeDns, Nsd, listed_name
from mwhop import A
from mwlua import Raw
from mwmail import mail
from mwsmtp import stuffed

behind = mwhop.behind  # the fixture
ZONE = "list.example"
LISTED, UNLISTED, OTHER = "192.0.2.1", "192.0.2.2", "192.0.2.4"
BANKS = {"OURS": {}, "BAD": {}, "MYNETS": {}}


def dnsl(*args):
    return Raw("dnsl(" + ", ".join(args) + ")")


def zone(name, *more):
    return dnsl(f'"{name}"', *more)


def pairs(*of):
    """client_ipaddr_policy, and the banks that it names."""
    return {"client_ipaddr_policy": [[tables if isinstance(tables, list) else [tables], bank] for tables, bank in of],
            "policy_bank": BANKS}


def send(suite, client, timeout_s=30):
    with suite.smtp(timeout_s=timeout_s) as c:
        c.hello()
        assert c.cmd(f"XFORWARD ADDR={client}").code == 250
        return c.mail("x@example.com", [A], mail())


def banks(suite, count):
    mw.until(f"{count} records", lambda: len(suite.records()) >= count)
    return [r["policy_banks"] for r in suite.records()][-count:]


def bank_of(suite, client):
    """What one mail of that client loads."""
    before = len(suite.records())
    assert send(suite, client).code == 250
    return banks(suite, before + 1)[-1]


def figure(suite, name):
    at = suite.front.ready_field("http")
    text = urllib.request.urlopen(f"http://127.0.0.1:{at}/metrics", timeout=30).read().decode()
    return int(re.search(rf"^mailweir_front_dns_list_{name} (\d+)$", text, re.M).group(1))


def start(behind, suite, server, settings, services=("logger",)):
    suite.set(lookup__nameservers=[server.address], http__listen="127.0.0.1:0")
    return behind(settings, services=services)


@pytest.fixture
def fake():
    with FakeDns() as server:
        yield server


# ------------------------------------------------------------------ what lists say

def test_a_list_says_who_is_in_it_and_nothing_of_others(behind, suite):
    nsd = Nsd(suite, {ZONE: {LISTED: "127.0.0.2", OTHER: "127.0.0.4", "2001:db8::1": "127.0.0.2", "192.0.2.5": ["127.0.0.9", "127.0.0.2"],
                             "192.0.2.6": "198.51.100.1"},
                      "other.example": {OTHER: "127.0.0.5"}})
    start(behind, suite, nsd, pairs(([zone(ZONE)], "BAD"), ([zone("other.example", '{ "127.0.0.3", "127.0.0.4/30" }')], "OURS")))
    assert bank_of(suite, LISTED) == ["BAD"]
    assert bank_of(suite, UNLISTED) == []
    assert bank_of(suite, OTHER) == ["OURS"], "127.0.0.4 is not 127.0.0.2 in the first, 127.0.0.5 is in 127.0.0.4/30"
    assert bank_of(suite, "IPv6:2001:db8::1") == ["BAD"]
    assert bank_of(suite, "IPv6:2001:db8::2") == []
    assert bank_of(suite, "192.0.2.5") == ["BAD"], "one of several answers will do"
    assert bank_of(suite, "192.0.2.6") == [], "who answers with a real address lists nobody"
    assert "lookup_failed" not in suite.front.log()


def test_a_list_stands_among_networks_in_its_place(behind, suite, fake):
    fake.answer = lambda name: ["127.0.0.2"]
    start(behind, suite, fake, {"policy_bank": {"MYNETS": {}},
        "mynetworks": ["!192.0.2.9", "198.51.100.0/24", zone("!bad.example"), zone("good.example")]})
    assert bank_of(suite, "192.0.2.9") == [] and bank_of(suite, "198.51.100.1") == ["MYNETS"]
    assert fake.asked == [], "nobody is asked whose place is behind the answer"
    assert bank_of(suite, LISTED) == [], "false of a negated list is an answer"
    assert sorted(fake.names()) == sorted(f"{listed_name(LISTED)}.{z}" for z in ("bad.example", "good.example")), "side by side"
    fake.answer = lambda name: ["127.0.0.2"] if "good" in name else []
    assert bank_of(suite, UNLISTED) == ["MYNETS"]


def test_private_and_unknown_clients_are_not_asked_about(behind, suite, fake):
    fake.answer = lambda name: ["127.0.0.2"]
    start(behind, suite, fake, pairs(([zone(ZONE)], "BAD")))
    for client in ("10.1.2.3", "127.0.0.1", "192.168.0.1", "IPv6:fd00::1", "IPv6:::1", "[UNAVAILABLE]"):
        assert bank_of(suite, client) == []
    assert suite.send(mail()).code == 250
    assert fake.asked == [] and figure(suite, "queries_total") == 0


def test_without_lists_there_is_no_resolver_and_a_reload_brings_it(behind, suite, fake):
    fake.answer = lambda name: ["127.0.0.2"]
    start(behind, suite, fake, {"policy_bank": BANKS})
    threads = len(os.listdir(f"/proc/{suite.front.pid}/task"))
    assert bank_of(suite, LISTED) == []
    suite.set(**pairs(([zone(ZONE)], "BAD")))
    suite.conf_path("smtp-front", "1")
    suite.front.signal(signal.SIGHUP)
    suite.front.wait_log(" settings_reloaded ")
    assert len(os.listdir(f"/proc/{suite.front.pid}/task")) == threads + 1
    assert bank_of(suite, LISTED) == ["BAD"]


# ------------------------------------------------------------------ time to live

def test_answers_are_kept_for_their_time_to_live(behind, suite, fake):
    fake.answer, fake.ttl = lambda name: ["127.0.0.2"], 300
    start(behind, suite, fake, pairs(([zone(ZONE)], "BAD")))
    for _ in range(3):
        assert bank_of(suite, LISTED) == ["BAD"]
    assert len(fake.asked) == 1 and figure(suite, "cached_total") == 2
    fake.answer = lambda name: []
    for _ in range(3):
        assert bank_of(suite, UNLISTED) == []
    assert len(fake.asked) == 2, "that it is not listed is an answer, too"
    assert figure(suite, "cache_entries") == 2


def test_what_has_expired_is_asked_again(behind, suite, fake):
    fake.answer, fake.ttl = lambda name: ["127.0.0.2"], 1
    start(behind, suite, fake, pairs(([zone(ZONE)], "BAD")))
    assert bank_of(suite, LISTED) == ["BAD"]
    fake.answer = lambda name: []
    mw.until("the list to let it go", lambda: bank_of(suite, LISTED) == [])
    fake.answer = lambda name: ["127.0.0.2"]
    mw.until("the list to have it again", lambda: bank_of(suite, LISTED) == ["BAD"])


def test_the_cache_is_bounded(behind, suite, fake):
    fake.ttl = 300
    start(behind, suite, fake, {**pairs(([zone(ZONE)], "BAD")), "lookup.dns_cache_entries": 3})
    for i in range(10, 20):
        assert send(suite, f"192.0.2.{i}").code == 250
    assert figure(suite, "cache_entries") == 3
    assert send(suite, "192.0.2.19").code == 250
    assert figure(suite, "queries_total") == 10


# ------------------------------------------------------------------ no answer

@pytest.mark.parametrize("answer, why", [(None, "no answer in time"), (SERVFAIL, "DNS could not answer"),
    (["127.255.255.254"], "it refuses to answer"), ([f"127.0.0.{i}" for i in range(3, 33)], "an answer of too many addresses")],
    ids=["silence", "servfail", "refusal", "flood"])
def test_no_answer_is_unknown_and_the_next_table_is_asked(behind, suite, fake, answer, why):
    fake.answer = lambda name: answer if ZONE in name else ["127.0.0.2"]
    start(behind, suite, fake, {**pairs(([zone(ZONE), "192.0.2.1"], "OURS"), (zone("other.example"), "BAD")),
        "lookup.dns_timeout": int(1000 * mw.SLOW) if answer is None else 20000})  # the other list answers within it
    assert bank_of(suite, "192.0.2.1") == ["OURS"]
    assert bank_of(suite, "192.0.2.2") == ["BAD"]
    suite.front.wait_log(rf" lookup_failed map=client_ipaddr_policy .*key=\"192.0.2.[12]\" error=\"{ZONE}: {why}")
    if answer is None:
        assert figure(suite, "late_total") >= 2


def test_a_list_that_must_be_known_defers_the_mail_and_no_other(behind, suite, fake):
    fake.answer = lambda name: SERVFAIL if "192" not in name or name.startswith("1.") else []
    start(behind, suite, fake, pairs(([zone(ZONE, '{ failure = "defer" }')], "BAD")))
    with suite.smtp() as c:
        c.hello()
        c.cmd(f"XFORWARD ADDR={LISTED}")
        r = c.cmd("MAIL FROM:<x@example.com>")
        assert (r.code, r.enhanced) == (451, "4.4.3")
        assert c.cmd("RCPT TO:<a@example.org>").code == 503, "there is no transaction"
        c.cmd(f"XFORWARD ADDR={UNLISTED}")
        assert c.mail("x@example.com", [A], mail()).code == 250
        assert c.mail("x@example.com", [A], mail()).code == 250, "and one whose client nobody named"
    suite.front.wait_log(rf" dns_list_undecided log_id=\S+ client={LISTED}")


def test_a_dead_zone_is_given_a_rest_and_asked_again(behind, suite, fake):
    fake.answer = lambda name: SERVFAIL
    start(behind, suite, fake, pairs(([zone(ZONE)], "BAD")))
    for i in range(10, 22):
        assert send(suite, f"192.0.2.{i}").code == 250
    suite.front.wait_log(f" dns_list_down zone={ZONE} ")
    assert figure(suite, "paused_total") >= 1
    fake.answer = lambda name: ["127.0.0.2"]
    mw.until("the zone to be asked again", lambda: bank_of(suite, "192.0.2.100") == ["BAD"])
    suite.front.wait_log(f" dns_list_up zone={ZONE}")
    mw.until(lambda: f"alerts {suite.alerts()}", lambda: [(a["alert"], a["message"]) for a in suite.alerts()] ==
        [("dependency_down", f"smtp-front: {ZONE}"), ("dependency_up", f"smtp-front: {ZONE}")])


def test_a_server_that_stops_and_goes_on(behind, suite):
    nsd = Nsd(suite, {ZONE: {LISTED: "127.0.0.2"}})
    start(behind, suite, nsd, {**pairs(([zone(ZONE)], "BAD")), "lookup.dns_timeout": 300})
    nsd.freeze()
    try:
        assert send(suite, LISTED).code == 250
        suite.front.wait_log(" lookup_failed .*no answer in time")
    finally:
        nsd.thaw()
    mw.until("an answer", lambda: bank_of(suite, LISTED) == ["BAD"])


# ------------------------------------------------------------------ mails that wait

def test_pipelined_commands_wait_for_the_answer_and_keep_their_order(behind, suite, fake):
    fake.answer = lambda name: ["127.0.0.2"]
    start(behind, suite, fake, {**pairs(([zone(ZONE)], "BAD")), "lookup.dns_timeout": 60000})
    fake.hold()
    with suite.smtp() as c:
        c.hello()
        octets = stuffed(mail())
        c.write(b"XFORWARD ADDR=192.0.2.1\r\nMAIL FROM:<x@example.com>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n")
        assert c.reply().code == 250
        mw.until("the question", lambda: fake.asked)
        with pytest.raises(TimeoutError):
            c.reply(timeout_s=0.2)
        c.write(b"NOOP\r\n")  # behind DATA: a line of the mail
        fake.release()
        assert [c.reply().code for _ in range(3)] == [250, 250, 354]
        c.write(octets)
        assert c.reply().code == 250
        assert c.cmd("QUIT").code == 221
    assert banks(suite, 1) == [["BAD"]]
    assert suite.front.running()


def test_a_client_that_goes_while_it_waits_leaves_nothing(behind, suite, fake):
    start(behind, suite, fake, {**pairs(([zone(ZONE)], "BAD")), "lookup.dns_timeout": 60000})
    fake.hold()
    for i in range(5):
        with suite.smtp() as c:
            c.hello()
            c.write(f"XFORWARD ADDR=192.0.2.1\r\nMAIL FROM:<x@example.com>\r\n{'NOOP' if i % 2 else ''}".encode() + b"\r\n" * (i % 2))
            assert c.reply().code == 250
            mw.until("the question", lambda: fake.asked)
    suite.front.wait_log(" client_gone ", count=3)  # where nothing was held, the end is seen while waiting
    fake.release()
    mw.until("no question", lambda: figure(suite, "waiting") == 0)
    assert bank_of(suite, LISTED) == []


def test_hundreds_of_mails_of_one_client_are_one_question(behind, suite, fake):
    fake.answer = lambda name: ["127.0.0.2"]
    hop = start(behind, suite, fake, {**pairs(([zone(ZONE)], "BAD")), "lookup.dns_timeout": 60000})
    fake.hold()
    clients, count = [], 300 if mw.SLOW <= 1 else 100  # the resolver gives a silent server up after 17 s
    try:
        for _ in range(count):
            c = suite.smtp(timeout_s=120)
            clients.append(c)
            c.hello()
            c.write(b"XFORWARD ADDR=192.0.2.1\r\nMAIL FROM:<x@example.com>\r\n")
        mw.until("all to wait", lambda: figure(suite, "joined_total") == count - 1, 120)
        assert figure(suite, "queries_total") == 1 and figure(suite, "waiting") == 1
        fake.release()
        for c in clients:
            assert [c.reply().code for _ in range(2)] == [250, 250]
        assert len(fake.names()) == 1
    finally:
        for c in clients:
            c.close()
    assert hop is not None and bank_of(suite, LISTED) == ["BAD"]


def test_questions_beyond_the_limit_are_unknown_at_once(behind, suite, fake):
    start(behind, suite, fake, {**pairs(([zone(ZONE)], "BAD")), "lookup.dns_timeout": 60000, "lookup.dns_queries": 2})
    fake.hold()
    with suite.smtp() as one, suite.smtp() as two:
        for i, c in enumerate((one, two)):
            c.hello()
            c.write(f"XFORWARD ADDR=192.0.2.{i + 1}\r\nMAIL FROM:<x@example.com>\r\n".encode())
        mw.until("both to wait", lambda: figure(suite, "waiting") == 2)
        assert bank_of(suite, "192.0.2.3") == []
        suite.front.wait_log(r" lookup_failed .*lookup.dns_queries")
        fake.release()
        for c in (one, two):
            assert [c.reply().code for _ in range(2)] == [250, 250]
    assert figure(suite, "refused_total") == 1


def test_a_reload_while_mails_wait_asks_the_new_servers(behind, suite, fake):
    start(behind, suite, fake, {**pairs(([zone(ZONE)], "BAD")), "lookup.dns_timeout": 60000})
    fake.hold()
    with FakeDns(lambda name: ["127.0.0.2"]) as other, suite.smtp() as c:
        c.hello()
        c.write(b"XFORWARD ADDR=192.0.2.1\r\nMAIL FROM:<x@example.com>\r\n")
        mw.until("the question", lambda: fake.asked)
        suite.set(lookup__nameservers=[other.address])
        suite.conf_path("smtp-front", "1")
        suite.front.signal(signal.SIGHUP)
        assert [c.reply().code for _ in range(2)] == [250, 250]
        assert len(other.names()) == 1
        for line in ("RCPT TO:<a@example.org>", "DATA"):
            assert c.cmd(line).ok
        c.write(stuffed(mail()))
        assert c.reply().code == 250
    assert banks(suite, 1) == [["BAD"]]
    suite.set(lookup__nameservers=["nowhere at all"])
    suite.conf_path("smtp-front", "1")
    suite.front.signal(signal.SIGHUP)
    suite.front.wait_log("lookup.nameservers: 'nowhere at all' is no nameserver address")


def test_a_front_that_ends_says_so_to_mails_that_wait(behind, suite, fake):
    start(behind, suite, fake, {**pairs(([zone(ZONE)], "BAD")), "lookup.dns_timeout": 60000})
    fake.hold()
    with suite.smtp() as c:
        c.hello()
        c.write(b"XFORWARD ADDR=192.0.2.1\r\nMAIL FROM:<x@example.com>\r\n")
        assert c.reply().code == 250
        mw.until("the question", lambda: fake.asked)
        suite.front.signal(signal.SIGTERM)
        suite.front.wait_log(" drain ")
        fake.release()
        assert [c.reply().code for _ in range(2)] == [250, 421]
    assert suite.front.popen.wait(30 * mw.SLOW) == 0


def test_am_pdp_s_client_address_is_asked_about(behind, suite, fake):
    fake.answer = lambda name: SERVFAIL if name.startswith("9.") else ["127.0.0.2"]
    files, path = MailDir(suite.folder / "milter"), suite.folder / "run/ampdp.sock"
    suite.set(ampdp__mail_dirs=[str(files.folder)], unix_socketname=[str(path)], unix_socket_mode="0666",
        interface_policy={"SOCK": "PDP"})
    start(behind, suite, fake, {**pairs(([zone(ZONE, '{ failure = "defer" }')], "BAD")), "policy_bank": {**BANKS, "PDP": {"protocol": "AM.PDP"}}})
    with Client(path, 60 * mw.SLOW) as c:
        answer = c.ask(*check(files.put(mail()), client_address=LISTED))
        assert answer.code == 250
        answer = c.ask(*check(files.put(mail()), client_address="192.0.2.9"))
        assert answer.code == 451
        assert c.ask(*check(files.put(mail()), client_address="10.0.0.1")).code == 250, "the session goes on"
    assert banks(suite, 2) == [["PDP", "BAD"], ["PDP"]]


# ------------------------------------------------------------------ settings and the command

def test_where_lists_may_not_stand_they_are_refused(suite):
    for settings, says in (({"inet_acl": [zone(ZONE)]}, "who may connect"), ({"haproxy_trusted_networks": [zone(ZONE)]}, "is believed"),
            ({"local_domains_maps": [zone(ZONE)]}, "client addresses"), ({"mynetworks": [zone("a..b")]}, "expected a zone"),
            ({"mynetworks": [zone(ZONE, '"192.0.2.1"')]}, "in 127.0.0.0/8")):
        suite.set(**settings)
        done = suite.tool("check-config", suite.conf_path("smtp-front", "1"))
        assert done.returncode != 0 and says in done.stdout + done.stderr, (settings, done)
        for name in settings:
            del suite.settings[name]


def test_more_lists_than_one_mail_may_ask_are_refused_at_a_reload(behind, suite, fake):
    fake.answer = lambda name: ["127.0.0.2"] if name.endswith("z31.example") else []
    lists = [zone(f"z{i}.example") for i in range(33)]
    start(behind, suite, fake, {"mynetworks": lists[:32], "policy_bank": {"MYNETS": {}}})
    assert bank_of(suite, LISTED) == ["MYNETS"] and len(fake.names()) == 32
    suite.set(mynetworks=lists)
    suite.conf_path("smtp-front", "1")
    suite.front.signal(signal.SIGHUP)
    suite.front.wait_log("mynetworks: more than 32 DNS lists")
    assert bank_of(suite, LISTED) == ["MYNETS"]


def test_the_command_asks_the_lists(suite, fake):
    fake.answer = lambda name: ["127.0.0.5"] if name.startswith("1.") else None if name.startswith("9.") else []
    suite.set(mynetworks=["10.0.0.0/8", zone(ZONE, '"127.0.0.4/30"'), "192.0.2.9"], lookup__nameservers=[fake.address],
        lookup__dns_timeout=int(1000 * mw.SLOW))
    suite.env["MAILWEIR_CONFIG"] = str(suite.conf_path("smtp-front", "1"))

    def lookup(key):
        return suite.tool("lookup", "mynetworks", key).stdout.splitlines()

    lines = lookup(LISTED)
    assert " dnsl " in lines[2] and lines[2].endswith(f'{ZONE}: "127.0.0.5" -> true') and lines[3] == "= true"
    assert lookup(UNLISTED)[-1] == "= undef"
    lines = lookup("192.0.2.9")
    assert "failed: list.example: no answer in time" in lines[2] and lines[-1] == "= true"
    asked = len(fake.asked)
    assert lookup("10.1.2.3")[-1] == "= true" and len(fake.asked) == asked
    shown = suite.tool("config", "dump").stdout
    assert f'dnsl("{ZONE}", "127.0.0.4/30")' in shown


def test_explain_asks_the_lists_as_a_mail_does(suite, fake):
    fake.answer = lambda name: ["127.0.0.5"] if name.startswith("1.") else None if name.startswith("9.") else []
    suite.set(lookup__nameservers=[fake.address], lookup__dns_timeout=int(1000 * mw.SLOW),
        **pairs(([zone(ZONE, '"127.0.0.4/30"')], "BAD"), ([zone("must.example", '"127.0.0.2"', '{ failure = "defer" }')], "OURS")))
    suite.env["MAILWEIR_CONFIG"] = str(suite.conf_path("smtp-front", "1"))

    def explain(client):
        done = suite.tool("explain", "--json", "--from", "x@example.com", "--to", A, "--client", client)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    told = explain(LISTED)
    assert [b["name"] for b in told["banks"]] == ["BAD"] and f"(dnsl) of {ZONE}, \"127.0.0.5\"" in told["banks"][0]["why"], told["banks"]
    told = explain(UNLISTED)
    assert told["banks"] == [] and told["refused"] is None
    told = explain("192.0.2.9")
    assert told["banks"] == [] and told["refused"].startswith("451 4.4.3 "), told["refused"]
