"""
Part (m) of make bench: mails are scanned while the signatures are replaced, again and again.

The same load three times: quiet, with a new set of signatures put in place as soon as the one before is at work, quiet again.
No scan may fail (a failed one gives its mail 451), and the slowest of a hundred mails may take at most twice as long as when it is
quiet. There, too, the machine's own changes show in the two quiet runs.
"""
import os

import mw

CONNECTIONS, PACE, MAILS = 4, 80, 1200
AIM_TIMES = 2
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


def replace_until_over(b, scanner, signatures, p):
    """New signatures as soon as the last ones are at work; how often they came to work before the load was over."""
    first = len(scanner.log_lines("engine_loaded"))
    while p.running():
        before = len(scanner.log_lines("engine_loaded"))
        signatures.replace()
        mw.until("the new signatures to be loaded", lambda: len(scanner.log_lines("engine_loaded")) > before or not p.running(), LOADED_S)
    return len(scanner.log_lines("engine_loaded")) - first


def part_m(b, database, address_of_front, stop_services):
    signatures = Signatures(b.suite.folder / "reloaded", database)
    b.settings({"scanner.clamav_database": str(signatures.folder), "scanner.signature_check_interval": 100})
    b.suite.start("smtp-front")
    scanner = b.suite.start("scanner")
    b.suite.front.wait_log(r" worker_came ")
    source = ["--corpus", b.mails] if b.mails else ["--size", 5700]
    results, times = [], 0
    b.load(address_of_front(b.suite), CONNECTIONS, 200)  # cages are born, pages are touched
    for meanwhile in (False, True, False):
        p = load(b, source)
        if meanwhile:
            times = replace_until_over(b, scanner, signatures, p)
        results.append(mw.load_result(p))
    stop_services(b.suite)
    failed = sum(MAILS - r["taken"] for r in results)
    quiet = max(results[0]["p99_us"], results[2]["p99_us"])
    ratio = results[1]["p99_us"] / quiet
    print(f"\n(m)  {MAILS} mails at {PACE} a second, signatures replaced {times} times meanwhile: {failed} failed scans (aim: 0) "
        f"{'ok' if failed == 0 else 'MISSED'}\n"
        f"     p99 {results[0]['p99_us']} and {results[2]['p99_us']} us quiet, {results[1]['p99_us']} us meanwhile: {ratio:.2f} times "
        f"(aim: at most {AIM_TIMES}) {'ok' if ratio <= AIM_TIMES else 'MISSED'}; "
        f"p50 {results[0]['p50_us']}, {results[2]['p50_us']} and {results[1]['p50_us']} us", flush=True)
