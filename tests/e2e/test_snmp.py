"""The SNMP agent and a master that dies, comes back, or says nothing; what a real snmpwalk sees."""
import re
import signal
import subprocess

import pytest

import mw
from mwmail import mail

BASE = "1.3.6.1.4.1.15312.2.1"
IN_MSGS, SYS_DESCR, SYS_OBJECT_ID, CLEAN = f"{BASE}.1.2.1.0", f"{BASE}.1.1.1.0", f"{BASE}.1.1.2.0", f"{BASE}.1.10.1.1.0"


@pytest.fixture
def house(suite):
    suite.sink()
    suite.master = suite.snmpd()
    queues = suite.folder / "queues"
    for name in ("maildrop", "incoming", "active", "deferred/0", "deferred/A/B", "deferred/long"):
        (queues / name).mkdir(parents=True)
    for name in ("active/1", "deferred/0/1", "deferred/A/B/2", "deferred/long/3"):
        (queues / name).write_text("")
    suite.set(snmp__agentx=suite.master.agentx, snmp__postfix_queues=str(queues), snmp_contact="postmaster", snmp_location="rack 7",
        bypass_virus_checks_maps=[True])
    return suite.start_all(services=("snmp-agent",))


def value(s, oid):
    return s.snmpwalk(s.master, oid).get(oid) or get(s, oid)


def get(s, oid):
    out = subprocess.run(["snmpget", "-v2c", "-c", "public", "-On", "-Oe", "-OU", "-Ot", "-t", "2", "-r", "1", s.master.address, oid],
        capture_output=True, text=True, timeout=30 * mw.SLOW, check=False).stdout
    m = re.match(r"\.[\d.]+ = (?:[\w-]+: )?(.*)$", out)
    return m.group(1).strip('"') if m and "No Such" not in out else None


def test_a_walk_sees_every_object_in_order(house):
    s = house
    walk = mw.until("all objects", lambda: len(w := s.snmpwalk(s.master)) == 331 and w, 20, every_s=0.2)
    oids = [tuple(map(int, oid.split("."))) for oid in walk]
    assert oids == sorted(oids)
    assert walk[SYS_DESCR].startswith("mailweir ")
    assert walk[SYS_OBJECT_ID].lstrip(".") == "1.3.6.1.4.1.15312.2"
    assert walk[f"{BASE}.1.1.4.0"] == "postmaster" and walk[f"{BASE}.1.1.5.0"] == "mw.test" and walk[f"{BASE}.1.1.6.0"] == "rack 7"
    assert walk[f"{BASE}.1.1.7.0"] == "64"
    assert [walk[f"{BASE}.3.1.{i}.0"] for i in (1, 2, 3, 4)] == ["0", "0", "1", "2"]


def test_get_answers_what_is_there_and_refuses_what_is_not(house):
    s = house
    mw.until("the agent", lambda: get(s, IN_MSGS) == "0", 20, every_s=0.2)
    assert get(s, f"{BASE}.1.2.1") is None
    assert get(s, f"{BASE}.1.2.1.1") is None
    assert get(s, f"{BASE}.1.2.99.0") is None
    done = subprocess.run(["snmpset", "-v2c", "-c", "public", "-t", "2", "-r", "1", s.master.address, IN_MSGS, "i", "5"],
        capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0
    assert get(s, IN_MSGS) == "0"


def test_a_master_started_anew_gets_the_counts(house):
    s = house
    assert s.send(mail()).code == 250
    mw.until("one mail", lambda: get(s, IN_MSGS) == "1", 20, every_s=0.2)
    s.master.kill()
    assert s.send(mail()).code == 250
    (s.folder / "agentx.sock").unlink()
    s.master = s.snmpd("snmpd-again")
    mw.until("two mails", lambda: get(s, IN_MSGS) == "2", 30, every_s=0.2)
    assert get(s, CLEAN) is not None


def test_an_agent_started_anew_counts_what_the_fronts_still_keep(house):
    s = house
    for _ in range(3):
        assert s.send(mail()).code == 250
    mw.until("three mails", lambda: get(s, IN_MSGS) == "3", 20, every_s=0.2)
    s.service("snmp-agent").kill()
    s.restart(s.service("snmp-agent"))
    mw.until("three mails again", lambda: get(s, IN_MSGS) == "3", 20, every_s=0.2)


def test_a_silent_master_holds_up_no_event(house):
    s = house
    mw.until("the agent", lambda: get(s, IN_MSGS) == "0", 20, every_s=0.2)
    s.master.signal(signal.SIGSTOP)
    for _ in range(5):
        assert s.send(mail()).code == 250
    s.service("snmp-agent").wait_log(" master_gone ", 30)
    s.master.signal(signal.SIGCONT)
    mw.until("five mails", lambda: get(s, IN_MSGS) == "5", 30, every_s=0.2)


def test_it_starts_without_a_master_and_says_so(suite):
    suite.set(snmp__agentx=str(suite.folder / "nobody.sock"), snmp__postfix_queues="")
    p = suite.start("snmp-agent")
    assert p.ready_field("connected") == "no" and p.ready_field("queues") == "no"
    assert p.stop() == 0
