"""mailweir import-amavisd: configurations as sites have them, that of Debian's package, and odd ones."""
import os
import re
import shutil
import subprocess

import mw
import pytest

DATA = mw.ROOT / "tests/data/amavisd"
ENV = {k: v for k, v in os.environ.items() if not k.startswith("MAILWEIR_")}
LIMIT_S = 60 * mw.SLOW


def mailweir(*args, **env):
    return subprocess.run([str(mw.BIN / "mailweir"), *map(str, args)], env={**ENV, **env}, capture_output=True,
                          text=True, errors="surrogateescape", timeout=LIMIT_S, check=False)


class Imported:
    """The result of one run: it loads, and its values can be asked for."""

    def __init__(self, folder, *args, **env):
        self.file = folder / "mailweir.lua"
        done = mailweir("import-amavisd", "-o", self.file, *args, **env)
        assert done.returncode == 0, done.stderr
        self.said = done.stderr
        assert "the configuration says" not in self.said
        self.text = self.file.read_text(errors="surrogateescape")
        checked = mailweir("check-config", "--elsewhere", self.file)
        assert checked.returncode == 0, checked.stderr

    def __getitem__(self, name):
        bank, _, setting = name.rpartition("/")
        done = mailweir("config", "get", setting, *(["--bank", bank] if bank else []), MAILWEIR_CONFIG=str(self.file))
        assert done.returncode == 0, done.stderr
        return done.stdout.rstrip("\n")

    def is_default(self, name):
        done = mailweir("config", "get", name, "--origin", MAILWEIR_CONFIG=str(self.file))
        return done.stdout.endswith("\tdefault\n")

    def has(self, **values):
        got = {name: self[name] for name in values}
        assert got == values

    def tells(self, kind):
        """Of the report, which stands in the file as comments, and on stderr, too: name to the rest of its line."""
        lines = re.findall(rf"^-- {kind}: (.*)$", self.text, re.M)
        assert all(f"mailweir: {kind}: {line}\n" in self.said for line in lines)
        return {re.split(r" \(|: ", line)[0]: line for line in lines}

    def missed(self):
        return set(self.tells("not carried"))

    def unneeded(self):
        return {name for line in re.findall(r"^-- not needed: ([^:]*(?:\{[^}]*\})?[^:]*):", self.text, re.M)
                for name in line.split(", ")}

    def names_all(self, *names):
        """Each is carried, or the report says what became of it."""
        told = self.missed() | self.unneeded()
        silent = [n for n in names if n not in told and not re.search(rf"^\t*{re.escape(n)}(_maps)? = ", self.text, re.M)]
        assert not silent


def data(name):
    return DATA / f"{name}.conf"


def variables_of(file):
    """Names that a file assigns to."""
    text = re.sub(r"^\s*#.*$", "", file.read_text(), flags=re.M)
    return set(re.findall(r"^\s*[$@%](\w+) *=[^=~>]", text, re.M))


def test_a_small_content_filter(tmp_path):
    got = Imported(tmp_path, data("small"))
    got.has(log_level="1", myhostname='"mail.office.example"', sa_tag_level_deflt="-999", sa_tag2_level_deflt="5",
            sa_kill_level_deflt="8", sa_mail_body_size_limit="409600", final_spam_destiny="D_REJECT", final_banned_destiny="D_REJECT",
            QUARANTINEDIR='"/var/spool/amavisd/quarantine"',
            local_domains_maps='{ { ".office.example", "shop.example" } }')
    got.has(virus_admin_maps='{ "virusalert@office.example" }')
    got.has(av_scanners='{ { name = "ClamAV-clamd", type = "clamd", socket = "/var/run/clamav/clamd.sock" } }')
    assert {"max_servers", "daemon_user", "decoders", "keep_decoded_original_maps"} <= got.unneeded()
    got.names_all(*variables_of(data("small")) - {"inet_socket_port", "syslog_facility",
        "final_virus_destiny", "final_bad_header_destiny"})
    assert got.is_default("inet_socket_port") and got.is_default("syslog_facility") and got.is_default("final_virus_destiny")


def test_submission_is_signed(tmp_path):
    got = Imported(tmp_path, data("submission"))
    got.has(enable_dkim_signing="true", enable_dkim_verification="true", inet_socket_port="{ 10024, 10026 }",
            interface_policy='{ ["10026"] = "ORIGINATING" }', sa_tag_level_deflt="-1000",
            inet_acl='{ "127.0.0.1", "[::1]", "192.0.2.0/24", "10/8" }')
    assert got["ORIGINATING/originating"] == got["MYNETS/originating"] == "true"
    assert got["ORIGINATING/forward_method"] == '{ "smtp:[127.0.0.1]:10027" }'
    assert got["MYNETS/spam_kill_level_maps"] == "{ 12.5 }"
    keys = got["dkim_key"]
    assert 'selector = "mail2024"' in keys and "ttl = 1814400" in keys and 'c = "relaxed/simple"' in keys
    assert 'dkim_key("example.net", "mail2024", "/var/db/dkim/example.net.pem", { c = "relaxed/relaxed", t = "s"' in got.text
    got.has(final_spam_destiny="D_BOUNCE")
    assert got["ORIGINATING/allow_disclaimers"] == "true"
    assert "policy_bank{'MYNETS'}{os_fingerprint_method}" in got.unneeded()


