"""Lookups in real databases: what is found, and what happens when a database is slow, dead or lying.

mwdb is the policy room's own code with lines on stdin in front of it; PostgreSQL, MariaDB, SQLite and slapd are the
real ones, each started once. Those that a test kills are started again by the next that wants them.
"""
import signal
import socket
import threading

import pytest

import mw
import mwhop
from mwdb import Ldap, Lookup, MariaDB, Postgres, SQLite
from mwtls import Authority
from test_sender_lists import ROWS as LISTS, check_sql

behind = mwhop.behind  # the fixture

KINDS = {"pg": Postgres, "mysql": MariaDB, "sqlite": SQLite}
UTF8 = "grüße-\N{SNOWMAN}@example.org"

ROWS = r"""
INSERT INTO policy (id, policy_name, virus_lover, spam_kill_level, spam_subject_tag2) VALUES
    (1, 'strict', 'N', 4.5, '***'), (2, 'it''s "fine"', NULL, NULL, NULL);
INSERT INTO users (id, priority, policy_id, email, local) VALUES (10, 9, 1, 'user+ext@example.org', 'Y'),
    (11, 7, 2, 'user@example.org', 'Y'), (12, 5, NULL, '@example.org', NULL), (13, 1, NULL, '@.', NULL), (14, 3, NULL, 'user', 'N'),
    (15, 9, 1, 'grüße-☃@example.org', 'Y'), (16, 9, 1, 'quo''te"@example.org', 'Y');
INSERT INTO mailaddr (id, priority, email) VALUES (1, 9, 'friend@example.com'), (2, 5, '@example.com'), (3, 7, '@.com');
INSERT INTO wblist (rid, sid, wb) VALUES (11, 1, 'W'), (11, 2, 'B'), (12, 2, '5.5');
"""


@pytest.fixture(scope="module", params=list(KINDS))
def sql(request):
    server = KINDS[request.param]()
    server.kind = request.param
    server.sql(ROWS + LISTS)
    yield server
    server.close()


@pytest.fixture(scope="module")
def ldap():
    server = Ldap()
    server.account("ten", ["user+ext@example.org"], amavisVirusLover="TRUE", amavisSpamKillLevel="4.5")
    server.account("catch-all", ["@."], amavisSpamKillLevel="9")
    server.account("domain", ["@example.org", "@example.net"], amavisVirusLover="FALSE",
                   amavisBlacklistSender=["a@b.example", ".c.example"])
    server.account("null", ["<>"], amavisSpamKillLevel="1")
    yield server
    server.close()


@pytest.fixture
def db(sql):
    sql.start()
    return sql


@pytest.fixture
def directory(ldap):
    ldap.start()
    return ldap


def ids(records):
    return [int(record["id"]) for record in records]


def good(answer):
    assert answer.rc == "ok", answer
    return answer.addresses


def comes_back(lookup, address="user@example.org"):
    """Ask until it works: a database that was down is left alone for a moment."""
    return mw.until(lambda: lookup.tail(), lambda: (lambda a: a if a.rc == "ok" else None)(lookup.get(address)), every_s=0.05)


# ------------------------------------------------------------------ what is found

def test_records_come_in_the_order_of_the_database(db):
    with Lookup(lookup_sql_dsn=[db.dsn()]) as l:
        first, second, nobody, null = good(l.get("User+Ext@example.org", "user@example.org", "x@elsewhere.example", "", flags="d"))
        assert ids(first) == [10, 11, 12, 13]
        assert ids(second) == [11, 12, 13]
        assert ids(nobody) == ids(null) == [13]
        assert first[0]["spam_subject_tag2"] == b"***" and float(first[0]["spam_kill_level"]) == 4.5
        assert first[1]["policy_name"] == b'it\'s "fine"' and first[1]["virus_lover"] is None
        assert first[2]["policy_name"] is None and first[2]["local"] is None
        assert {r.source for r in first} == {"sql"}


