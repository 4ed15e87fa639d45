#!/usr/bin/python3
"""
A database of signatures for the benchmark, where no real one is installed: 200,000 of them, of the kinds and targets that ClamAV's
own are made of, so that the engine walks tables of a real size. They are random octets from a fixed seed: the same on every machine,
and nothing on earth matches them, but for the EICAR test file.

  signatures.py FOLDER     writes FOLDER/bench.{ndb,hdb,mdb} unless they are there
"""
import random
import sys
from pathlib import Path

SEED = 20240229
BODIES, FILES, SECTIONS = 80_000, 60_000, 60_000
# Share of each target among the body signatures: any file, PE, HTML, mail, plain text.
TARGETS, SHARES = (0, 1, 3, 4, 7), (30, 50, 8, 4, 8)
WILD_PERCENT = 20  # body signatures with a gap or an unknown octet: the engine's slower matcher
EICAR = Path(__file__).resolve().parents[2] / "services/scanner/data/eicar.ndb"


def body(r):
    """Hexadecimal octets, some with wildcards."""
    octets = r.randbytes(r.randint(16, 60)).hex()
    if r.randrange(100) >= WILD_PERCENT:
        return octets
    at = 2 * r.randint(4, len(octets) // 2 - 4)
    return octets[:at] + r.choice(("*", "??", "{4-16}")) + octets[at:]


def write(path, lines):
    with path.open("w") as f:
        f.writelines(f"{line}\n" for line in lines)


def make(folder, times=1):
    """The folder with the database, so many times as large; made once."""
    folder = Path(folder)
    done = folder / "bench.mdb"
    if done.exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    r = random.Random(SEED)
    targets = r.choices(TARGETS, SHARES, k=BODIES * times)
    write(folder / "bench.ndb", [f"Bench.Body-{i}:{t}:*:{body(r)}" for i, t in enumerate(targets)] + [EICAR.read_text().strip()])
    write(folder / "bench.hdb", [f"{r.randbytes(16).hex()}:{r.randint(200, 4_000_000)}:Bench.File-{i}" for i in range(FILES * times)])
    half = folder / "bench.mdb.half"
    write(half, [f"{512 * r.randint(1, 4000)}:{r.randbytes(16).hex()}:Bench.Section-{i}" for i in range(SECTIONS * times)])
    half.rename(done)
    return folder


if __name__ == "__main__":
    print(make(sys.argv[1]))