def test_two_banks_by_port_and_a_socket(tmp_path):
    got = Imported(tmp_path, data("two_banks"))
    got.has(unix_socketname='{ "/var/amavis/amavisd.sock" }', unix_socket_mode='"0660"',
            interface_policy='{ ["10026"] = "CUSTOMER", ["10028"] = "NOCHECKS", SOCK = "AM.PDP-SOCK" }',
            spam_quarantine_method='""', requeue_method='{ "smtp:[127.0.0.1]:25" }')
    assert got["AM.PDP-SOCK/protocol"] == '"AM.PDP"' and got["AM.PDP-SOCK/auth_required_release"] == "false"
    assert got["CUSTOMER/spam_tag2_level_maps"] == "{ 6.9 }" and got["CUSTOMER/final_virus_destiny"] == "D_REJECT"
    assert got["CUSTOMER/forward_method"] == '{ "smtp:*:*" }' and got["CUSTOMER/smtpd_timeout"] == "300"
    assert got["NOCHECKS/bypass_virus_checks_maps"] == "{ true }"
    missing = got.tells("not carried")
    assert "no bank FORGOTTEN" in missing["interface_policy{'10030'}"]
    assert "amavisd has no such setting" in missing["policy_bank{'CUSTOMER'}{no_such_key}"]
    assert "amavisd ignores this name" in missing["policy_bank{'CUSTOMER'}{sa_kill_level_deflt}"]
    assert got["CUSTOMER/spam_kill_level_maps"] == '{ { ["."] = 9, ["vip@isp.example"] = 20 } }'
    assert "in a bank: there it is defang_maps_by_ccat" in missing["policy_bank{'CUSTOMER'}{defang_by_ccat}"]
    assert "virus_quarantine_method" in missing
    assert "policy_bank{'CUSTOMER'}{max_servers}" in got.unneeded()
    assert ":47)" in missing["virus_quarantine_method"], "the line that set it"


def test_a_panel_with_its_sql(tmp_path):
    got = Imported(tmp_path, data("sql_panel"))
    got.has(redis_logging_key='"amavis-log"', penpals_bonus_score="8", final_spam_destiny="D_DISCARD")
    assert got["storage_redis_dsn"] == '{ { db_id = 1, server = "127.0.0.1:6379" } }', "no password is in it"
    assert "ttl = 864000" in got["dkim_key"], "the domain's own option goes before that of all"
    assert got["AM.PDP-INET/inet_acl"] == '{ "127.0.0.1", "[::1]" }'
    got.has(virus_quarantine_method='"sql:"', spam_quarantine_method='"sql:"')
    got.names_all("lookup_sql_dsn", "storage_sql_dsn", "virus_quarantine_method", "timestamp_fmt_mysql")
    assert "sql_clause" in got.text or "sql_select_policy" in got.missed()
    if "lookup_sql_dsn" in got.missed():
        assert "secret-word" not in got.text
    assert "secret-word" not in got.said


def test_ldap_and_modules_that_are_not_here(tmp_path):
    got = Imported(tmp_path, data("ldap"))
    got.has(inet_socket_bind='{ "*" }', smtpd_message_size_limit="52428800", child_timeout="300",
            smtpd_tls_key_file='"/etc/ssl/private/filter.key"', tls_security_level_in='"may"',
            forward_method='{ "smtp:[192.0.2.25]:10025", "smtp:[192.0.2.26]:10025" }')
    assert "SQL or LDAP (q_ldap_b)" in got.tells("not carried")["local_domains_maps"]
    got.names_all("default_ldap", "enable_ldap", "partition_tag")
    assert "custom_init(...)" in got.text
    assert "ldap-secret-word" not in got.said


def test_rules_for_attachments(tmp_path):
    got = Imported(tmp_path, data("banned"))
    got.has(MAXLEVELS="10", MAXFILES="3000", MIN_EXPANSION_QUOTA="524288", MAX_EXPANSION_QUOTA="1073741824")
    got.names_all("banned_rules", "banned_filename_re", "banned_filename_maps", "banned_namepath_re",
                  "bypass_banned_checks_maps", "virus_name_to_spam_score_maps", "final_banned_destiny")
    got.has(virus_name_to_policy_bank_maps='{ new_RE({ { "(?i)^Phishing\\\\.", "PHISH" } }), { ["Eicar-Signature"] = 1 }, "PHISH" }')
    assert got["PHISH/final_virus_destiny"] == "D_PASS"
    first = '{ ["sandbox@bank.example"] = true }'
    if "new_RE" in got["bypass_virus_checks_maps"]:
        assert "(?i)^audit@" in got["bypass_virus_checks_maps"]
    else:  # what stands behind a table that is missing must not answer in its place
        assert got["bypass_virus_checks_maps"] == f"{{ {first} }}"
        assert "incomplete: table 2" in got.tells("differs")["bypass_virus_checks_maps"]