def test_unix_sockets_and_bare_users(db):
    with Lookup(lookup_sql_dsn=[db.socket_dsn()]) as l:
        assert ids(good(l.get("user@other.example", flags="l"))[0]) == [14, 13]
        assert ids(good(l.get("user@other.example"))[0]) == [13]
        assert ids(good(l.get("user+x@other.example", flags="ld"))[0]) == [14, 13]


def test_wblist_is_asked_with_its_argument(db):
    with Lookup(lookup_sql_dsn=[db.dsn()]) as l:
        friend, other, third = good(l.get(("friend@example.com", 11), ("x@example.com", 12), ("x@example.com", 99), clause="wblist"))
        assert [r["wb"] for r in friend] == [b"W", b"B"]
        assert [r["wb"] for r in other] == [b"5.5"]
        assert third == []


def test_a_front_goes_by_lists_of_senders(behind, suite, db):
    check_sql(behind, suite, db)


def test_a_clause_of_ones_own_has_all_placeholders(db):
    text = "SELECT email, '%k ?' AS quoted, id FROM users WHERE email IN (%a, %k) AND %l <> %d AND %u <> %e -- ?"
    with Lookup(lookup_sql_dsn=[db.dsn()], sql_clause={"sel_policy": text}) as l:
        records = good(l.get("user+ext@example.org", flags="d"))[0]
        assert {int(r["id"]) for r in records} == {10, 11, 12, 13}
        assert records[0]["quoted"] == b"%k ?"


def test_hostile_addresses_are_values_and_nothing_else(db):
    hostile = ["'; DROP TABLE users; --@example.org", 'quo\'te"@example.org', "a\\'b\\@example.org", "%k?%a$1@example.org",
               UTF8, b"\xff\xfe\xc3@example.org", "x" * 900 + "@example.org", "\\x41@example.org", "@", "'@'", "a@b@c@example.org"]
    with Lookup(lookup_sql_dsn=[db.dsn()]) as l:
        found = good(l.get(*hostile))
        assert ids(found[1]) == [16, 12, 13]
        assert ids(found[4]) == [15, 12, 13]
        assert found[4][0]["email"] == UTF8.encode()
        for i in (0, 2, 3, 5, 6, 7, 10):
            assert ids(found[i]) == [12, 13], hostile[i]
        good(l.get(*((address, 11) for address in hostile[2:]), clause="wblist"))
        assert l.stats()["connects_total"] <= 4


def test_octets_come_back_as_they_are(db):
    literal = {"pg": "'\\x00ff27225c'::bytea", "mysql": "x'00ff27225c'", "sqlite": "x'00ff27225c'"}[db.kind]
    large = "L" * 200
    db.sql(f"INSERT INTO policy (id, policy_name, octets) VALUES (3, '{large}', {literal});"
           "INSERT INTO users (id, policy_id, email) VALUES (20, 3, 'octets@example.org')")
    with Lookup(lookup_sql_dsn=[db.dsn()]) as l:
        record = good(l.get("octets@example.org"))[0][0]
        assert record["octets"] == b"\0\xff'\"\\"
        assert record["policy_name"] == large.encode()


def test_an_answer_that_is_too_large_is_a_failure(db):
    tables = ", ".join(f"users {name}" for name in "abcdefgh")  # millions of records
    wide = f"SELECT * FROM {tables} WHERE a.email NOT IN (%k)"
    with Lookup(lookup_sql_dsn=[db.dsn()], sql_clause={"sel_policy": wide, "sel_wblist": "SELECT 1 AS wb FROM users WHERE email IN (%k)"}) as l:
        answer = l.get("a@b.example")
        assert answer.rc == "limit" and "too large" in answer.error
        good(l.get(("user@example.org", 1), clause="wblist"))
        assert l.stats()["failures_total"] == 1
        if isinstance(db, MariaDB):  # it would wait a minute for somebody to take the rest
            mw.until("the server to stop writing", lambda: "NOT IN" not in db.asked())


