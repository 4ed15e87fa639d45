"""A front whose recipients' policies are in a database, with amavisd's schema."""
import sqlite3

import pytest

import mw
import mwhop
from mwhop import A, B
from mwlua import D_REJECT
from mwmail import eicar_mail, mail
from mwsmtp import stuffed

behind = mwhop.behind  # the fixture

SCHEMA = """
CREATE TABLE policy (id INTEGER PRIMARY KEY, policy_name TEXT, virus_lover CHAR, bypass_virus_checks CHAR,
    spam_kill_level REAL);
CREATE TABLE users (id INTEGER PRIMARY KEY, priority INTEGER, policy_id INTEGER, email BLOB, fullname TEXT, local CHAR);
CREATE TABLE mailaddr (id INTEGER PRIMARY KEY, priority INTEGER, email BLOB);
CREATE TABLE wblist (rid INTEGER, sid INTEGER, wb TEXT);
"""


@pytest.fixture
def base(suite):
    path = suite.folder / "mail.sqlite"
    with sqlite3.connect(path) as db:
        db.executescript(SCHEMA)
        db.executemany("INSERT INTO policy VALUES (?, ?, ?, ?, ?)",
                       [(1, "lover", "Y", None, None), (2, "usual", "N", None, None), (3, "never asks", None, "Y", None)])
        db.executemany("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?)",
                       [(1, 9, 1, A, "", "Y"), (2, 5, 2, "@example.org", "", "Y"), (3, 0, 3, "@example.net", "", "N")])
    suite.set(lookup_sql_dsn=[[f"DBI:SQLite:dbname={path}", "", ""]], final_virus_destiny=D_REJECT,
              virus_quarantine_method="", local_domains_maps=[".example.org"])
    return path


def lmtp(suite, rcpts, octets):
    with suite.smtp() as c:
        c.hello(verb="LHLO")
        assert c.envelope("x@example.com", rcpts) is None
        assert c.cmd("DATA").code == 354
        c.write(stuffed(octets))
        return [c.reply() for _ in rcpts]


def test_each_recipient_s_policy_comes_from_the_database(behind, suite, base):
    hop = behind(services=("scanner",))
    for _ in range(2):  # the second time from the cache
        assert [r.code for r in lmtp(suite, [A, B], eicar_mail())] == [250, 554]
    assert [m.rcpts for m in hop.mails] == [[A], [A]]


def test_a_database_without_an_answer_leaves_the_tables_theirs(behind, suite, base):
    hop = behind({"virus_lovers_maps": [{"c@example.com": True}]}, services=("scanner",))
    assert [r.code for r in lmtp(suite, ["c@example.com", "d@example.com"], eicar_mail())] == [250, 554]
    assert [m.rcpts for m in hop.mails] == [["c@example.com"]]


def test_all_bypass_by_the_database(behind, suite, base):
    hop = behind(services=("scanner",))
    assert [r.code for r in lmtp(suite, ["c@example.net"], eicar_mail())] == [250]
    assert b"X-Virus-Scanned" not in hop.mails[0].octets


@pytest.mark.parametrize("failure, code", [("defer", 451), ("ignore", 250)])
def test_a_database_that_is_not_there(behind, suite, base, failure, code):
    base.unlink()
    hop = behind({"lookup.failure": failure})
    r, = lmtp(suite, [A], mail())
    assert r.code == code
    suite.front.wait_log("lookup_failed")
    assert len(hop.mails) == (code == 250)


@pytest.mark.parametrize("settings, code", [({}, 451), ({"lookup.failure": "ignore"}, 250), ({"sql_clause": {"sel_wblist": ""}}, 250)])
def test_lists_of_senders_that_cannot_be_read(behind, suite, base, settings, code):
    with sqlite3.connect(base) as db:
        db.execute("DROP TABLE wblist")
    hop = behind(settings)
    r, = lmtp(suite, [A], mail())
    assert r.code == code
    assert len(hop.mails) == (code == 250)


def test_a_database_that_cannot_be_is_an_error_at_start(suite):
    suite.set(lookup_sql_dsn=[["DBI:Oracle:x", "", ""]])
    p = suite.start("smtp-front", wait=False)
    mw.until("it to give up", lambda: not p.running())
    assert p.popen.returncode != 0 and "lookup_sql_dsn" in p.log(), p.log()