def test_a_host_of_mailing_lists(tmp_path):
    got = Imported(tmp_path, data("lists"))
    got.has(local_domains_maps='{ { ".lists.example" }, { ["gone.example"] = false, ["old.example"] = true } }',
            sa_kill_level_deflt="1000", X_HEADER_TAG='"X-Lists-Scanned"', smtpd_timeout="120")
    assert got["MLIST-NOCHECKS/bypass_decode_parts"] == "true"
    assert got["MLIST-NOCHECKS/forward_method"] == '{ "smtp:[::1]:10025" }'
    assert got["WHITELIST/bypass_spam_checks_maps"] == "{ true }"
    assert "9999 became 1000" in got.tells("differs")["sa_kill_level_deflt"]
    assert got["author_to_policy_bank_maps"] == (
        '{ { [".partner.example/@lists.example"] = "WHITELIST,MILD_WHITELIST", [".shop.example"] = "WHITELIST", '
        '["daily@stars.example"] = "MILD_WHITELIST", ["ours.example"] = 1, ["uni.example"] = "WHITELIST" }, '
        '{ "known.example", "!.bad.example" } }')
    got.names_all("signed_header_fields", "recipient_delimiter")
    assert got.is_default("soft_bounce")


def test_settings_in_several_layers(tmp_path):
    got = Imported(tmp_path, data("layers"))
    got.has(interface_policy='{ ["10026"] = "ORIGINATING", ["[127.0.0.1]:10028"] = "STRICT" }', sa_tag2_level_deflt="1000")
    assert got.is_default("final_unchecked_destiny"), "the table does not ask for it: CC_CATCHALL's"
    assert got["STRICT/final_virus_destiny"] == "D_TEMPFAIL"
    assert got["STRICT/final_spam_destiny"] == got["STRICT/final_unchecked_destiny"] == "D_REJECT", "REPLACE: CC_CATCHALL's"
    assert got["ORIGINATING/virus_lovers_maps"] == '{ { "lab@layers.example" } }'
    assert "policy_bank{'ORIGINATING'}{final_spam_destiny}" in got.unneeded()
    assert "on bank STRICT" in got.tells("differs")["policy_bank{'ORIGINATING'}{final_virus_destiny}"]
    policy = got["client_ipaddr_policy"]
    assert '"PARTNER, MYNETS"' in policy and '{ { "203.0.113.7" }, "" }' in policy and "10.1.2.3" not in policy
    assert "no bank A,B" in got.tells("not carried")["interface_policy{'10028'}"]


def test_before_the_queue(tmp_path):
    got = Imported(tmp_path, data("prequeue"))
    got.has(inet_socket_port='{ 10024, "[::1]:10010" }', unix_socketname='{ "/var/amavis/rel.sock" }',
            final_spam_destiny="D_REJECT", final_virus_destiny="D_DISCARD", myauthservid='"auth.mx.example"')
    # The table by category was replaced: the bank's own variables are not asked any more.
    assert got["PROXY-MX/final_virus_destiny"] == "D_DISCARD"
    assert "policy_bank{'PROXY-MX'}{final_virus_destiny}" in got.unneeded()
    assert got["PROXY-MX/forward_method"] == '{ "smtp:[::1]:10011" }' and got["PROXY-MX/child_timeout"] == "90"
    assert got["AM.PDP-SOCK/haproxy_target_enabled"] == "false", "the front refuses it before AM.PDP"
    assert 'type = "clamd"' in got["av_scanners"] and 'infected = "Virus .*? found"' in got["av_scanners"]
    assert got["spam_quarantine_method"] == '"local:spam-%b-%m.gz"'
    assert "final_unchecked_destiny" not in got.missed(), "sub { c('...') } is a reference, not code"


def test_lists_of_senders(tmp_path):
    (tmp_path / "local_domains").write_text(".firm.example\nother.example  1 # a comment\n\n# nothing\n")
    (tmp_path / "no_spam_check").write_text("a@firm.example\r\n.quiet.example # why\n")
    (tmp_path / "whitelist").write_text('"odd # name"@x.example\n.good.example 1\n')
    (tmp_path / "blacklist").write_text("bad.example\n")
    got = Imported(tmp_path, data("senders"), MW_TEST_TABLES=str(tmp_path))
    got.has(enable_ip_repu="false", ip_repu_ignore_networks='{ "192.0.2.0/24", "10/8" }', penpals_bonus_score="7.5",
            penpals_threshold_high="6.31")
    domains = got["local_domains_maps"]
    assert "read_hash" in domains or domains == '{ { [".firm.example"] = true, ["other.example"] = true } }'
    assert "read_array" in got.text or '"a@firm.example", ".quiet.example"' in got["bypass_spam_checks_maps"]
    if "read_hash" not in domains:
        assert "a change of the file has no effect" in got.tells("differs")["local_domains_maps"]
    got.names_all("score_sender_maps", "per_recip_blacklist_sender_lookup_tables", "spam_lovers_maps")