def test_ten_thousand_users(db):
    users = [f"u{i}@many.example" for i in range(10000)]
    values = ",".join(f"({100000 + i}, 9, 1, '{user}')" for i, user in enumerate(users))
    db.sql(f"INSERT INTO users (id, priority, policy_id, email) VALUES {values}")
    with Lookup(lookup_sql_dsn=[db.dsn()], cache_time=3600) as l:  # however long the first round takes
        for _ in ("from the database", "from the cache"):
            requests = [l.ask(*users[at:at + 100]) for at in range(0, 10000, 100)]
            for number, request in enumerate(requests):
                for i, records in enumerate(good(l.answer(request))):
                    assert ids(records) == [100000 + number * 100 + i, 13]
        stats = l.stats()
        assert stats["queries_total"] == 20000 and stats["cached_total"] == 10000
        assert stats["cache_entries"] == 10000 and stats["waiting"] == stats["running"] == 0
    db.sql("DELETE FROM users WHERE id >= 100000")


# ------------------------------------------------------------------ cache

def test_answers_are_kept_for_their_time(db):
    db.sql("INSERT INTO users (id, email) VALUES (30, 'kept@example.org')")
    with Lookup(lookup_sql_dsn=[db.dsn()], cache_time=2) as l:
        assert ids(good(l.get("kept@example.org"))[0])[0] == 30
        assert good(l.get("kept@example.org", ("x@nowhere.example", 5))) and l.answer(str(l.counter)).how == "thread"
        db.sql("UPDATE users SET id = 31 WHERE id = 30")
        again = l.get("kept@example.org")
        if again.how == "at_once":  # a slow machine may be past its time already
            assert ids(good(again)[0])[0] == 30
        mw.until("the new record", lambda: ids(good(l.get("kept@example.org"))[0])[0] == 31)
    db.sql("DELETE FROM users WHERE id = 31")


def test_that_there_is_nothing_is_kept_too_and_differs_by_question(db):
    with Lookup(lookup_sql_dsn=[db.dsn()], cache_time=3600) as l:
        assert l.get(("a@nowhere.example", 5), clause="wblist").how == "thread"
        again = l.get(("a@nowhere.example", 5), clause="wblist")
        assert again.how == "at_once" and good(again) == [[]]
        assert l.get(("a@nowhere.example", 6), clause="wblist").how == "thread"
        assert l.get("a@nowhere.example").how == "thread"
        assert l.get("a@nowhere.example", flags="l").how == "thread"
        assert l.get("A@nowhere.example").how == "thread"  # a clause may look at the case
        assert l.get("a@nowhere.example", "a@nowhere.example").how == "at_once"
        assert l.reload(lookup_sql_dsn=[db.dsn()])["reload"] == "ok"
        assert l.get("a@nowhere.example").how == "thread"


def test_without_cache_time_every_mail_asks(db):
    with Lookup(lookup_sql_dsn=[db.dsn()], cache_time=0) as l:
        assert l.get("user@example.org").how == l.get("user@example.org").how == "thread"
        assert l.stats()["cache_entries"] == 0


# ------------------------------------------------------------------ slow

def test_a_slow_database_is_given_up_in_time(db):
    unlock = db.lock()
    with Lookup(lookup_sql_dsn=[db.dsn()], timeout=1, threads=2) as l:
        answer = l.get("user@example.org")
        assert answer.rc == "timeout" and answer.addresses == []
        unlock()
        comes_back(l)
        assert l.stats()["timeouts_total"] >= 1


def test_a_mail_may_have_less_time(db):
    unlock = db.lock()
    with Lookup(lookup_sql_dsn=[db.dsn()], timeout=300) as l:
        assert l.get("user@example.org", wait_ms=300).rc == "timeout"
        unlock()
        good(comes_back(l))


