"""Copies as rows of amavisd's tables, in real databases: whole or not at all, and no 2xx without them."""
import json
import re
import sqlite3
import subprocess
import urllib.request

import pytest

import mw
import mwdb
from mwmail import mail
from test_ampdp import Asked
from test_quarantine_methods import LARGE, NO_FILES

# amavisd's README.sql-pg and README.sql-mysql, the writing side.
TABLES = """
CREATE TABLE maddr (partition_tag INTEGER DEFAULT 0, id {serial}, email {octets} NOT NULL, domain VARCHAR(255) NOT NULL,
    CONSTRAINT part_email UNIQUE (partition_tag, email));
CREATE TABLE msgs (partition_tag INTEGER DEFAULT 0, mail_id {id} NOT NULL, secret_id {id}, am_id VARCHAR(20) NOT NULL,
    time_num INTEGER NOT NULL, time_iso {time} NOT NULL, sid INTEGER NOT NULL, policy VARCHAR(255) DEFAULT '',
    client_addr VARCHAR(255) DEFAULT '', size INTEGER NOT NULL, originating CHAR(1) DEFAULT ' ' NOT NULL, content CHAR(1),
    quar_type CHAR(1), quar_loc VARCHAR(255) DEFAULT '', dsn_sent CHAR(1), spam_level REAL, message_id VARCHAR(255) DEFAULT '',
    from_addr VARCHAR(255) DEFAULT '', subject VARCHAR(255) DEFAULT '', host VARCHAR(255) NOT NULL,
    PRIMARY KEY (partition_tag, mail_id));
CREATE TABLE msgrcpt (partition_tag INTEGER DEFAULT 0, mail_id {id} NOT NULL, rseqnum INTEGER DEFAULT 0 NOT NULL,
    rid INTEGER NOT NULL, is_local CHAR(1) DEFAULT ' ' NOT NULL, content CHAR(1) DEFAULT ' ' NOT NULL, ds CHAR(1) NOT NULL,
    rs CHAR(1) NOT NULL, bl CHAR(1) DEFAULT ' ', wl CHAR(1) DEFAULT ' ', bspam_level REAL, smtp_resp VARCHAR(255) DEFAULT '',
    PRIMARY KEY (partition_tag, mail_id, rseqnum));
CREATE TABLE quarantine (partition_tag INTEGER DEFAULT 0, mail_id {id} NOT NULL, chunk_ind INTEGER NOT NULL,
    mail_text {blob} NOT NULL, PRIMARY KEY (partition_tag, mail_id, chunk_ind));
"""
KINDS = {
    "SQLite": {"serial": "INTEGER PRIMARY KEY AUTOINCREMENT", "octets": "VARCHAR(255)", "id": "VARCHAR(16)", "time": "CHAR(16)",
               "blob": "BLOB"},
    "Postgres": {"serial": "SERIAL PRIMARY KEY", "octets": "BYTEA", "id": "BYTEA", "time": "TIMESTAMP WITH TIME ZONE", "blob": "BYTEA"},
    "MariaDB": {"serial": "BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY", "octets": "VARBINARY(255)", "id": "VARBINARY(16)",
                "time": "CHAR(16)", "blob": "BLOB"},
}
HEX = {"SQLite": "hex(mail_text)", "MariaDB": "hex(mail_text)", "Postgres": "encode(mail_text, 'hex')"}

TEXT = {"SQLite": "{}", "MariaDB": "{}", "Postgres": "encode({}, 'escape')"}


def rows(db, query):
    """Each row as one text, columns parted by tabs."""
    if isinstance(db, mwdb.SQLite):
        connection = sqlite3.connect(db.file, timeout=30)
        got = ["\t".join(str(cell) for cell in row) for row in connection.execute(query)]
        connection.close()
        return got
    return [line.replace("|", "\t") for line in db.sql(query + ";\n").splitlines() if line]


@pytest.fixture(params=list(KINDS))
def store(request, suite):
    db = getattr(mwdb, request.param)()
    db.kind = request.param
    db.sql(TABLES.format(**KINDS[request.param]))
    suite.sink()
    suite.set(**LARGE, bypass_virus_checks_maps=[1], bypass_banned_checks_maps=[1], quarantine_method_by_ccat={"CC_OVERSIZED": "sql:"}, storage_sql_dsn=[list(db.dsn())], partition_tag=7,
              **{"storage.timeout": 20, "sql_quarantine_chunksize_max": 4096})
    yield db
    db.close()


def send(suite, octets=None):
    return suite.send(octets or mail(b"text\r\n" * 200, message_id="<kept@example.com>"), sender="S@Sub.Example.com",
                      rcpts=["a@example.org", "b@example.org"]).code


