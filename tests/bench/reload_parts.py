"""
Part (m) of make bench: mails are scanned while the signatures are replaced, again and again.

The same load four times: quiet, with a new set of signatures every five seconds, with one as soon as that before is at work, quiet
again. No scan may fail (a failed one gives its mail 451), and the slowest of a hundred mails may take at most twice as long as when it
is quiet: with signatures every five seconds, which is some hundred times as often as they come; without a pause both cores do little
else than load them. The machine's own changes show in the two quiet runs.
"""
import os
import time

import mw

CONNECTIONS, PACE, MAILS = 4, 80, 1200
AIM_TIMES = 2
PAUSE_S = 5
LOADED_S = 60


class Signatures:
    """A folder with the files of another, and one that is replaced."""

    def __init__(self, folder, source):
        self.folder, self.count = folder, 0
        folder.mkdir()
        for path in source.iterdir():
            (folder / path.name).symlink_to(path)
        self.replace()

    def replace(self):
        self.count += 1
        new = self.folder / ".new"
        new.write_text(f"Bench.Daily-{self.count}:0:*:{os.urandom(24).hex()}\n")
        new.rename(self.folder / "daily.ndb")


def load(b, source):
    """An mwload at its pace; its result when it has ended."""
    args = ["--pipeline", "--reuse", 100, "--rate", PACE, *source]
    return b.suite.load(*args, mails=MAILS, connections=CONNECTIONS, wait=False)


def replace_until_over(scanner, signatures, p, pause_s):
    """New signatures that long after the last ones, but when those are at work; how often they came to work before the load was over."""
    first = len(scanner.log_lines("engine_loaded"))
    while p.running():
        before, next_s = len(scanner.log_lines("engine_loaded")), time.monotonic() + pause_s
        signatures.replace()
        mw.until("the new signatures to be loaded", lambda: len(scanner.log_lines("engine_loaded")) > before or not p.running(), LOADED_S)
        while p.running() and time.monotonic() < next_s:
            time.sleep(0.05)
    return len(scanner.log_lines("engine_loaded")) - first


def part_m(b, database, address_of_front, stop_services):
    signatures = Signatures(b.suite.folder / "reloaded", database)
    b.settings({"scanner.clamav_database": str(signatures.folder), "scanner.signature_check_interval": 100})
    b.suite.start("smtp-front")
    scanner = b.suite.start("scanner")
    b.suite.front.wait_log(r" worker_came ")
    source = ["--corpus", b.mails] if b.mails else ["--size", 5700]
    results, times = [], []
    b.load(address_of_front(b.suite), CONNECTIONS, 200)  # cages are born, pages are touched
    for pause_s in (None, PAUSE_S, 0, None):
        p = load(b, source)
        times.append(0 if pause_s is None else replace_until_over(scanner, signatures, p, pause_s))
        results.append(mw.load_result(p))
    stop_services(b.suite)
    failed = sum(MAILS - r["taken"] for r in results)
    quiet = max(results[0]["p99_us"], results[3]["p99_us"])
    ratio, ratio_always = (r["p99_us"] / quiet for r in results[1:3])
    print(f"\n(m)  {MAILS} mails at {PACE} a second, signatures replaced {times[1]} and {times[2]} times meanwhile: {failed} failed scans (aim: 0) "
        f"{'ok' if failed == 0 else 'MISSED'}\n"
        f"     p99 {results[0]['p99_us']} and {results[3]['p99_us']} us quiet; {results[1]['p99_us']} us with signatures every {PAUSE_S} s: "
        f"{ratio:.2f} times (aim: at most {AIM_TIMES}) {'ok' if ratio <= AIM_TIMES else 'MISSED'}; {results[2]['p99_us']} us without a pause: "
        f"{ratio_always:.2f} times\n"
        f"     p50 {', '.join(str(r['p50_us']) for r in results)} us", flush=True)