def test_short_variables_of_old(tmp_path):
    got = Imported(tmp_path, data("oldstyle"))
    got.has(local_domains_maps='{ { ".old.example", "other.example", "!not.old.example" } }', child_timeout="300",
            bypass_spam_checks_maps='{ { [".other.example"] = false, ["abuse@old.example"] = true } }',
            sa_spam_level_char='"#"', sa_kill_level_deflt="6.3", bypass_decode_parts="true", MIN_EXPANSION_FACTOR="4")
    assert {"LOGFILE", "max_requests", "sa_timeout", "path", "gzip"} <= got.unneeded()
    assert "insert_received_line: amavisd has no such variable" in got.text
    assert "whitelist_sender" in got.missed() or "whitelist_sender_maps" in got.text


def test_many_customers_by_domain(tmp_path):
    got = Imported(tmp_path, data("tenants"))
    got.has(interface_policy='{ ["10101"] = "TENANT-alpha", ["[192.0.2.9]:10102"] = "TENANT-gamma" }',
            forward_method='{ "lmtp:/var/run/dovecot/lmtp" }', sa_tag_level_deflt="-100.123")
    assert "without brackets" in got.tells("not carried")["interface_policy{'[192.0.2.9]:10101'}"]
    assert got["TENANT-alpha/spam_kill_level_maps"] == "{ 8 }" and got["TENANT-gamma/spam_kill_level_maps"] == "{ 12 }"
    assert got["local_domains_maps"].count("true") == 6
    assert got["bypass_spam_checks_maps"] == '{ { [".alpha.example"] = false, [".beta.example"] = false }, ' \
        '{ ".epsilon.example" } }'
    assert got["forward_method_maps"] == '{ { [".alpha.example"] = "smtp:[192.0.2.10]:25" } }'
    assert got["message_size_limit_maps"] == '{ { [".gamma.example"] = 10485760 } }'
    got.names_all("spam_kill_level_maps", "spam_tag2_level_maps", "forward_method_maps", "message_size_limit_maps")


def test_destinies_by_recipient_and_of_minors(tmp_path):
    conf = tmp_path / "ccat.conf"
    conf.write_text("""%final_destiny_maps_by_ccat = (
        CC_VIRUS, [ { 'a@example.org' => D_PASS }, D_REJECT ], CC_SPAM, [ D_REJECT ], CC_UNCHECKED.',1', D_DISCARD,
        CC_CATCHALL, D_PASS, CC_BADH, D_PASS );\n1;\n""")
    got = Imported(tmp_path, conf)
    assert got["final_destiny_maps_by_ccat"] == '{ CC_VIRUS = { { ["a@example.org"] = 1 }, -3 } }'
    assert got["final_destiny_by_ccat"] == '{ ["CC_UNCHECKED,1"] = 0 }'
    assert got["final_spam_destiny"] == "D_REJECT"


def test_lists_of_senders_by_recipient(tmp_path):
    conf = tmp_path / "amavisd.conf"
    conf.write_text("""$per_recip_whitelist_sender_lookup_tables = { 'a@example.org' => [qw(.good.example)],
        '.example.org' => [ { 'b@c.example' => 1 }, new_RE(qr'^x@'i) ] };
        @score_sender_maps = ({ '.' => [ { '.c.example' => [ -0.5 ] } ] });\n1;\n""")
    got = Imported(tmp_path, conf)
    assert re.sub(r",? \}", " }", re.sub(r"\s+", " ", got["per_recip_whitelist_sender_lookup_tables"])) == \
        '{ { [".example.org"] = { { ["b@c.example"] = 1 }, new_RE({ "(?i)^x@" }) }, ["a@example.org"] = { { ".good.example" } } } }'
    assert "points are expected" in got.tells("not carried")["score_sender_maps"]


@pytest.mark.parametrize("name", sorted(p.stem for p in DATA.glob("*.conf") if p.stem != "senders"))
def test_a_front_starts_with_it(tmp_path, suite, name):
    """check-config knows types and names; what hops, words and networks mean, the front finds out."""
    got = Imported(tmp_path, data(name))
    front = suite.folder / "front.lua"
    front.write_text(got.text + f'''
unix_socketname = {{}}
inet_socket_bind = {{ "127.0.0.1" }}
inet_socket_port = {{ {mw.free_port()} }}
tls_security_level_in = "none"
QUARANTINEDIR = "{suite.folder}/quarantine"
pipeline.run_dir = "{suite.folder}"
front.spool_dir = "{suite.folder}"
events.spool_dir = "{suite.folder}"
''')
    argv = [mw.BIN / "mailweir-smtp-front", "-c", front]
    p = mw.Process(suite, "front", argv, env={"MAILWEIR_SMTP_PORT": ""}, ready=r"ready service=smtp-front\b.*\n")
    suite.processes.append(p)
    p.wait_ready()