def test_a_copy_is_rows_whole_or_not_there(store, suite):
    suite.start("smtp-front")
    assert send(suite) == 250
    row, = rows(store, "SELECT partition_tag, content, quar_type, message_id, client_addr FROM msgs")
    assert row.split("\t")[:4] == ["7", "O", "Q", "<kept@example.com>"]
    assert sorted(rows(store, "SELECT domain FROM maddr")) == ["com.example.sub", "org.example", "org.example"]
    assert rows(store, "SELECT rseqnum, content, ds, bl, wl FROM msgrcpt ORDER BY rseqnum") == [
        "1\tO\tD\tN\tN", "2\tO\tD\tN\tN"]
    assert rows(store, "SELECT count(*) FROM msgrcpt, maddr WHERE rid = id AND msgrcpt.partition_tag = maddr.partition_tag") == ["2"]
    # another: many chunks, NUL and 8-bit octets; the same addresses
    large = mail(b"text\r\n" * 200, message_id="<large@example.com>") + b"\x00\xff'\\\xe4 \x80" * 10000 + b"\r\n"
    assert send(suite, large) == 250
    chunks = [bytes.fromhex(h) for h in rows(store, f"SELECT {HEX[store.kind]} FROM quarantine, msgs WHERE quarantine.mail_id ="
                                             " msgs.mail_id AND message_id = '<large@example.com>' ORDER BY chunk_ind")]
    assert [len(c) for c in chunks[:-1]] == [4096] * (len(chunks) - 1) and len(chunks) > 15
    copy = b"".join(chunks)
    assert copy.endswith(large) and re.match(rb"X-Envelope-From: <S@Sub.Example.com>\r\nX-Envelope-To: <a@example.org>,\r\n <b@", copy)
    assert rows(store, "SELECT count(*) FROM maddr") == ["3"]
    # a failure in the middle leaves nothing of the mail
    store.sql("ALTER TABLE quarantine RENAME TO elsewhere;")
    assert send(suite) == 451
    assert rows(store, "SELECT count(*) FROM msgs") == ["2"] and rows(store, "SELECT count(*) FROM msgrcpt") == ["4"]
    store.sql("ALTER TABLE elsewhere RENAME TO quarantine;")
    assert send(suite) == 250
    # dead, and back: the kept connections are of no use then
    store.kill()
    assert send(suite) == 451
    store.start()
    mw.until("the database to be used again", lambda: send(suite) == 250)


def tool(suite, *args):
    return suite.tool("quarantine", *args, "-c", suite.folder / "mailweir.lua", timeout_s=60)


def look_after(suite, mail_id, original):
    """The command knows rows as it knows files, beside them."""
    copy = suite.folder / "quarantine/spam-sAbCdEfGhIj9"
    copy.write_bytes(b"X-Envelope-From: <x@example.com>\r\nX-Envelope-To: <y@example.org>\r\nX-Quarantine-ID: <sAbCdEfGhIj9>\r\n" + mail())

    def listed(*args):
        done = tool(suite, *(args or ("list",)), "--json")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    mw.until("the file to be indexed", lambda: tool(suite, "verify", "--repair").returncode == 0 and len(listed()) == 2)
    assert [r["quar_type"] for r in listed()] == ["F", "Q"] and [r["quar_type"] for r in listed("list", "--oldest")] == ["Q", "F"]
    assert [r["quar_type"] for r in listed("list", "--limit=1", "--offset=1")] == ["Q"]
    row, = listed("search", "--sender=s@sub.example.com", "--recipient=@example.org", "--category=oversized", "--released")
    assert (row["mail_id"], row["file"], row["status"], row["recipients"]) == (mail_id, "sql:7", "released", ["a@example.org", "b@example.org"])
    for none in (["--sender=s@example.com"], ["--kept", "--sender=s@sub.example.com"], ["--category=virus"], ["nowhere at all"]):
        assert listed("search", *none) == [], none
    shown = tool(suite, "show", mail_id).stdout
    assert "file        sql:7" in shown and "X-Quarantine-ID: <" in shown and "text" not in shown
    raw = subprocess.run([str(mw.BIN / "mailweir"), "quarantine", "show", mail_id, "--raw", "-c", str(suite.folder / "mailweir.lua")],
                         capture_output=True, check=True).stdout
    assert raw.endswith(original) and b"X-Quarantine" not in raw
    assert "no mail" in tool(suite, "show", "nosuchmail").stderr
    assert "already released" in tool(suite, "release", mail_id).stdout
    assert send(suite) == 250
    other, = (r["mail_id"] for r in listed() if r["quar_type"] == "Q" and r["mail_id"] != mail_id)  # rows know seconds, files more
    assert tool(suite, "delete", other).stdout == f"{other}: deleted sql:7\n" and len(listed()) == 2
    assert tool(suite, "delete", other).returncode == 1 and f" delete {other} sql:7 " in (suite.folder / "quarantine/audit.log").read_text()


