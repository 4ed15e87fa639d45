"""White and black lists of senders: those of SQL users in real databases, then LDAP's, then the tables of the settings."""
import re

import mwhop
from mwdb import Ldap, SQLite
from mwmail import mail

behind = mwhop.behind  # the fixture

A, B, L = "a@lists.example", "b@lists.example", "l@lists.example"
ROWS = r"""
INSERT INTO users (id, priority, email, local) VALUES (21, 9, 'a@lists.example', 'Y'), (22, 5, '@lists.example', 'Y');
INSERT INTO mailaddr (id, priority, email) VALUES (21, 9, 'friend@lists.com'), (22, 5, '@lists.com'), (23, 9, 'neutral@static.example'),
    (24, 5, '@.soft.example'), (25, 9, 'odd@example.net'), (26, 9, '@'), (27, 9, 'both@example.net');
INSERT INTO wblist (rid, sid, wb) VALUES (21, 21, 'W'), (21, 22, 'B '), (21, 23, ' '), (21, 24, ' +2.5 '), (22, 24, '-1.25'),
    (21, 25, '5,5'), (22, 26, 'n'), (22, 27, 'N'), (22, 22, 'Y');
"""
# (envelope's sender, From, recipient, what its X-Spam-Status says)
CASES = [
    ("friend@lists.com", None, A, "WHITELISTED"),
    ("Friend@Lists.COM", None, A, "WHITELISTED"),
    ("x@lists.com", None, A, "BLACKLISTED"),  # the first user's word
    ("x@lists.com", None, B, "WHITELISTED"),
    ("neutral@static.example", None, A, ""),
    ("neutral@static.example", None, B, "BLACKLISTED"),
    ("x@static.example", None, A, "BLACKLISTED"),
    ("x@a.soft.example", None, A, "AM.WBL=1.25"),
    ("x@a.soft.example", None, B, "AM.WBL=-1.25"),
    ("points@example.net", None, A, "AM.WBL=3"),
    ("x@a.soft.example", "points@example.net", B, "AM.WBL=-1.25"),  # the tables' points only where SQL has none
    ("odd@example.net", None, A, "WHITELISTED"),
    ("", None, A, "BLACKLISTED"),
    ("both@example.net", "friend@lists.com", A, "BLACKLISTED WHITELISTED"),
    ("nobody@example.net", "friend@lists.com", A, "WHITELISTED"),
    ("nobody@example.net", None, A, ""),
]
LDAP_CASES = [
    ("good@ldap.example", None, L, "WHITELISTED"),
    ("Evil@LDAP.example", None, L, "BLACKLISTED WHITELISTED"),
    ("x@static.example", None, L, "BLACKLISTED"),
    ("both@example.net", None, L, "BLACKLISTED"),  # SQL's word, and no more
    ("good@ldap.example", None, A, ""),
]


def said(octets):
    status = re.search(rb"(?ms)^X-Spam-Status: (.*?)\r\n(?![ \t])", octets)[1].decode()
    words = re.findall(r"BLACKLISTED|WHITELISTED|AM\.WBL=[-0-9.]+", status)
    return " ".join(words)


def check(suite, hop, cases):
    for sender, author, rcpt, wanted in cases:
        n = len(hop.mails)
        r = suite.send(mail(sender=author or "someone@example.edu"), sender=sender, rcpts=(rcpt,))
        assert r.code == 250, (sender, r)
        assert said(hop.mails[n].octets) == wanted, (sender, author, rcpt)


SETTINGS = {"local_domains_maps": [".lists.example"], "sa_tag_level_deflt": -999, "sa_kill_level_deflt": 100, "checks__spam": False,
    "blacklist_sender_maps": [[".static.example"]], "score_sender_maps": [{".": [{"points@example.net": 3}]}]}


def check_sql(behind, suite, server):
    """Of a database with ROWS: test_db_lookups does it with those that have to be started, too."""
    hop = behind({**SETTINGS, "lookup_sql_dsn": [server.dsn()]})
    check(suite, hop, CASES)
    # Two recipients of different minds in one transaction: each has a copy of its own.
    n = len(hop.mails)
    assert suite.send(mail(sender="someone@example.edu"), sender="x@lists.com", rcpts=(A, B)).code == 250
    assert {m.rcpts[0]: said(m.octets) for m in hop.mails[n:]} == {A: "BLACKLISTED", B: "WHITELISTED"}


def test_ldap_comes_after_sql(behind, suite):
    sql, ldap = SQLite(), Ldap()
    try:
        sql.sql(ROWS)
        ldap.account("l", [L], amavisWhitelistSender=["@ldap.example", "both@example.net"], amavisBlacklistSender=["evil@ldap.example"])
        hop = behind({**SETTINGS, **ldap.settings(), "lookup_sql_dsn": [sql.dsn()]})
        check(suite, hop, LDAP_CASES)
    finally:
        sql.close()
        ldap.close()


def test_a_mail_that_all_have_on_lists_is_not_scored(behind, suite):
    """What SQL says is known before the spam check is planned."""
    sql = SQLite()
    try:
        sql.sql(ROWS)
        hop = behind({**SETTINGS, "checks__spam": True, "lookup_sql_dsn": [sql.dsn()]})
        assert suite.send(mail(sender="someone@example.edu"), sender="friend@lists.com", rcpts=(A,)).code == 250
        assert said(hop.mails[0].octets) == "WHITELISTED"
        assert b"X-Amavis-Alert" not in hop.mails[0].octets  # nobody missed a spam check
    finally:
        sql.close()