def test_folders_are_read_as_debian_does(tmp_path):
    ours, theirs = tmp_path / "etc", tmp_path / "usr"
    for folder in (ours, theirs):
        folder.mkdir()
    (theirs / "20-package").write_text("use strict;\n$log_level = 1;\n@bypass_virus_checks_maps = (1);\n1;\n")
    (ours / "15-mode").write_text("@bypass_virus_checks_maps = (0);\n1;\n")
    (ours / "50-user").write_text("$log_level += 2;\n1;\n")
    (ours / "50-user.dpkg-old").write_text("die;\n")
    got = Imported(tmp_path, theirs, ours)
    got.has(log_level="3", bypass_virus_checks_maps="{ true }")


@pytest.fixture(scope="session")
def debian(tmp_path_factory):
    """The folders of Debian's package, unpacked, or skip with the reason."""
    folder = tmp_path_factory.mktemp("amavisd-new")
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            pytest.skip(f"there is no {tool}")
    got = subprocess.run(["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", "amavisd-new"], cwd=folder,
                         capture_output=True, text=True, timeout=120, check=False)
    packages = list(folder.glob("amavisd-new_*.deb"))
    if not packages:
        pytest.skip(f"amavisd-new cannot be fetched: {got.stderr.strip()[-200:]}")
    subprocess.run(["dpkg-deb", "-x", packages[0], folder / "root"], check=True, timeout=60)
    return folder / "root"


@pytest.mark.deadline(300)
def test_the_configuration_of_debians_package(tmp_path, debian):
    got = Imported(tmp_path, debian / "usr/share/amavis/conf.d", debian / "etc/amavis/conf.d")
    got.has(bypass_virus_checks_maps="{ true }", bypass_spam_checks_maps="{ true }", sa_tag_level_deflt="2",
            sa_kill_level_deflt="6.31", final_virus_destiny="D_DISCARD", final_spam_destiny="D_PASS", MAXFILES="1500",
            unix_socketname='{ "/var/lib/amavis/amavisd.sock" }', interface_policy='{ SOCK = "AM.PDP-SOCK" }',
            QUARANTINEDIR='"/var/lib/amavis/virusmails"', inet_socket_port="{ 10024 }", quarantine_subdir_levels="1")
    assert got["AM.PDP-SOCK/auth_required_release"] == "false"
    assert {"daemon_user", "enable_db", "unrar"} <= got.unneeded()
    got.names_all("av_scanners", "av_scanners_backup", "banned_filename_re", "score_sender_maps", "sa_spam_subject_tag",
                  "virus_admin", "viruses_that_fake_sender_maps", "sa_dsn_cutoff_level")
    assert "read_l10n_templates" in got.text


@pytest.mark.deadline(300)
def test_the_list_of_all_defaults_uncommented(tmp_path, debian):
    """The package's amavisd.conf-default shows every variable, commented out: it changes nothing."""
    got = Imported(tmp_path, debian / "usr/share/doc/amavisd-new/examples/amavisd.conf-default")
    assert got.missed() == set()


# ---------------------------------------------------------------- odd ones

def odd(tmp_path, text, *args, **env):
    conf = tmp_path / "amavisd.conf"
    conf.write_bytes(text if isinstance(text, bytes) else text.encode())
    return mailweir("import-amavisd", *args, conf, **env)


def test_a_syntax_error_is_told_with_its_line(tmp_path):
    done = odd(tmp_path, "use strict;\n$log_level = 1;\n$max_servers = = 2;\n1;\n")
    assert done.returncode == 1 and done.stdout == ""
    assert "syntax error" in done.stderr and "amavisd.conf line 3" in done.stderr


def test_an_end_of_its_own_is_an_error(tmp_path):
    done = odd(tmp_path, "$log_level = 1;\ndie 'not here' if 1;\n1;\n")
    assert done.returncode == 1 and "not here at" in done.stderr and "line 2" in done.stderr and done.stdout == ""
    done = odd(tmp_path, "$log_level = 1;\n\nexit 0;\n")
    assert done.returncode == 1 and "exit was called" in done.stderr and "amavisd.conf:3" in done.stderr
    done = odd(tmp_path, "eval { exit 0 };\n1;\n")
    assert done.returncode == 1 and "exit was called" in done.stderr
    done = odd(tmp_path, "require POSIX; POSIX::_exit(7);\n")
    assert done.returncode == 1 and "exit code 7" in done.stderr
    done = odd(tmp_path, "dump;\n")
    assert done.returncode == 1
    assert odd(tmp_path, "1;\n", tmp_path / "none").returncode == 1


