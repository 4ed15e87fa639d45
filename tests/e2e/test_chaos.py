"""Acceptance 3: processes die at random, and no mail is lost."""
import collections
import os
import random
import re
import signal
import time

import pytest

import mw

MAILS = 5000
CONNECTIONS = 20
KILL_EVERY_S = 0.5


KINDS = ["scanner", "holder", "cage", "dkim", "reputation", "logger", "snmp-agent", "status"]


class Victims:
    """What may be killed, and how it comes back."""

    def __init__(self, suite, seed=3):
        self.suite, self.random, self.kills = suite, random.Random(seed), collections.Counter()
        self.bag = []  # kinds in random order, each once before any comes again

    def cage_processes(self):
        """(holders, cages) of all scanners."""
        holders, cages = [], []
        for (service, _), p in self.suite.services.items():
            if service != "scanner" or not p.running():
                continue
            for pid in mw.children(p.pid):
                stat = mw.proc_stat(pid)
                (holders if stat and int(stat[1]) == p.pid else cages).append(pid)
        return holders, cages

    def kill_one(self):
        if not self.bag:
            self.bag = self.random.sample(KINDS, len(KINDS))
        kind = self.bag.pop()
        if kind in ("holder", "cage"):
            pids = self.cage_processes()[kind == "cage"]
            if not pids:
                return
            try:
                os.kill(self.random.choice(pids), signal.SIGKILL)
            except ProcessLookupError:
                return  # it went by itself, as with its scanner
        else:
            # Two die only if the other is back: a site that loses both at once has no worker, which is another test.
            p = self.random.choice([p for (s, _), p in self.suite.services.items() if s == kind])
            p.kill()
            self.suite.restart(p)
        self.kills[kind] += 1


def chaos_suite(suite):
    suite.full()
    snmpd = suite.snmpd()
    suite.set(snmp__agentx=snmpd.agentx)
    suite.set(inet_socket_port=[f"127.0.0.1:{mw.free_port()}"])
    suite.sink(store=False)
    return suite.start_all(workers=2, services=("scanner", "dkim", "reputation", "logger", "snmp-agent", "status"))


def arrivals(suite, tag):
    """How often each mail of that load arrived."""
    return collections.Counter(r["message_id"] for r in suite.sinks[0].index() if r["message_id"].startswith(f"<{tag}-"))


def wanted(tag, mails):
    return {f"<{tag}-{i:06d}@load.test>" for i in range(mails)}


@pytest.mark.deadline(150)
def test_workers_and_subscribers_die_and_no_mail_is_lost_refused_or_doubled(suite):
    chaos_suite(suite)
    victims = Victims(suite)
    load = suite.load("--tag", "chaos", "--rate", "125", "--pipeline", "--timeout", "60", mails=MAILS, connections=CONNECTIONS, wait=False)
    next_kill = time.monotonic() + KILL_EVERY_S
    while load.running():
        time.sleep(max(0, next_kill - time.monotonic()))
        next_kill = max(next_kill + KILL_EVERY_S, time.monotonic())
        victims.kill_one()
    result = mw.load_result(load)
    print(f"killed {sum(victims.kills.values())}: {dict(victims.kills)}; {result}")
    assert result["replies"] == {"250": MAILS}, "nothing was refused, not even for a while"
    assert result["disconnects"] == 0
    seen = arrivals(suite, "chaos")
    assert set(seen) == wanted("chaos", MAILS), "none lost"
    assert set(seen.values()) == {1}, "none delivered twice"
    assert sum(victims.kills.values()) >= 30 and set(victims.kills) == set(KINDS), victims.kills

    def complete():
        ids = {(r["publisher_incarnation"], r["publisher_sequence"]): r.get("message_id") for r in suite.records() if "mail_from" in r}
        return set(ids.values()) >= wanted("chaos", MAILS) and ids
    ids = mw.until("every record in the JSON log", complete, 20, every_s=0.2)
    assert len([m for m in ids.values() if m in seen]) == MAILS, "one record a mail once de-duplicated"


@pytest.mark.deadline(150)
def test_the_front_dies_every_2_s_and_no_mail_is_lost(suite):
    mails = MAILS // 5
    chaos_suite(suite)
    load = suite.load("--tag", "front", "--rate", "50", "--pipeline", "--retry-for", "60", "--timeout", "60", mails=mails,
        connections=CONNECTIONS, wait=False)
    kills = 0
    next_kill = time.monotonic() + 2
    while load.running() and not load.out():
        time.sleep(max(0, min(0.1, next_kill - time.monotonic())))
        if time.monotonic() >= next_kill and load.running():
            suite.front.kill()
            suite.restart(suite.front)
            kills += 1
            next_kill = time.monotonic() + 2
    result = mw.load_result(load)
    assert result["taken"] == mails, result
    seen = arrivals(suite, "front")
    assert set(seen) == wanted("front", mails), "none lost"
    twice = {m: n for m, n in seen.items() if n > 1}
    extra = sum(n - 1 for n in twice.values())
    print(f"front killed {kills} times; {result}; delivered more than once: {extra}")
    assert kills >= 5
    unanswered = collections.Counter(committing_without_reply(suite.front.log()))
    for message_id, n in twice.items():
        assert unanswered[message_id] >= n - 1, f"{message_id} came {n} times; the log explains {unanswered[message_id]}"


def committing_without_reply(log):
    """Message-IDs of delivery_committing lines whose mail_id has no reply_sent line after it."""
    open_commits = {}
    for line in log.splitlines():
        m = re.search(r" (delivery_committing|reply_sent) .*?\bmail_id=(\S+)", line)
        if not m:
            continue
        if m.group(1) == "delivery_committing":
            found = re.search(r'message_id="?(<[^>]*>)', line)
            open_commits[m.group(2)] = found.group(1) if found else "?"
        else:
            open_commits.pop(m.group(2), None)
    return list(open_commits.values())
