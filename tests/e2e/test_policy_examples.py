"""The examples of docs/policy.md, as they are written there, with real processes; only ports and addresses are ours."""
import re

import pytest

import mw
import mwhop
from mwampdp import Client
from mwhop import A
from mwlua import D_DISCARD, D_REJECT
from mwmail import DkimKey, eicar_mail, field, mail
from mwsyslog import SEVERITIES, Syslogd
from next_hop import NextHop

behind = mwhop.behind  # the fixture

SECTION = re.search(r"^### Examples\n(.*?)^### ", (mw.ROOT / "docs/policy.md").read_text(), re.M | re.S)[1]
EXAMPLES = {int(text[3]): text for text in re.findall(r"^```lua\n(.*?)^```", SECTION, re.M | re.S) if re.match(r"-- \d ", text)}


def example(suite, number, **replaced):
    """Add it to the settings; replaced: what is ours here, a leading p_ is a port."""
    text = EXAMPLES[number]
    for was, now in replaced.items():
        was = was.removeprefix("p_")
        text, count = re.subn(rf"(?<![\w.]){re.escape(was)}(?![\w.])", str(now), text)
        assert count > 0, was
    suite.lines.append(text)


def at(suite, port):
    """Which of the front's listeners that port is."""
    return [f.rsplit(":", 1)[-1] for f in suite.front.ready_field("smtp").split(",")].index(str(port))


def by_port(suite, bank):
    """A port of its own for a bank, beside the first."""
    port = mw.free_port()
    suite.set(inet_socket_port=["127.0.0.1:0", f"127.0.0.1:{port}"])
    suite.lines.append(f'interface_policy["{port}"] = "{bank}"')
    return port


def records(suite, count):
    mw.until(f"{count} records", lambda: len(suite.records()) >= count)
    return suite.records()


@pytest.mark.parametrize("number", sorted(EXAMPLES))
def test_each_example_is_taken_as_it_is_written(suite, number):
    needs = {4: 2}.get(number)
    path = suite.folder / "example.lua"
    path.write_text((EXAMPLES[needs] if needs else "") + EXAMPLES[number])
    done = suite.tool("check-config", path)
    assert done.returncode == 0, done.stderr


def test_all_examples_go_together(suite):
    path = suite.folder / "examples.lua"
    path.write_text("".join(EXAMPLES[n] for n in sorted(EXAMPLES)))
    done = suite.tool("check-config", path)
    assert done.returncode == 0, done.stderr
    assert {1, 2, 3, 4, 5, 8, 9} <= set(EXAMPLES)


def test_1_a_bank_without_virus_check(behind, suite):
    port = by_port(suite, "NOVIRUSCHECK")
    example(suite, 1)
    hop = behind({"final_virus_destiny": D_REJECT, "virus_quarantine_method": ""}, services=("scanner",))
    assert suite.send(eicar_mail()).code == 554
    assert suite.send(eicar_mail(), at=at(suite, port)).code == 250
    assert b"X-Virus-Scanned" not in hop.mails[0].octets


def test_2_the_release_socket(suite):
    syslogd = Syslogd(suite.folder / "log")
    path = suite.folder / "run/release.sock"
    try:
        suite.sink()
        suite.set(do_syslog=True, syslog__socket=syslogd.path, unix_socketname=[str(path)], unix_socket_mode="0666",
                  final_virus_destiny=D_DISCARD)
        example(suite, 2)
        suite.lines.append('interface_policy.SOCK = "AM.PDP-SOCK"')
        suite.start_all(services=("scanner",))
        assert suite.send(eicar_mail()).code == 250
        kept, = (suite.folder / "quarantine").rglob("virus-*.gz")
        with Client(path, 60 * mw.SLOW) as c:
            answer = c.ask(("request", "release"), ("mail_id", re.search(r"virus-(.*)\.gz", kept.name)[1]), ("rescan", "no"))
        assert answer.one("setreply").startswith("250")
        mw.until("the release", lambda: suite.sinks[0].count() == 1)
        line = mw.until("its line", lambda: syslogd.of("release"))[0]
        assert line["ident"] == "mailweir-release" and int(line["pri"]) == 2 << 3 | SEVERITIES["info"]
        assert syslogd.of("quarantined")[0]["ident"] == "mailweir-smtp-front", "mail of another socket"
    finally:
        syslogd.close()


def test_3_a_bit_of_everything(behind, suite):
    port = mw.free_ports(2)
    above = NextHop(port=port + 1)
    try:
        suite.set(inet_socket_port=["127.0.0.1:0", f"127.0.0.1:{port}"])
        suite.lines.append(f'interface_policy["{port}"] = "ALT"')
        example(suite, 3, **{"192.0.2.6": "127.0.0.6"})
        hop = behind(services=("logger",))
        assert suite.send(mail()).code == 250
        assert suite.send(mail(), at=at(suite, port)).code == 250
        assert len(hop.mails) == len(above.mails) == 1
        connection, = above.connections
        assert connection.sock.getpeername()[0] == "127.0.0.6"
        assert hop.connections[0].sock.getpeername()[0] == "127.0.0.1"
        assert connection.count("EHLO EXTRA.EXAMPLE.COM") == 1
        first, second = records(suite, 2)
        assert (first["originating"], second["originating"]) == (False, True)
        assert second["policy_banks"] == ["ALT"]
        timing = suite.front.wait_log(r", TIMING \[total ")
        assert f"({second['log_id']}) size: " in timing
        assert suite.front.log().count(", TIMING [") == 1, "only of the bank's mail"
        conf = suite.folder / "mailweir.lua"
        said = suite.tool("lookup", "spam_kill_level_maps", A, "--bank", "ALT", "-c", conf)
        assert said.stdout.rstrip().endswith("= 6.72"), said
        assert "D_PASS" in suite.tool("config", "-c", conf, "get", "final_spam_destiny", "--bank", "ALT").stdout
    finally:
        above.close()