def test_an_endless_loop_ends(tmp_path):
    done = odd(tmp_path, "1 while 1;\n", "--time-limit", "1")
    assert done.returncode == 1 and "more than 1 s" in done.stderr
    done = odd(tmp_path, "$SIG{ALRM} = $SIG{TERM} = 'IGNORE';\nsleep 600;\n", "--time-limit", "1")
    assert done.returncode == 1 and "more than 1 s" in done.stderr


def test_memory_has_an_end(tmp_path):
    done = odd(tmp_path, "my @a; push @a, 'x' x 10_000_000 while 1;\n", "--time-limit", "20")
    assert done.returncode == 1


def test_what_it_prints_is_no_part_of_the_result(tmp_path):
    done = odd(tmp_path, "print \"log_level = 5\\n\";\nprint STDERR \"\\e[31mred\\n\";\n$log_level = 3;\n1;\n")
    assert done.returncode == 0
    assert "log_level = 3" in done.stdout and "log_level = 5" not in done.stdout
    assert "the configuration says: log_level = 5\n" in done.stderr and "says: ?[31mred\n" in done.stderr


def test_octets_that_are_no_utf8(tmp_path):
    done = odd(tmp_path, b"$X_HEADER_LINE = \"gr\xfc\xdfe, gr\xc3\xbc\xc3\x9fe, \\x01\\\\ \\\"q\\\"\";\n1;\n", "-o",
               tmp_path / "out.lua")
    assert done.returncode == 0
    assert b'X_HEADER_LINE = "gr\\xfc\\xdfe, gr\xc3\xbc\xc3\x9fe, \\x01\\\\ \\"q\\""' in (tmp_path / "out.lua").read_bytes()
    assert mailweir("check-config", "--elsewhere", tmp_path / "out.lua").returncode == 0


def test_lines_that_end_in_crlf(tmp_path):
    text = data("small").read_text().replace("\n", "\r\n")
    (tmp_path / "small.conf").write_bytes(text.encode())
    got = Imported(tmp_path, tmp_path / "small.conf")
    got.has(log_level="1", sa_kill_level_deflt="8", myhostname='"mail.office.example"')


def test_what_mailweir_refuses_is_told_and_left_out(tmp_path):
    done = odd(tmp_path, '$X_HEADER_LINE = "a\\0b";\n$policy_bank{"A"} = { log_level => 2, X_HEADER_LINE => "c\\0d" };\n'
               "1;\n", "-o", tmp_path / "out.lua")
    assert done.returncode == 0
    for name in ("X_HEADER_LINE (", "policy_bank{'A'}{X_HEADER_LINE} ("):
        assert f"not carried: {name}" in done.stderr
    assert "log_level = 2" in (tmp_path / "out.lua").read_text()
    assert mailweir("check-config", "--elsewhere", tmp_path / "out.lua").returncode == 0
    assert (tmp_path / "out.lua").stat().st_mode & 0o7 == 0, "it may hold passwords"
    done = odd(tmp_path, '@storage_redis_dsn = ("red-secret-word\\0");\n1;\n')
    assert "not carried: storage_redis_dsn" in done.stderr and "red-secret" not in done.stderr + done.stdout
    done = odd(tmp_path, "$child_timeout = 99999;\n$smtpd_timeout = 'soon';\n1;\n", "-o", tmp_path / "out.lua")
    assert "99999 is not within" in done.stderr and "no number: soon" in done.stderr
    assert mailweir("check-config", "--elsewhere", tmp_path / "out.lua").returncode == 0


