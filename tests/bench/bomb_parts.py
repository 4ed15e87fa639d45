"""Part (l) of make bench: bombs in a cage's work: time, memory, and the limit that is told; and what sixteen cages cost together."""
import json
import subprocess
import sys
from pathlib import Path

import mw
import signatures

sys.path.insert(0, str(mw.ROOT / "tests/e2e"))
import mwbombs  # noqa: E402

AIM_S, AIM_MIB = 2, 256
CAGES = 16
MAILS_EACH = 100


def smaps(pid):
    """Of /proc/PID/smaps_rollup, KiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) for line in lines}


def cages(b, times, address_of_front, stop_services):
    """The engine's pages are counted once however many share them: Pss is each process's share of them."""
    folder = signatures.make(mw.ROOT / f"build/bench-signatures-{times}", times)
    b.settings({"scanner.clamav_database": str(folder), "scanner.cages": CAGES})
    b.suite.start("smtp-front")
    scanner = b.suite.start("scanner")
    b.suite.front.wait_log(r" worker_came ", timeout_s=600)
    holder = mw.until("a holder", lambda: [p for p in mw.children(scanner.pid) if "mailweir-cage" in mw.command_of(p)])[0]
    mw.until("all cages", lambda: len(mw.children(holder)) == CAGES, 60)
    print(f"\n(l) {CAGES} cages and their holder, {200000 * times + 1} signatures, MiB\n  %-22s %8s %8s %12s %14s" % ("", "Pss all",
        "largest", "own, a cage", "engine and own"))
    for when in ("born", f"{MAILS_EACH} mails each"):
        if when != "born":
            b.load(address_of_front(b.suite), CAGES, CAGES * MAILS_EACH)
        family = {pid: smaps(pid) for pid in mw.children(holder)}
        all_of = {holder: smaps(holder), **family}
        pss = sum(m["Pss"] for m in all_of.values())
        own = [m["Private_Dirty"] + m["Private_Clean"] for m in family.values()]
        once = max(m["Rss"] for m in all_of.values())
        print(f"  {when:22} {pss / 1024:8.0f} {once / 1024:8.0f} {sum(own) / len(own) / 1024:12.1f} "
            f"{pss / once:13.2f}x", flush=True)
    stop_services(b.suite)


def part_l(b, folder, database, times, address_of_front, stop_services):
    bombs(folder, database)
    cages(b, times, address_of_front, stop_services)


def bombs(folder, database):
    folder.mkdir()
    print("\n(l) bombs: one job each in a process of its own\n  %-40s %9s %7s %7s %8s  %s" % ("", "octets", "wall s", "CPU s", "peak MiB",
        "limits"))
    for number, (name, (make, _)) in enumerate(mwbombs.BOMBS.items()):
        path = folder / f"{number}.eml"
        path.write_bytes(make())
        done = subprocess.run([str(mw.BENCH / "mwscan"), "--database", str(database), str(path)], capture_output=True, text=True, check=False)
        path.unlink()
        if done.returncode != 0:
            raise mw.Failed(f"{name}: {done.stderr}")
        r = json.loads(done.stdout)
        within = r["cpu_us"] <= AIM_S * 1e6 and r["own_kb"] <= AIM_MIB * 1024
        print(f"  {name:40} {r['octets']:9} {r['wall_us'] / 1e6:7.2f} {r['cpu_us'] / 1e6:7.2f} {r['own_kb'] // 1024:8}  "
            f"{r['limits'] or r['errors']} {'ok' if within else 'MISSED'}", flush=True)
    print(f"  (aim: at most {AIM_S} s and {AIM_MIB} MiB; of CPU time, as others may use the machine; the peak is beyond the engine)")
