"""Lookup tables in a running front: files that change, functions that fail, settings that are refused; and what is asked of
them from the command line."""
import os
import signal

import mw
from mwlua import Raw
from mwmail import mail

PAST = 1_700_000_000  # a file that nobody is writing any more


def put(path, text):
    """Another version each time, by its clock too."""
    new = path.with_suffix(".new")
    new.write_text(text)
    put.version += 1
    os.utime(new, (PAST, PAST + put.version))
    os.rename(new, path)


put.version = 0


def is_local(s, address):
    """What the record of a mail to that address says."""
    is_local.count += 1
    name = f"<lookup-{is_local.count}@example.com>"
    assert s.send(mail(message_id=name), rcpts=(address,)).code == 250
    found = lambda: [x for x in s.records() if x.get("message_id") == name]  # noqa: E731
    mw.until("the record", found)
    return found()[0]["recipients"][0]["rcpt_is_local"]


is_local.count = 0


def started(suite, table, **settings):
    suite.sink()
    suite.set(local_domains_maps=table, bypass_virus_checks_maps=[True], lookup__file_interval=1, **settings)
    return suite.start_all(services=("logger",))


def test_a_file_that_changes_is_read_while_mail_runs(suite):
    domains = suite.folder / "domains"
    put(domains, ".example.org # ours\n")
    s = started(suite, [Raw(f'read_hash("{domains}")')])
    assert is_local(s, "a@x.example.org")
    assert not is_local(s, "a@example.net")
    put(domains, ".example.net 1\n")
    s.front.wait_log(" lookup_file_read ")
    assert is_local(s, "a@example.net")
    assert not is_local(s, "a@example.org")
    put(domains, "\0")  # nothing that a table could be
    s.front.wait_log(" lookup_file_bad .*a NUL octet")
    assert is_local(s, "a@example.net")
    domains.unlink()
    s.front.wait_log(" lookup_file_bad .*No such file")
    assert is_local(s, "a@example.net")
    put(domains, ".example.com\n")
    s.front.wait_log(" lookup_file_read ", count=2)
    assert is_local(s, "a@example.com")


def test_a_function_that_fails_leaves_the_mail_to_the_next_table(suite):
    s = started(suite, [Raw("function(a) if a == 'loop@example.org' then while true do end end\n"
                            "  if a == 'yes@example.net' then return true end end"), [".example.org"]])
    assert is_local(s, "loop@example.org")
    assert is_local(s, "yes@example.net")
    assert not is_local(s, "no@example.net")
    s.front.wait_log(r' lookup_failed map=local_domains_maps .*key="loop@example.org" .*takes more than')


def test_wrong_tables_are_refused_at_hup_and_the_old_ones_stay(suite):
    s = started(suite, [[".example.org"]])
    for table, says in ((Raw('new_RE { "(" }'), "missing closing"), (Raw('read_hash("/nonexistent/x")'), "No such file"),
                        (Raw('dnsl "zen.example"'), "DNS lists")):
        s.set(local_domains_maps=[table])
        s.conf_path("smtp-front", "1")
        s.front.signal(signal.SIGHUP)
        s.front.wait_log(says)
        assert is_local(s, "a@example.org")
    s.set(local_domains_maps=[[".example.net"]])
    s.conf_path("smtp-front", "1")
    s.front.signal(signal.SIGHUP)
    s.front.wait_log(" settings_reloaded ")
    assert is_local(s, "a@example.net")


def test_the_command_tells_which_table_decides(suite):
    domains = suite.folder / "domains"
    put(domains, ".example.com\n")
    suite.set(local_domains_maps=[["!.test.example.org", ".example.org"], {"user@example.net": True},
                                  Raw(f'read_hash("{domains}")')], recipient_delimiter="+")
    suite.env["MAILWEIR_CONFIG"] = str(suite.conf_path("smtp-front", "1"))

    def lookup(*args):
        done = suite.tool("lookup", *args)
        return done.returncode, done.stdout.splitlines(), done.stderr

    code, lines, _ = lookup("local_domains_maps", "User+x@Example.NET")
    assert code == 0
    assert lines[0] == "local_domains_maps for User+x@Example.NET"
    assert lines[1].endswith(": nothing") and " list " in lines[1]
    assert lines[2].endswith(': "user@example.net" -> true') and " hash " in lines[2]
    assert lines[3] == "= true"
    code, lines, _ = lookup("local_domains_maps", "a@b.test.example.org")
    assert lines[1].endswith(': ".test.example.org" -> false') and lines[2] == "= false"
    code, lines, _ = lookup("local_domains_maps", "a@b.example.com")
    assert str(domains) in lines[3] and lines[4] == "= true"
    assert lookup("local_domains_maps", "")[1][-1] == "= undef"
    code, lines, _ = lookup("inet_acl", "127.0.0.1")
    assert lines[1].endswith(': "127.0.0.1" -> true') and " networks " in lines[1]
    assert lookup("inet_acl", "192.0.2.1")[1][-1] == "= undef"
    assert lookup("log_level", "a@b")[0] == 1
    assert lookup("local_domains_maps")[0] == 64
    assert lookup("local_domains_maps", "a@b", "--bank", "NIX")[0] == 1