def test_cancelled_requests_are_not_answered_and_free_their_thread(db):
    unlock = db.lock()
    with Lookup(lookup_sql_dsn=[db.dsn()], timeout=300, threads=1) as l:
        runs, waits = l.ask("user@example.org"), l.ask("user+x@example.org")
        mw.until("a thread to take the first", lambda: l.stats()["running"] == 1)
        assert l.cancel(waits) == {"cancelled": waits} and l.cancel(runs) == {"cancelled": runs}
        mw.until("the thread to be free", lambda: l.stats()["running"] == 0)  # long before the 300 s
        unlock()
        good(comes_back(l))
        assert runs not in l.answers and waits not in l.answers
        assert l.stats()["cancelled_total"] == 2


def test_at_the_limit_of_the_queue_the_next_fails_at_once(db):
    unlock = db.lock()
    with Lookup(lookup_sql_dsn=[db.dsn()], timeout=300, threads=1, queue_limit=2) as l:
        first = l.ask("user@example.org")
        mw.until("a thread to take the first", lambda: l.stats()["running"] == 1)
        waiting = [l.ask(f"{i}@example.org") for i in range(2)]
        refused = l.get("3@example.org")
        assert refused.rc == "limit" and refused.how == "at_once"
        unlock()
        for request in [first, *waiting]:
            good(l.answer(request))
        good(l.get("3@example.org"))
        assert l.stats()["refused_total"] == 1


def test_the_end_comes_also_with_requests_in_flight(db):
    unlock = db.lock()
    with Lookup(lookup_sql_dsn=[db.dsn()], timeout=300, threads=2) as l:
        for i in range(10):
            l.ask(f"{i}@example.org")
        mw.until("two to run", lambda: l.stats()["running"] == 2)
    unlock()


def test_other_settings_while_requests_run(db):
    unlock = db.lock()
    with Lookup(lookup_sql_dsn=[db.dsn()], timeout=300, threads=1) as l:
        old = l.ask("user@example.org")
        mw.until("it to run", lambda: l.stats()["running"] == 1)
        assert l.reload(lookup_sql_dsn=["DBI:nosuch:x"])["reload"] == "configuration_error"
        assert l.reload(lookup_sql_dsn=[db.dsn()], threads=3, timeout=300,
                        sql_clause={"sel_policy": "SELECT 1 AS id, %a AS email"})["reload"] == "ok"
        assert ids(good(l.get("user@example.org"))[0]) == [1]
        unlock()
        assert ids(good(l.answer(old))[0]) == [11, 12, 13]
        assert ids(good(l.get("user@example.org"))[0]) == [1]  # what the old settings read was not kept
        assert l.reload()["reload"] == "ok"
        nothing = l.get("user@example.org")
        assert nothing.how == "at_once" and good(nothing) == [[]]


# ------------------------------------------------------------------ refused, dead, dying

def test_a_query_that_is_refused_is_a_failure_and_no_more(db):
    with Lookup(lookup_sql_dsn=[db.dsn()], threads=1,
                sql_clause={"sel_policy": "SELECT * FROM no_such_table WHERE email IN (%k)"}) as l:
        answer = l.get("user@example.org", "a@b.example")
        assert answer.rc == "protocol_error" and "no_such_table" in answer.error
        good(l.get(("a@example.com", 11), clause="wblist"))
        stats = l.stats()
        assert stats["connects_total"] == 1 and stats["connections_lost_total"] == 0
        assert l.get("user@example.org").how == "thread"  # failures are not kept


def test_a_clause_without_records_is_a_failure(db):
    with Lookup(lookup_sql_dsn=[db.dsn()], threads=1, sql_clause={"sel_policy": "DELETE FROM wblist WHERE 1=0 AND wb IN (%k)"}) as l:
        assert l.get("user@example.org").rc == "protocol_error"
        good(l.get(("a@example.com", 11), clause="wblist"))


