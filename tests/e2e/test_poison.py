"""Acceptance 5: a mail that crashes cages is set aside, and only that mail."""
import gzip
import os
import signal
from pathlib import Path

import pytest

import mw
from mwmail import mail

# Binaries with the test-only trigger (services/scanner/cage/triggers.c): a mail with this field crashes its cage.
TRIGGER_BIN = Path(os.environ.get("MW_TRIGGER_BIN", f"{mw.BIN.parent}-triggers/bin"))
TRIGGER = "X-Mailweir-Test-Cage: crash"


@pytest.fixture
def triggered(suite):
    if not (TRIGGER_BIN / "mailweir-cage").exists():
        pytest.fail(f"no test binaries in {TRIGGER_BIN}: make triggers")
    suite.sink()
    return suite.start_all(workers=2, services=("scanner", "logger"), bin_dir=TRIGGER_BIN)


def test_a_mail_that_kills_two_cages_is_poison_and_other_mail_flows(triggered):
    load = triggered.load("--tag", "other", "--rate", "50", mails=200, connections=5, wait=False)
    r = triggered.send(mail(headers=[TRIGGER], message_id="<poison@example.com>"))
    assert 400 <= r.code < 500, r
    assert mw.load_result(load)["replies"] == {"250": 200}
    alerts = mw.until("the alert", lambda: [a for a in triggered.alerts() if a["alert"] == "poison"], 5)
    assert len(alerts) == 1, alerts
    deaths = [line for key, p in triggered.services.items() if key[0] == "scanner" for line in p.log_lines("cage_died_at_work")]
    assert len(deaths) == 2, f"tried twice, not thrice: {deaths}"
    kept = list((triggered.folder / "quarantine/poison").iterdir())
    assert len(kept) == 1
    octets = gzip.open(kept[0]).read() if kept[0].name.endswith(".gz") else kept[0].read_bytes()
    assert TRIGGER.encode() in octets
    record = mw.until("its record", lambda: [x for x in triggered.records() if x.get("message_id") == "<poison@example.com>"], 5)
    assert len(record) == 1 and record[0]["poison"] is True
    again = triggered.send(mail(headers=[TRIGGER], message_id="<poison@example.com>"))
    assert 400 <= again.code < 500, again
    assert len(kept) == len(list((triggered.folder / "quarantine/poison").iterdir())), "no third cage, no second copy"
    assert not any("poison@" in row["message_id"] for row in triggered.sinks[0].index())


def test_poison_that_has_no_place_is_mail_as_any_other(suite):
    suite.sink()
    suite.set(QUARANTINEDIR="", virus_scanners_failure_is_fatal=False,
              **{f"{kind}_quarantine_method": "" for kind in ("virus", "banned_files", "spam", "bad_header", "unchecked")})
    suite.start_all(workers=2, services=("scanner", "logger"), bin_dir=TRIGGER_BIN)
    assert suite.send(mail(headers=[TRIGGER], message_id="<poison@example.com>")).code == 250
    alert, = mw.until("the alert", lambda: [a for a in suite.alerts() if a["alert"] == "poison"], 5)
    assert "no copy of it is set aside" in alert["message"], alert
    assert [row["message_id"] for row in suite.sinks[0].index()] == ["<poison@example.com>"]


def test_mail_that_a_killed_scanner_held_is_never_poison(suite):
    """Its worker dies under it again and again and it is still nobody's fault."""
    suite.sink(store=False)
    suite.set(child_timeout=60)
    suite.start_all(services=("scanner", "status"))
    load = None
    for round_ in range(1, 7):
        scanner = suite.service("scanner")
        suite.front.wait_log(r" worker_came ", count=round_)
        stopped = []
        while fresh := [pid for pid in mw.children(scanner.pid) if pid not in stopped]:  # one may just be forking
            for pid in fresh:
                mw.tell(pid, signal.SIGSTOP)
            stopped += fresh
        if load is None:
            load = suite.load("--tag", "held", "--rate", "20", "--retry-for", "60", "--timeout", "60", mails=120, connections=30,
                wait=False)
        mw.until("jobs held by the scanner", lambda: busy(suite, scanner), 10, every_s=0.1)
        scanner.kill()
        for pid in stopped:  # a cage that had not yet asked to die with its parent sees now that the parent is gone
            mw.tell(pid, signal.SIGCONT)
        suite.front.wait_log(r" worker_left ", count=round_)
        suite.restart(scanner)
    result = mw.load_result(load)
    assert result["taken"] == 120 and result["refused"] == 0, result
    assert all(" jobs=0 " not in line for line in suite.front.log_lines("worker_left")), "every time it held some"
    assert suite.status()["totals"]["poison"] == 0
    assert not (suite.folder / "quarantine/poison").exists() or not list((suite.folder / "quarantine/poison").iterdir())


def busy(suite, worker):
    """Jobs that a worker holds, as the status shows it."""
    state = suite.status()
    return state and sum(k["busy"] for w in state["workers"] if w["worker"] == worker.ready_field("worker") for k in w["kinds"])
