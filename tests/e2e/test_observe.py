"""Acceptance 7: what is told about mail is what happened."""
import collections
import time

import pytest

import mw
from mwlua import D_DISCARD, D_REJECT
from mwmail import eicar_mail, mail
from mwsmtp import stuffed

BASE = "1.3.6.1.4.1.15312.2.1"
# reference numbers: 1.2 messages in, 1.4 recipients in
IN_MSGS, IN_MSGS_INBOUND, IN_STATUS_RELAYED, IN_STATUS_DISCARDED, IN_STATUS_REJECTED = (f"{BASE}.1.2.{i}.0" for i in (1, 2, 8, 9, 12))
IN_RCPTS = f"{BASE}.1.4.1.0"


def counts(suite, snmpd):
    walk = suite.snmpwalk(snmpd)
    return {oid: int(v) for oid, v in walk.items() if v.isdigit()}


@pytest.fixture
def observed(suite):
    suite.full()
    suite.snmp = suite.snmpd()
    suite.set(snmp__agentx=suite.snmp.agentx, final_virus_destiny=D_DISCARD)
    suite.sink()
    return suite.start_all(services=("scanner", "dkim", "reputation", "logger", "snmp-agent", "status"))


def test_snmpwalk_counts_what_was_sent(observed):
    s = observed
    mw.until("the objects in snmpd", lambda: IN_MSGS in counts(s, s.snmp), 20, every_s=0.2)
    for i in range(7):
        assert s.send(mail(message_id=f"<n{i}@example.com>"), rcpts=["a@example.org", "b@example.org"]).code == 250
    for i in range(3):
        assert s.send(eicar_mail(message_id=f"<v{i}@example.com>")).code == 250
    now = mw.until("ten mails in snmpd", lambda: (c := counts(s, s.snmp)).get(IN_MSGS) == 10 and c, 20, every_s=0.2)
    assert now[IN_MSGS_INBOUND] == 10
    assert now[IN_RCPTS] == 17
    assert now[IN_STATUS_RELAYED] == 7
    assert now[IN_STATUS_DISCARDED] == 3
    assert now[IN_STATUS_REJECTED] == 0


def test_redis_has_the_reputation_of_the_clients(observed):
    s = observed
    with s.smtp() as c:
        c.hello()
        r = c.cmd("XFORWARD ADDR=203.0.113.40 NAME=mx.example.com")
        assert r.code == 250
        assert c.mail("sender@example.com", ["rcpt@example.org"], mail()).code == 250
        assert c.cmd("XFORWARD ADDR=203.0.113.40 NAME=mx.example.com").code == 250
        assert c.mail("sender@example.com", ["rcpt@example.org"], eicar_mail()).code == 250
    key = "ip:203.0.113.40"

    def learned():
        flat = s.redis_cli("HGETALL", key).split("\n")
        got = dict(zip(flat[::2], flat[1::2]))
        return got if got.get("n") == "2" else None
    got = mw.until(f"{key} in Redis", learned, 10, every_s=0.05)
    assert got.get("b") == "1" and float(got["tl"]) >= float(got["tf"]), got
    assert 3600 < int(s.redis_cli("TTL", key)) < 4 * 24 * 3600


@pytest.mark.deadline(120)
def test_a_logger_restarted_under_load_misses_no_record(observed):
    s = observed
    load = s.load("--tag", "log", "--rate", "150", "--pipeline", mails=1500, connections=10, wait=False)
    for how in ("kill", "stop", "kill"):
        time.sleep(2)  # load goes on meanwhile; nothing is waited for
        logger = s.service("logger")
        getattr(logger, how)()
        time.sleep(0.5)  # so that records come while it is away
        s.restart(logger)
    assert mw.load_result(load)["taken"] == 1500

    def complete():
        ids = collections.Counter((r["publisher_incarnation"], r["publisher_sequence"]) for r in s.records() if r.get("message_id", "").startswith("<log-"))
        return len(ids) >= 1500 and ids
    ids = mw.until("1500 records", complete, 20, every_s=0.2)
    assert len(ids) == 1500
    twice = sum(n - 1 for n in ids.values())
    print(f"records written twice (the logger died after writing, before remembering): {twice}")


def test_a_record_says_what_the_mail_was(observed):
    s = observed
    r = s.send(eicar_mail(message_id="<told@example.com>", subject="told"))
    assert r.code == 250
    record = mw.until("the record", s.records)[-1]
    assert record["type"] == "amavis" and record["host"] == "mw.test"
    assert record["content_type"] == "Virus" and record["action"] == ["DISCARD"]
    assert record["mail_from"] == "sender@example.com" and record["rcpt_to"] == ["rcpt@example.org"] and record["rcpt_num"] == 1
    assert record["message_id"] == "<told@example.com>" and record["subject"] == "told"
    assert record["virusnames"] and record["smtp_code"] == ["250"]
    assert record["mail_id"] in record["quarantine"] and record["quar_type"] == "Z"
    assert list((s.folder / "quarantine").rglob(f"*{record['mail_id']}*"))
    assert record["elapsed"]["Total"] > 0


def test_a_rejected_mail_is_told_as_rejected(observed):
    s = observed
    front = s.start("smtp-front", "2", conf={"final_virus_destiny": D_REJECT})
    front.wait_log(r" worker_came ", count=3)
    with s.smtp(instance="2") as c:
        c.hello()
        r = c.mail("sender@example.com", ["rcpt@example.org"], eicar_mail(message_id="<no@example.com>"))
    assert r.code == 554, r
    record = mw.until("the record", lambda: [x for x in s.records() if x.get("message_id") == "<no@example.com>"])[0]
    assert record["action"] == ["REJECT"] and record["smtp_code"] == ["554"]


def test_status_shows_workers_and_mail_in_flight(observed):
    s = observed
    sink = s.sink("slow", args=["--delay-ms", f"dot={int(3000 * mw.SLOW)}"])
    front = s.start("smtp-front", "slow", conf={"forward_method": sink.method})
    front.wait_log(r" worker_came ", count=3)
    with s.smtp(instance="slow") as c:
        c.hello()
        c.envelope("sender@example.com", ["rcpt@example.org"])
        c.cmd("DATA")
        c.write(stuffed(mail()))

        def in_flight():
            state = s.status()
            tasks = [t for t in state["tasks"] if t["front"] == "slow" and t["state"] == "F"] if state else []
            return tasks and state
        state = mw.until("the mail in the status", in_flight, 10, every_s=0.1)
        assert c.reply().code == 250
    kinds = {k["kind"] for w in state["workers"] for k in w["kinds"]}
    assert {"scan", "auth", "sign", "reputation", "learn"} <= kinds
    assert state["fronts_up"] == 2
    mw.until("the task to be gone", lambda: (x := s.status()) and not x["tasks"], 5, every_s=0.1)