def test_dead_at_start(db):
    db.kill()
    with Lookup(lookup_sql_dsn=[db.dsn()]) as l:
        answer = l.get("user@example.org")
        assert answer.rc == "gone" and "lookup_sql_dsn" in answer.error
        mw.until("a line in the log", lambda: "lookup_db_down" in l.tail())
        db.start()
        good(comes_back(l))
        assert "lookup_db_back" in l.tail()
        assert l.tail().count("lookup_db_down") == 1


def test_restarted_between_mails_nobody_notices(db):
    with Lookup(lookup_sql_dsn=[db.dsn()], cache_time=0) as l:
        good(l.get("user@example.org"))
        # One that finds nobody while it makes its first connection has them all wait for a moment.
        mw.until("every thread's connection", lambda: l.stats()["connects_total"] == 4)
        db.kill()
        db.start()
        for _ in range(8):  # every thread's connection is a dead one
            good(l.get("user@example.org"))


def test_dying_with_a_query_in_flight(db):
    if db.kind == "sqlite":
        pytest.skip("has no server")
    unlock = db.lock()
    with Lookup(lookup_sql_dsn=[db.dsn()], timeout=300, threads=2, cache_time=0) as l:
        requests = [l.ask("user@example.org") for _ in range(4)]
        mw.until("two to run", lambda: l.stats()["running"] == 2)
        db.kill()
        unlock()
        for request in requests:
            assert l.answer(request).rc == "gone"
        db.start()
        good(comes_back(l))


def test_the_list_is_tried_in_order(db):
    dead = f"DBI:Pg:database=x;host=127.0.0.1;port={mw.free_port()}"
    with Lookup(lookup_sql_dsn=[dead, f"DBI:mysql:x;host=127.0.0.1;port={mw.free_port()}", "DBI:SQLite:/no/such/file", db.dsn()]) as l:
        for i in range(10):
            good(l.get(f"{i}@example.org"))
        assert l.stats()["failures_total"] == 0


def test_the_first_of_the_list_gets_its_work_back(db):
    other = SQLite()
    try:
        other.sql("INSERT INTO users (id, email) VALUES (1, '@.')")
        db.kill()
        with Lookup(lookup_sql_dsn=[db.dsn(), other.dsn()], cache_time=0, failback_time=1) as l:
            assert ids(good(comes_back(l))[0]) == [1]
            db.start()
            mw.until(l.tail, lambda: ids(good(l.get("user@example.org"))[0]) == [11, 12, 13])  # no mail fails meanwhile
    finally:
        other.close()


@pytest.mark.parametrize("connect_timeout", [1, 30])
def test_a_silent_server_does_not_keep_the_next_from_its_turn(connect_timeout):
    other = SQLite()
    try:
        other.sql("INSERT INTO users (id, email) VALUES (1, '@.')")
        with Listener(False) as listener:
            silent = f"DBI:Pg:database=x;host=127.0.0.1;port={listener.port}"
            with Lookup(lookup_sql_dsn=[silent, other.dsn()], timeout=2, connect_timeout=connect_timeout, threads=1) as l:
                assert ids(good(comes_back(l))[0]) == [1]
    finally:
        other.close()


def test_a_wrong_password_is_told_without_the_password(db):
    if db.kind == "sqlite":
        pytest.skip("has no passwords")
    with Lookup(lookup_sql_dsn=[(db.dsn()[0], "mail", "hush-hush")]) as l:
        assert l.get("user@example.org").rc == "gone"
        assert "lookup_db_down" in l.tail() and "hush-hush" not in l.tail()


