"""Acceptance 3 of the quarantine: whenever the front is killed, a client that has a reply has a copy, and no file is half."""
import gzip
import os
import random
import re
import signal
import sqlite3
import threading
import time
from pathlib import Path

import pytest

import mw
from mwlua import D_DISCARD
from mwmail import mail

# Binaries with the test-only trigger: MAILWEIR_TEST_KEEP names the step at which the front kills itself.
TRIGGER_BIN = Path(os.environ.get("MW_TRIGGER_BIN", f"{mw.BIN.parent}-triggers/bin"))
STEPS = ("begin", "opened", "written", "synced", "named", "kept")
NAMED = ("named", "kept")  # the file is there, and whole
KILLS_S = float(os.environ.get("MW_KILLS_S", "25"))  # of killing at random; or
KILLS = int(os.environ.get("MW_KILLS", "0"))  # so many, however long it takes
LIFE_S = (0.0, 0.25)  # of a front, from its first connection on: its end does not wait for what it has done
CLIENTS = 12


@pytest.fixture
def keeper(suite):
    """All mail is too large for its recipient, discarded, and kept: no worker and no next hop have a part in it."""
    suite.set(bypass_virus_checks_maps=[True], enforce_smtpd_message_size_limit_64kb_min=False, message_size_limit_maps=[100],
              final_destiny_by_ccat={"CC_OVERSIZED": D_DISCARD}, forward_method="smtp:[127.0.0.1]:9",
              quarantine_method_by_ccat={"CC_OVERSIZED": "local:large-%m.gz"})
    return suite


def files(suite):
    return [p for p in (suite.folder / "quarantine").rglob("*") if p.is_file()]


def kept(suite):
    """Message-IDs of all copies; each has to be whole."""
    found = set()
    for path in files(suite):
        assert not path.name.startswith(".new-"), f"left behind: {path}"
        if not path.name.endswith(".gz"):
            continue  # the index
        octets = gzip.decompress(path.read_bytes())  # raises on half a file
        assert octets.startswith(b"Return-Path:") and octets.endswith(b"the end.\r\n"), path
        found.add(re.search(rb"\r\nMessage-ID: <([^>]+)>", octets, re.IGNORECASE)[1].decode())
    return found


def big(message_id):
    return mail(message_id=f"<{message_id}>", body=random.randbytes(3000).hex().encode() * 10 + b"\r\nthe end.\r\n")


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_each_step_there_is_no_reply_and_no_half_copy(keeper, step):
    if not (TRIGGER_BIN / "mailweir-smtp-front").exists():
        pytest.fail(f"no test binaries in {TRIGGER_BIN}: make triggers")
    front = keeper.start("smtp-front", env={"MAILWEIR_TEST_KEEP": step}, bin_dir=TRIGGER_BIN)
    with pytest.raises((OSError, EOFError, AssertionError)):
        reply = keeper.send(big("first@example.com"))
        raise SystemError(f"replied {reply}")
    assert front.popen.wait(20 * mw.SLOW) == -signal.SIGKILL
    assert kept(keeper) == ({"first@example.com"} if step in NAMED else set())
    keeper.start("smtp-front")
    assert keeper.send(big("again@example.com")).code == 250
    assert "again@example.com" in kept(keeper)


@pytest.mark.deadline(120 + 2 * KILLS_S + 5 * KILLS)
def test_killed_at_random_every_reply_has_its_copy(keeper):
    keeper.start("smtp-front")
    replied, stop = set(), threading.Event()

    def client(number):
        count = 0
        while not stop.is_set():
            try:
                with keeper.smtp(timeout_s=5) as c:
                    c.hello()
                    while not stop.is_set():
                        count += 1
                        message_id = f"{number}-{count}@example.com"
                        if c.mail("s@example.com", ["r@example.org"], big(message_id)).code == 250:
                            replied.add(message_id)
            except (OSError, EOFError, AssertionError, AttributeError, ValueError):
                time.sleep(0.01)  # it was killed: look for the next one

    threads = [threading.Thread(target=client, args=(n,)) for n in range(CLIENTS)]
    for t in threads:
        t.start()
    kills, began, slowest = 0, time.monotonic(), 0.0
    try:
        while kills < KILLS if KILLS else time.monotonic() < began + KILLS_S:
            time.sleep(random.uniform(*LIFE_S))
            keeper.front.kill()
            kills += 1
            again = time.monotonic()
            keeper.restart(keeper.front)
            slowest = max(slowest, time.monotonic() - again)
        mw.until("replies of the last one", lambda n=len(replied): len(replied) > n + CLIENTS)
    finally:
        stop.set()
        for t in threads:
            t.join()
    took_s = time.monotonic() - began
    copies = kept(keeper)
    print(f"kills={kills} seconds={took_s:.1f} kills_per_second={kills / took_s:.2f} slowest_start_s={slowest:.2f} "
          f"replies={len(replied)} copies={len(copies)}")
    assert kills >= (KILLS or 6) and len(replied) > 20
    assert replied <= copies, sorted(replied - copies)[:10]
    whole_again(keeper, len(copies))


def whole_again(keeper, count):
    """The index knows every copy, by the front's own comparison."""
    keeper.front.kill()
    keeper.restart(keeper.front)

    def verified():
        done = keeper.tool("quarantine", "verify", "--quick", "-c", keeper.folder / "mailweir.lua")
        return done.returncode == 0 and "0 missing, 0 unknown, 0 with a wrong id, 0 damaged" in done.stdout
    mw.until("an index that agrees", verified, timeout_s=60)
    index = sqlite3.connect(keeper.folder / "quarantine/index.sqlite")
    assert index.execute("SELECT count(*) FROM copies").fetchone() == (count,)
    index.close()


def test_what_a_killed_front_left_behind_is_swept_away_and_what_is_young_is_not(keeper):
    folder = keeper.folder / "quarantine/a"
    folder.mkdir()
    old, young, other = folder / ".new-abcdefghijkl", folder / ".new-bbcdefghijkl", folder / ".hidden"
    for path in (old, young, other):
        path.write_text("half a copy")
    for path in (old, other):
        os.utime(path, (1, 1))
    keeper.start("smtp-front").wait_log("quarantine_unfinished")
    assert not old.exists() and young.exists() and other.exists()
