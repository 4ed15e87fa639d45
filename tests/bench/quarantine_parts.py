"""Part (j) of make bench: the quarantine's index of many entries, what is asked of as many copies, and mail while many expire."""
import json
import re
import statistics
import subprocess
import time
import urllib.request

import mw
import mwampdp

AIM_MS, AIM_SLOWER_PERCENT = 100, 10
WARM_MAILS, EXPIRE_MAILS = 2000, 20000
DAY_S = 86400
TURNS = 3   # while copies expire
ADDED = 2000
ASKED = 30  # of each kind, one after the other


def tool(folder, *args):
    done = subprocess.run([str(mw.BENCH / "mwquarantine"), str(folder), *map(str, args)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise mw.Failed(done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def index(folder, entries):
    folder.mkdir()
    tool(folder, "fill", entries)
    octets = (folder / "index.sqlite").stat().st_size
    added = [tool(folder, "add", ADDED, batch)[0]["us_each"] for batch in (1, 200)]
    print(f"\n(j) an index of {entries} entries, {octets / entries:.0f} octets each: one more takes the clerk's thread {added[0]:.0f} us alone, "
        f"{added[1]:.0f} us among 200")
    for row in tool(folder, "ask"):
        print(f"  {row['what']:30} {row['rows']:3} rows, the first time {row['first_ms']:7.2f} ms, at worst {row['worst_ms']:7.2f} ms "
            f"(aim: under {AIM_MS}) {'ok' if row['worst_ms'] < AIM_MS else 'MISSED'}", flush=True)


def look_through(b, settings, stop_services, root):
    """The first front looks at all files and enters them: that is not what is measured."""
    b.settings({**settings, "QUARANTINEDIR": str(root), "quarantine.scan_interval": DAY_S, "http.listen": "127.0.0.1:0"})
    b.suite.start("smtp-front")
    page = f"http://127.0.0.1:{b.suite.front.ready_field('http')}/metrics"

    def scans():
        with urllib.request.urlopen(page, timeout=10) as r:
            return int(re.search(r"(?m)^mailweir_quarantine_scans_total (\d+)$", r.read().decode()).group(1))
    mw.until("the files to be entered", scans, 600, 0.5)
    stop_services(b.suite)


def worst(what, ask, times):
    took = []
    for _ in range(times):
        began = time.perf_counter()
        ask()
        took.append(1000 * (time.perf_counter() - began))
    print(f"  {what:42} median {statistics.median(took):7.2f} ms, at worst {max(took):7.2f} ms (aim: under {AIM_MS}) "
        f"{'ok' if max(took) < AIM_MS else 'MISSED'}", flush=True)


def among(b, settings, stop_services, entries):
    """The front and the command line among so many copies: they are there, as files and in the index."""
    root, path = b.suite.folder / "many", b.suite.folder / "release.sock"
    root.mkdir()
    tool(root, "files", entries, 30)
    look_through(b, settings, stop_services, root)
    b.settings({**settings, "QUARANTINEDIR": str(root), "quarantine.scan_interval": DAY_S, "quarantine.release_rescan": False,
        "unix_socketname": [str(path)], "interface_policy": {"SOCK": "AM.PDP"}, "policy_bank": {"AM.PDP": {"protocol": "AM.PDP", "auth_required_release": False}}})
    b.suite.start("smtp-front")
    copies = iter([p for folder in sorted(root.iterdir()) if folder.is_dir() for p in sorted(folder.iterdir())[:ASKED]])

    def command(*args):
        done = b.suite.tool("quarantine", *args, "-c", b.suite.folder / "mailweir.lua", timeout_s=60)
        if done.returncode != 0 or not done.stdout:
            raise mw.Failed(f"{args}: {done.stdout} {done.stderr}")

    def mail_id():
        return next(copies).name.removesuffix(".gz").rsplit("-", 1)[-1]

    def release(how="mail_id"):
        copy = next(copies)
        name = str(copy.relative_to(root)) if how == "mail_file" else copy.name.removesuffix(".gz").rsplit("-", 1)[-1]
        with mwampdp.Client(path, 60) as c:
            answer = c.ask(("request", "release"), (how, name))
        if answer.value != "continue" and not (answer.text or "").startswith("250"):
            raise mw.Failed(f"{name} is not released: {answer}")
    print(f"(j)  among {entries} copies on a disk")
    worst("release by mail_id (AM.PDP)", release, ASKED)
    worst("release by file (AM.PDP)", lambda: release("mail_file"), ASKED)
    worst("mailweir quarantine release MAIL_ID", lambda: command("release", mail_id()), ASKED)
    worst("mailweir quarantine list", lambda: command("list"), ASKED)
    worst("mailweir quarantine show MAIL_ID", lambda: command("show", mail_id()), ASKED)
    stop_services(b.suite)


def rate(b, settings, address_of_front, stop_services, root, retention):
    """Mails a second of a front that was just started, while copies expire or not; and was it so to the end?"""
    b.settings({**settings, "QUARANTINEDIR": str(root), "quarantine.scan_interval": 1 if retention else DAY_S, "quarantine.retention": retention})
    b.suite.start("smtp-front")
    address = address_of_front(b.suite)

    def left():
        return sum(1 for folder in root.iterdir() if folder.is_dir() for _ in folder.iterdir())
    before = left()
    if retention:
        mw.until("copies to expire", lambda: left() < before, 300, 0.5)
    b.load(address, 10, WARM_MAILS)
    got = b.load(address, 10, EXPIRE_MAILS)["rate"]
    expired = before - left()
    steady = expired < before
    stop_services(b.suite)
    return got, expired, steady


def expiry(b, settings, address_of_front, stop_services, files):
    """Alone and while copies expire, by turns: each time against the two beside it, so that the machine's own changes cancel out."""
    root = b.suite.folder / "expiring"
    root.mkdir()
    tool(root, "files", files, 30)
    look_through(b, settings, stop_services, root)
    rates, expired, busy = [], 0, True
    for turn in range(2 * TURNS + 1):
        got, gone, steady = rate(b, settings, address_of_front, stop_services, root, {"CC_CATCHALL": 7} if turn % 2 else {})
        rates.append(got)
        expired += gone
        busy = busy and steady
    ratios = [rates[i] / ((rates[i - 1] + rates[i + 1]) / 2) for i in range(1, len(rates), 2)]
    ratio = statistics.median(ratios)
    slower = 100 * (1 - ratio)
    print(f"(j)  {expired} of {files} copies expire: {' '.join(f'{r:.0f}' for r in rates)} mails/s, alone and meanwhile by turns"
        f"{'' if busy else ' (it was over before the mails)'}: {slower:.0f} % slower, median ratio {ratio:.3f} "
        f"(aim: at most {AIM_SLOWER_PERCENT} %) {'ok' if slower <= AIM_SLOWER_PERCENT else 'MISSED'}", flush=True)


def part_j(b, settings, address_of_front, stop_services, entries, files):
    index(b.suite.folder / "index", entries)
    among(b, settings, stop_services, entries)
    expiry(b, settings, address_of_front, stop_services, files)