def test_it_changes_nothing(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("here")
    done = odd(tmp_path, f"""
        unlink '{victim}'; rename '{victim}', '{victim}.x'; system('rm {victim}'); `rm {victim}`;
        open my $f, '>', '{victim}'; print $f 'gone' if $f; close $f if $f;
        open my $p, '|-', 'cat > {victim}'; print $p 'gone' if $p; close $p if $p;
        open my $n, '>', '{tmp_path}/new'; syswrite $n, 'x' if $n;
        kill 9, getppid(); fork;
        $log_level = 2;
        1;
        """)
    assert done.returncode == 0, done.stderr
    assert "log_level = 2" in done.stdout
    assert victim.read_text() == "here"
    assert not (tmp_path / "new").exists() or (tmp_path / "new").read_bytes() == b""
    for word in ("unlink was not done", "system was not done", "was not run"):
        assert word in done.stderr


def test_without_a_sandbox_perl_refuses_too(tmp_path):
    """Where the kernel has no Landlock."""
    victim = tmp_path / "victim"
    victim.write_text("here")
    (tmp_path / "amavisd.conf").write_text(f"""
        unlink '{victim}'; rename '{victim}', '{victim}.x'; system('rm', '{victim}'); truncate '{victim}', 0;
        open(F, ">{victim}"); open my $f, '>>', '{victim}'; open my $g, '+<', '{victim}'; open my $p, "| cat >{victim}";
        open my $q, "rm {victim} |"; open my $r, '-|', "rm {victim}"; sysopen my $s, '{victim}', 513;
        open(IN, '{victim}') or die "IN: $!"; $X_HEADER_LINE = <IN>; close(IN);
        open my $in, '<', '{victim}' or die; $myhostname = <$in>;
        open my $dup, '>&', \\*STDERR;
        1;
        """)
    scripts = mw.BIN.parent / "share/mailweir/import"
    done = subprocess.run(["bash", "-c", 'exec perl "$0" "$1" 3>"$2"', scripts / "evaluate.pl", tmp_path / "amavisd.conf",
                           tmp_path / "left"], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    assert victim.read_text() == "here" and not (tmp_path / "victim.x").exists()
    assert '"$X_HEADER_LINE":{"set":"1","value":"here"}' in (tmp_path / "left").read_text()
    assert '"$myhostname":{"set":"1","value":"here"}' in (tmp_path / "left").read_text()


def test_perl_base_suffices():
    """Debian has it always; the package perl, with the other modules, is not asked for."""
    scripts = mw.BIN.parent / "share/mailweir/import"
    used = {name for file in scripts.rglob("*.p[lm]") for name in re.findall(r"^\s*use ([A-Z][\w:]+)", file.read_text(), re.M)
            if not name.startswith("MailweirImport")}
    if not list(mw.Path("/usr/lib").glob("*/perl-base")):
        pytest.skip("perl-base has no folder of its own here")
    done = subprocess.run(["perl", "-e", "BEGIN { @INC = grep { m{/perl-base$} } @INC } eval qq(require $_; 1) or die $@ for @ARGV",
                           *sorted(used)], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert {"File::Temp", "POSIX", "Symbol"} <= used
    assert done.returncode == 0, done.stderr


def test_commands_that_only_read_are_run(tmp_path):
    (tmp_path / "mailname").write_text("first.example\nsecond.example\n")
    done = odd(tmp_path, f"chomp($mydomain = `head -n 1 {tmp_path}/mailname 2>/dev/null`);\n"
               "chomp($myhostname = 'mx.' . $mydomain);\n$localhost_name = `uname -s`;\n"
               "$X_HEADER_LINE = `printf x`;\n1;\n")
    assert done.returncode == 0
    assert 'myhostname = "mx.first.example"' in done.stdout and 'localhost_name = "Linux\\n"' in done.stdout
    assert "`printf x` was not run" in done.stderr
    done = odd(tmp_path, "$X_HEADER_LINE = `printf x`;\n1;\n", "--run-commands")
    assert 'X_HEADER_LINE = "x"' in done.stdout


def test_what_perl_has_for_all_may_be_changed(tmp_path):
    done = odd(tmp_path, "$/ = undef; $, = ':'; $\\ = 'x'; $\" = '-'; $0 = 'y'; chdir '/'; close STDERR; %ENV = (); @INC = ();\n"
               "$SIG{__DIE__} = sub { exit 3 }; $log_level = 2;\n1;\n")
    assert done.returncode == 0, done.stderr
    assert "log_level = 2 -- " in done.stdout and "amavisd.conf:2\n" in done.stdout


def test_a_file_of_hooks(tmp_path):
    (tmp_path / "hooks.conf").write_text("""package Amavis::Custom;
use strict;
use DBI qw(:sql_types);
BEGIN {
  import Amavis::Conf qw(:platform :confvars c cr ca $myhostname);
  import Amavis::Util qw(do_log untaint);
}
use Amavis::Notify qw(build_mime_entity);
sub new { my($class,$conn,$msginfo) = @_; do_log(0, "%s", $myhostname); bless {}, $class }
sub checks { my($self,$conn,$msginfo) = @_; $self }
1;
""")
    done = odd(tmp_path, f"use strict;\ninclude_config_files('{tmp_path}/hooks.conf');\n$log_level = 2;\n1;\n")
    assert done.returncode == 0, done.stderr
    assert "log_level = 2" in done.stdout and "hooks (package Amavis::Custom) are code" in done.stdout


def test_names_that_nobody_knows(tmp_path):
    done = odd(tmp_path, "use strict;\n$brand_new = 1; @other_new = (FANCY_CONSTANT, 2);\nour $own = 3;\n"
               "$log_level = fetch_level('x');\n$policy_bank{'A'} = sub { 1 };\n1;\n")
    assert done.returncode == 0, done.stderr
    for name in ("brand_new", "other_new", "own", "log_level", "policy_bank{'A'}", "fetch_level(...)"):
        assert name in done.stderr


def test_a_package_of_its_own_and_files_within(tmp_path):
    (tmp_path / "more.conf").write_text("$log_level = 4;\n1;\n")
    done = odd(tmp_path, "package Amavis::Conf;\nuse strict;\n$sa_spam_level_char = 'x';\n"
               f"include_config_files('{tmp_path}/more.conf');\n"
               f"include_optional_config_files('{tmp_path}/none.conf');\n1;\n")
    assert done.returncode == 0, done.stderr
    assert "log_level = 4" in done.stdout and 'sa_spam_level_char = "x"' in done.stdout
    assert f"{tmp_path}/more.conf" in done.stdout
    done = odd(tmp_path, f"include_config_files('{tmp_path}/none.conf');\n1;\n")
    assert done.returncode == 1 and "none.conf: cannot be read" in done.stderr


def test_a_name_in_the_settings_cannot_leave_its_comment(tmp_path):
    done = odd(tmp_path, '$policy_bank{"A\\nos.exit()"} = { "x\\ny" => 1, log_level => 1 };\n'
               '$interface_policy{"1\\n2"} = "A\\nos.exit()";\n1;\n', "-o", tmp_path / "out.lua")
    assert done.returncode == 0, done.stderr
    assert mailweir("check-config", "--elsewhere", tmp_path / "out.lua").returncode == 0
    assert all(line.startswith("--") or "os.exit" not in line or '\\nos.exit' in line
               for line in (tmp_path / "out.lua").read_text().splitlines())


def test_settings_that_the_table_has_are_used(tmp_path):
    """What there is to be set is asked of mailweir: a stand-in knows more settings, and takes every form."""
    rows = ["spam_kill_level_maps\tmaps\tbank\tpoints\t0\t100\t{}", "score_sender_maps\tmaps\tbank\t\t0\t100\t{}",
            "banned_rules\ttable\tglobal\t\t0\t100\t{}", "sql_clause\ttable\tbank\t\t0\t100\t{}",
            "mynetworks\tlist\tbank\t\t0\t1000\t{}", "client_ipaddr_policy\ttable\tbank\t\t0\t1000\t{}"]
    stand_in = tmp_path / "mailweir"
    stand_in.write_text(f'#!/bin/sh\n[ "$1" = config ] || exit 0\n{mw.BIN}/mailweir config table\n'
                        "cat <<'END'\n" + "\n".join(rows) + "\nEND\n")
    stand_in.chmod(0o755)
    scripts = mw.BIN.parent / "share/mailweir/import"
    for file in ("local_domains", "no_spam_check", "whitelist", "blacklist"):
        (tmp_path / file).write_text("")

    def lua(name):
        run = 'perl "$0/evaluate.pl" "$1" 3>"$2" >&2 && perl "$0/translate.pl" "$3" - <"$2"'
        done = subprocess.run(["bash", "-c", run, scripts, data(name), tmp_path / "left", stand_in], capture_output=True,
                              env={**ENV, "MW_TEST_TABLES": str(tmp_path)}, text=True, timeout=LIMIT_S, check=False)
        assert done.returncode == 0, done.stderr
        return re.sub(r",? \}", " }", re.sub(r"\s+", " ", re.sub(r"--.*", "", done.stdout)))

    tenants = lua("tenants")
    assert '[".gamma.example"] = 12 }, 6.31 }' in tenants
    assert 'policy_bank["TENANT-alpha"] = { spam_kill_level_maps = { 8 } }' in tenants
    senders = lua("senders")
    assert 'new_RE { { "(?i)^(bulkmail|offers|cheapbenefits)@", 5 }, { "(?i)\\\\.(top|work)$", 2.5 } }' in senders
    assert '[".paypal.example"] = -0.5' in senders and '["vip@firm.example"] = { { [".newsletter.example"] = -3 } }' in senders
    assert f'local_domains_maps = {{ read_hash("{tmp_path}/local_domains") }}' in senders
    banned = lua("banned")
    assert 'PASSALL = new_RE { { "^", 0 } }' in banned and 'ALLOW_EXE = new_RE {' in banned
    assert 'sel_policy = "SELECT *,users.id FROM users, policy' in lua("sql_panel")
    banks = lua("two_banks")
    assert '{ { "192.0.2.0/24", "!198.51.100.1", "198.51.100.0/24" }, "CUSTOMER" }' in banks
    assert '"[fc00::]/7" }, "" }' in banks, "a bank that is not there is not named"


def test_usage(tmp_path):
    assert mailweir("import-amavisd").returncode == 64
    assert mailweir("import-amavisd", "--nix").returncode == 64
    assert mailweir("import-amavisd", "--time-limit", "0", data("small")).returncode == 64
    assert mailweir("import-amavisd", "-o", "/nowhere/x", data("small")).returncode == 1


def test_the_table_for_programs_has_every_setting():
    lines = mailweir("config", "table").stdout.splitlines()
    names = [line.split("\t")[0] for line in lines]
    assert all(line.count("\t") == 6 for line in lines)
    doc = mailweir("config", "doc").stdout
    assert names and all(f"| `{name}` |" in doc for name in names)