@pytest.mark.parametrize("ours", [True, False], ids=["its-authority", "another-authority"])
def test_certificates_are_verified_where_that_is_wanted(db, ours, tmp_path):
    if db.kind == "sqlite":
        pytest.skip("has no network")
    ca = db.authority.ca if ours else Authority(tmp_path / "ca").ca
    with Lookup(lookup_sql_dsn=[db.tls_dsn(ca)]) as l:
        assert l.get("user@example.org").rc == ("ok" if ours else "gone"), l.tail()


# ------------------------------------------------------------------ fakes: nobody speaks, or too soon not any more

class Listener:
    """Takes connections and says nothing, or ends them at once."""

    def __init__(self, ends):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.ends, self.held = ends, []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                taken, _ = self.socket.accept()
            except OSError:
                return
            if self.ends:
                taken.close()
            else:
                self.held.append(taken)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()
        for held in self.held:
            held.close()


def settings_for(kind, port):
    if kind == "ldap":
        return {"enable_ldap": True, "default_ldap": {"hostname": "127.0.0.1", "port": port, "base": "dc=x"}}
    return {"lookup_sql_dsn": [f"DBI:{kind}:database=x;host=127.0.0.1;port={port}"]}


@pytest.mark.parametrize("kind", ["Pg", "mysql", "ldap"])
@pytest.mark.parametrize("ends", [False, True], ids=["silent", "hangs-up"])
def test_servers_that_do_not_speak(kind, ends):
    with Listener(ends) as listener, Lookup(**settings_for(kind, listener.port), connect_timeout=1, threads=1) as l:
        answer = l.get("user@example.org")
        assert answer.rc == "gone", answer
        assert "lookup_db_down" in l.tail()


@pytest.mark.parametrize("kind", ["Pg", "ldap"])
def test_a_request_is_cancelled_while_a_connect_hangs(kind):
    with Listener(False) as listener, Lookup(**settings_for(kind, listener.port), connect_timeout=2, timeout=300, threads=1) as l:
        request = l.ask("user@example.org")
        l.cancel(request)
        mw.until("the thread to be free", lambda: l.stats()["running"] == 0 and l.stats()["waiting"] == 0)
        assert request not in l.answers


# ------------------------------------------------------------------ SQLite alone

def test_a_file_in_place_of_the_file_is_read():
    one, two = SQLite(), SQLite()
    try:
        one.sql("INSERT INTO users (id, email) VALUES (1, 'a@b.example')")
        two.sql("INSERT INTO users (id, email) VALUES (2, 'a@b.example')")
        with Lookup(lookup_sql_dsn=[one.dsn()], cache_time=0) as l:
            assert ids(good(l.get("a@b.example"))[0]) == [1]
            two.file.rename(one.file)
            for _ in range(8):
                assert ids(good(l.get("a@b.example"))[0]) == [2]
    finally:
        one.close()
        two.close()


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "x.db").write_bytes(b"not a database at all, " * 100)
    with Lookup(lookup_sql_dsn=[f"DBI:SQLite:{tmp_path}/x.db"]) as l:
        assert l.get("a@b.example").rc == "gone"


def test_nothing_is_written():
    db = SQLite()
    try:
        with Lookup(lookup_sql_dsn=[db.dsn()], sql_clause={
                "sel_policy": "INSERT INTO users (id, email) VALUES (1, %a) RETURNING id, email"}) as l:
            assert l.get("a@b.example").rc == "protocol_error"
    finally:
        db.close()


# ------------------------------------------------------------------ LDAP

def mails(records):
    return [dict(record.cells)["mail"] for record in records]


def test_entries_come_by_how_special_they_are(directory):
    with Lookup(**directory.settings()) as l:
        first, domain, nobody, null = good(l.get("User+Ext@example.org", "x@sub.example.net", "x@elsewhere.example", "", flags="d"))
        assert [r.cells[0] for r in first] and {r.source for r in first} == {"ldap"}
        assert len(first) == 3 and mails(first)[0] == b"user+ext@example.org" and mails(first)[2] == b"@."
        assert mails(domain) == [b"@."] == mails(nobody)
        assert mails(null) == [b"<>", b"@."]
        assert first[0]["amavisVirusLover"] == b"TRUE" and first[0]["amavisSpamKillLevel"] == b"4.5"
        assert {v for name, v in first[1].cells if name == "amavisBlacklistSender"} == {b"a@b.example", b".c.example"}
        assert l.get("User+Ext@example.org", flags="d").how == "at_once"
        assert l.get(("a@b.example", 1), clause="wblist").how == "at_once"  # LDAP has no such thing


