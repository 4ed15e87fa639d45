"""Part (i) of make bench: the policy of a mail with 50 recipients, from tables and from a database."""
import sqlite3
import subprocess

import mw

RCPTS, USERS = 50, 10000
AIM_TABLES_US, AIM_CACHED_US = 100, 1000

TABLES = """
myhostname = "mx.example.org"
mynetworks = { "127.0.0.0/8", "[::1]", "192.0.2.0/24" }
recipient_delimiter = "+"
local_domains_maps = { { "!.test.example.org", ".example.org", ".example.net" } }
policy_bank.MYNETS = { spam_kill_level_maps = { 20 } }
policy_bank.MYUSERS = { final_spam_destiny = D_REJECT }
spam_tag_level_maps = { read_hash("%(levels)s") }
spam_tag2_level_maps = { { ["user7@example.org"] = 4, [".example.org"] = 5 }, 6.3 }
spam_lovers_maps = { { ["postmaster@example.org"] = true, ["abuse@"] = true } }
virus_lovers_maps = { { ["virus@example.org"] = true } }
bypass_spam_checks_maps = { new_RE { "^(root|abuse)@", "^bulk-" } }
bypass_virus_checks_maps = { { "quarantine.example.org" } }
"""

SCHEMA = """
CREATE TABLE policy (id INTEGER PRIMARY KEY, policy_name TEXT, virus_lover CHAR, spam_lover CHAR, bypass_virus_checks CHAR,
    bypass_spam_checks CHAR, spam_tag_level REAL, spam_tag2_level REAL, spam_kill_level REAL);
CREATE TABLE users (id INTEGER PRIMARY KEY, priority INTEGER, policy_id INTEGER, email BLOB, fullname TEXT, local CHAR);
"""


def database(path):
    with sqlite3.connect(path) as db:
        db.executescript(SCHEMA)
        db.executemany("INSERT INTO policy VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                       [(1, "usual", "N", "N", "N", "N", 2, 6.31, 6.31), (2, "lover", "Y", "Y", None, None, None, 5, None)])
        db.executemany("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?)",
                       [(i, 9, 1 + i % 2, f"user{i}@example.org", "", "Y") for i in range(USERS)] +
                       [(USERS, 5, 1, "@example.org", "", "Y"), (USERS + 1, 0, 1, "@.", "", "N")])
        db.execute("CREATE INDEX users_email ON users (email)")


def part_i(folder):
    print(f"\n(i) policy of a mail with {RCPTS} recipients, each mail's others (of {USERS})")
    levels, base = folder / "levels", folder / "policy.sqlite"
    levels.write_text("".join(f"user{i}@example.org {i % 7}\n" for i in range(USERS)))
    database(base)
    tables = TABLES % {"levels": levels}
    sql = tables + f'lookup_sql_dsn = {{ {{ "DBI:SQLite:dbname={base}" }} }}\nlookup.cache_time = 3600\n'
    for what, text, aim in (("tables", tables, AIM_TABLES_US), ("SQL, cached", sql, AIM_CACHED_US)):
        path = folder / "policy.lua"
        path.write_text(text)
        done = subprocess.run([str(mw.BENCH / "mwpolicy"), str(path), "--rcpts", str(RCPTS)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise mw.Failed(done.stderr)
        print(f"  {what:14} {done.stdout.strip()} (aim: under {aim} us)")