def test_rows_are_released_as_files_are(store, suite):
    asked = Asked(suite)
    asked.bank["auth_required_release"] = False
    suite.set(quarantine__release_rescan=False)
    asked.start(services=())
    original = mail(b"text\r\n" * 2000 + b"\x00\xff'\\\xe4 \x80" * 3000 + b"\r\n", message_id="<kept@example.com>")
    assert send(suite, original) == 250
    mail_id, secret, tag = rows(store, f"SELECT {TEXT[store.kind].format('mail_id')}, {TEXT[store.kind].format('secret_id')}, partition_tag"
                                " FROM msgs")[0].split("\t")

    def ask(**lines):
        with asked.client() as c:
            return c.ask(("request", "release"), ("mail_id", mail_id), *lines.items())

    for wrong, why in (({"secret_id": "AAAAAAAAAAAAAAAA"}, "secret_id"), ({"quar_type": "Z"}, "no such mail"), ({"partition_tag": "8"}, "no such mail"),
                       ({"partition_tag": "x"}, "number"), ({"quar_type": "M"}, "mailbox")):
        assert why in ask(**wrong).text, (wrong, ask(**wrong))
    answer = ask(secret_id=secret, partition_tag=tag, recipient="<a@example.org>")
    assert [v[:3] for v in answer.all("setreply")] == ["250"]
    row, got = suite.sinks[0].index()[-1], suite.sinks[0].last()[1]
    assert (row["sender"], row["rcpts"]) == ("S@Sub.Example.com", ["a@example.org"]) and got.endswith(original)
    mw.until("the rows to say so", lambda: rows(store, "SELECT rseqnum FROM msgrcpt WHERE rs = 'R'") == ["1"])
    replies = ask().all("setreply")
    assert "already released" in replies[0] and "already released" not in replies[1] and suite.sinks[0].index()[-1]["rcpts"] == ["b@example.org"]
    # another host with the same database knows it by the rows alone
    (suite.folder / "quarantine/audit.log").unlink()
    (suite.folder / "quarantine/index.sqlite").unlink()
    mw.until("both marked", lambda: rows(store, "SELECT count(*) FROM msgrcpt WHERE rs = 'R'") == ["2"])
    assert all("already released" in r for r in ask().all("setreply"))
    look_after(suite, mail_id, original)
    # a piece that is gone: not a shorter mail
    store.sql("DELETE FROM quarantine WHERE chunk_ind = 3;")
    assert "a piece of it is missing" in ask(again="yes").text
    store.sql("ALTER TABLE quarantine RENAME TO elsewhere;")
    answer = ask(again="yes")
    assert answer.value == "tempfail" and "does not answer" in answer.text
    assert suite.sinks[0].count() == 2
    store.sql("ALTER TABLE msgs RENAME TO elsewhere2;")
    done = tool(suite, "list")
    assert done.returncode == 1 and "not among these" in done.stderr, "a list that is not whole says so"


def test_an_address_longer_than_its_column_is_released_once(store, suite):
    asked = Asked(suite)
    asked.bank["auth_required_release"] = False
    suite.set(quarantine__release_rescan=False)
    asked.start(services=())
    long = "x" * 150 + "." + "y" * 150 + "@example.org"
    assert suite.send(mail(b"text\r\n" * 200), rcpts=[long, "b@example.org"]).code == 250
    mail_id, = rows(store, f"SELECT {TEXT[store.kind].format('mail_id')} FROM msgs")
    for again in (False, True):
        with asked.client() as c:
            replies = c.ask(("request", "release"), ("mail_id", mail_id)).all("setreply")
        assert [("already released" in r) for r in replies] == [again, again], replies
        mw.until("both marked", lambda: rows(store, "SELECT count(*) FROM msgrcpt WHERE rs = 'R'") == ["2"])
        # what is left is what another host knows
        for name in ("audit.log", "index.sqlite"):
            (suite.folder / "quarantine" / name).unlink(missing_ok=True)
    assert suite.sinks[0].index()[-1]["rcpts"] == [long, "b@example.org"] and suite.sinks[0].count() == 1


@pytest.mark.parametrize("store", ["SQLite"], indirect=True)
@pytest.mark.parametrize("folder", [True, False], ids=["with a folder", "without"])
def test_until_the_rows_say_who_has_got_it_nobody_else_releases_it(store, suite, folder):
    asked = Asked(suite)
    asked.bank["auth_required_release"] = False
    suite.set(quarantine__release_rescan=False, http__listen=f"127.0.0.1:{mw.free_port()}")
    if not folder:
        suite.set(QUARANTINEDIR="", **NO_FILES)
    asked.start(services=())
    assert send(suite) == 250
    mail_id, = rows(store, "SELECT mail_id FROM msgs")

    def ask():
        with asked.client() as c:
            return c.ask(("request", "release"), ("mail_id", mail_id))

    other = sqlite3.connect(store.file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert [v[:3] for v in ask().all("setreply")] == ["250", "250"]
    assert "at this moment" in ask().text
    other.execute("ROLLBACK")
    other.close()
    mw.until("the rows to say so", lambda: all("already released" in r for r in ask().all("setreply")))
    assert suite.sinks[0].count() == 1
    page = urllib.request.urlopen(f"http://{suite.settings['http.listen']}/metrics", timeout=10).read().decode()
    assert "mailweir_quarantine_index_dropped_total 0\n" in page, "five tries without a folder"


def test_without_a_database_sql_is_refused_at_load(suite):
    suite.set(virus_quarantine_method="sql:", forward_method="smtp:[127.0.0.1]:9")
    front = suite.start("smtp-front", wait=False)
    front.popen.wait(60 * mw.SLOW)
    assert front.popen.returncode != 0 and "storage_sql_dsn names no database" in front.log(), front.log()