def test_hostile_addresses_stay_inside_of_their_filter(directory):
    hostile = ["*@example.com", "x)(mail=*@example.com", "\\2a@example.com", "a*)(objectClass=*))(&(cn=*@example.com", UTF8,
               b"\xff@example.com", "x@*", "\x01\x02@example.com"]
    with Lookup(**directory.settings()) as l:
        assert [mails(records) for records in good(l.get(*hostile))] == [[b"@."]] * 4 + [mails(good(l.get(UTF8))[0])] + [[b"@."]] * 3


def test_the_domain_may_be_part_of_the_base(directory):
    directory.add(f"dn: ou=sub.example,{directory.base}\nobjectClass: organizationalUnit\nou: sub.example\n")
    with Lookup(**directory.settings(base=f"ou=%d,{directory.base}")) as l:
        known, unknown, hostile = good(l.get("a@sub.example", "a@no.such.example", "a@x,ou=*+b=c"))
        assert known == unknown == hostile == []


def test_sql_goes_before_ldap(directory, db):
    with Lookup(lookup_sql_dsn=[db.dsn()], **directory.settings()) as l:
        records = good(l.get("user+ext@example.org", flags="d"))[0]
        assert [r.source for r in records] == ["sql"] * 4 + ["ldap"] * 3
        db.kill()
        assert l.get("other@example.org").rc == "gone"  # half an answer is none
        db.start()


def test_a_directory_that_stops_and_goes_on(directory):
    with Lookup(**directory.settings(), timeout=1, cache_time=0) as l:
        good(l.get("user@example.org"))
        directory.process.send_signal(signal.SIGSTOP)
        try:
            assert l.get("user@example.org").rc == "timeout"
        finally:
            directory.process.send_signal(signal.SIGCONT)
        good(comes_back(l))


def test_a_directory_that_dies_and_comes_back(directory):
    with Lookup(**directory.settings(), cache_time=0) as l:
        good(l.get("user@example.org"))
        directory.kill()
        assert l.get("user@example.org").rc == "gone"
        directory.start()
        good(comes_back(l))


def test_a_directory_that_refuses(directory):
    with Lookup(**directory.settings(bind_password="wrong")) as l:
        assert l.get("user@example.org").rc == "gone" and "nvalid credentials" in l.tail()
    with Lookup(**directory.settings(query_filter="(&(objectClass=*)(mail=%m)")) as l:
        assert l.get("user@example.org").rc == "protocol_error"


def test_start_tls(directory, tmp_path):
    with Lookup(**directory.settings(tls=True, cafile=str(directory.authority.ca))) as l:
        assert mails(good(l.get("x@elsewhere.example"))[0]) == [b"@."]
    other = str(Authority(tmp_path / "ca").ca)
    with Lookup(**directory.settings(tls=True, cafile=other)) as l:
        assert l.get("x@elsewhere.example").rc == "gone"
    with Lookup(**directory.settings(tls=True, cafile=other, verify="none", sslversion="tlsv1.3")) as l:
        good(l.get("x@elsewhere.example"))


def test_the_second_server_of_the_list(directory):
    hosts = [f"127.0.0.1:{mw.free_port()}", f"127.0.0.1:{directory.port}"]
    with Lookup(**directory.settings(hostname=hosts)) as l:
        assert mails(good(l.get("x@elsewhere.example"))[0]) == [b"@."]