def test_4_banks_by_port(behind, suite):
    ports = [mw.free_port() for _ in range(5)]
    path = suite.folder / "run/ampdp.sock"
    suite.set(inet_socket_bind=["127.0.0.1"], unix_socketname=[str(path)], unix_socket_mode="0666")
    suite.settings.pop("inet_socket_port")
    example(suite, 2)
    example(suite, 4, **dict(zip(("p_10024", "p_10026", "p_10028", "p_10030", "p_9998"), ports)))
    behind(services=("logger",))
    for port in ports[:4]:
        assert suite.send(mail(), at=at(suite, port)).code == 250
    assert [r["policy_banks"] for r in records(suite, 4)] == [[], ["ORIGINATING"], ["NOCHECKS"], ["CUSTOMER"]]
    with suite.smtp(at(suite, ports[3])) as c:
        c.hello()
        assert c.greeting.text.endswith("mw.test ESMTP customers come in here")
    for address in (("127.0.0.1", ports[4]), path):
        with Client(address, 60 * mw.SLOW) as c:
            assert c.ask(("request", "nothing")).value == "tempfail", "it is AM.PDP that answers"


def test_5_our_networks(behind, suite):
    example(suite, 5)
    behind(services=("logger",))
    ours = ("10.1.2.3", "192.0.2.9", "IPv6:2001:db8::1", "[UNAVAILABLE]")

    def send(address):
        with suite.smtp() as c:
            c.hello()
            assert c.cmd(f"XFORWARD ADDR={address}").code == 250
            assert c.mail("x@example.com", [A], mail()).code == 250
    send(ours[0])
    assert records(suite, 1)[0]["policy_banks"] == [], "there is no such bank yet"
    suite.lines.append("policy_bank.MYNETS = {}")
    suite.front.stop()
    suite.restart(suite.front)
    for address in (*ours, "198.51.100.1", "IPv6:2001:db9::1"):
        send(address)
    assert [r["policy_banks"] for r in records(suite, 7)[1:]] == [["MYNETS"]] * 4 + [[]] * 2


def test_8_before_the_queue(behind, suite):
    after = suite.sink("after", listen="[::1]:0", forward=False)
    port = mw.free_port()
    suite.set(inet_socket_port=["127.0.0.1:0", f"127.0.0.1:{port}"])
    example(suite, 8, p_10010=port, p_10011=after.method.rsplit(":", 1)[1])
    hop = behind()
    assert suite.send(mail(), at=at(suite, port)).code == 250
    assert (after.count(), len(hop.mails)) == (1, 0)


def signed_names(octets):
    signature = re.sub(r"\s+", "", field(octets, "DKIM-Signature"))
    return re.search(r"(?:^|;)h=([^;]*)", signature)[1].lower().split(":")


def verifies(octets, key):
    dkim = pytest.importorskip("dkim", reason="python3-dkim is not installed")
    return dkim.verify(octets, dnsfunc=lambda name, timeout=5: key.record.encode())


@pytest.mark.parametrize("times", [1, 2])
def test_9_a_mailing_list_s_mail_is_only_signed(behind, suite, times):
    key = DkimKey(suite.folder, "lists.example")
    key.path.chmod(0o600)
    after = suite.sink("after", listen="[::1]:0", forward=False)
    port = mw.free_port()
    suite.set(inet_socket_port=["127.0.0.1:0", f"127.0.0.1:{port}"], enable_dkim_signing=True, final_virus_destiny=D_REJECT)
    example(suite, 9, p_10028=port, p_10025=after.method.rsplit(":", 1)[1], **({"Sender = 1": "Sender = 2"} if times == 2 else {}))
    suite.lines.append(f"dkim_key('{key.domain}', '{key.selector}', '{key.path}')")
    behind(services=("dkim", "scanner"))
    octets = eicar_mail(sender="Ann <ann@lists.example>", headers=["Sender: owner@lists.example"])
    assert suite.send(octets).code == 554, "elsewhere it is checked"
    assert suite.send(octets, at=at(suite, port)).code == 250
    got = after.last()[1]
    names = signed_names(got)
    assert names.count("sender") == times and names.count("from") == 2
    assert verifies(got, key)
    assert not verifies(got.replace(b"owner@", b"other@"), key)
    assert verifies(b"Sender: added@lists.example\r\n" + got, key) == (times == 1), "2 is so that none can be added"
