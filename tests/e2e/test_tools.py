"""The mailweir command: settings checked, asked for and documented; keys made."""
import os
import shutil
import subprocess

import pytest

import mw

ENV = {k: v for k, v in os.environ.items() if not k.startswith("MAILWEIR_")}


def mailweir(*args, **env):
    return subprocess.run([str(mw.BIN / "mailweir"), *map(str, args)], env={**ENV, **env}, capture_output=True,
                          text=True, timeout=30, check=False)


def test_all_errors_of_a_file_are_told_with_their_lines(tmp_path):
    wrong = tmp_path / "wrong.lua"
    wrong.write_text("log_levl = 3\npipeline = {\n  front = 5,\n}\nfinal_spam_destiny = D_REJCT\n")
    done = mailweir("check-config", wrong)
    assert done.returncode == 78
    assert done.stderr.splitlines() == [
        f"{wrong}:1: log_levl: unknown setting; did you mean log_level?",
        f"{wrong}:3: pipeline.front = 5: expected a string of 1 to 1000 octets",
        f"{wrong}:5: D_REJCT: unknown name; did you mean D_REJECT?",
    ]
    assert mailweir("config", "get", "log_level", MAILWEIR_CONFIG=str(wrong)).returncode == 78


def test_a_value_is_told_with_who_set_it(tmp_path):
    file = tmp_path / "mailweir.lua"
    file.write_text("final_spam_destiny = D_DISCARD\npolicy_bank.ALT = {\n  final_spam_destiny = D_REJECT }\n")
    env = {"MAILWEIR_CONFIG": str(file), "MAILWEIR_RUN_DIR": "/x"}

    def get(*args):
        done = mailweir("config", "get", *args, **env)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert mailweir("check-config", **env).stdout == f"settings ok: {file}\n"
    assert get("final_spam_destiny") == "D_DISCARD"
    assert get("final_spam_destiny", "--origin") == f"D_DISCARD\t{file}:1"
    assert get("final_spam_destiny", "--origin", "--bank", "ALT") == f"D_REJECT\tpolicy bank ALT, {file}:3"
    assert get("pipeline.run_dir", "--origin") == '"/x"\tenvironment MAILWEIR_RUN_DIR'
    assert get("log_level", "--origin") == "0\tdefault"
    assert mailweir("config", "get", "nix", **env).returncode == 1
    assert f"final_spam_destiny = D_DISCARD -- {file}:1\n" in mailweir("config", "dump", **env).stdout


def test_several_files_are_one_program(tmp_path):
    main, folder, last = tmp_path / "mailweir.lua", tmp_path / "conf.d", tmp_path / "last.lua"
    folder.mkdir()
    main.write_text("log_level = 1\nmyhostname = 'a'\npolicy_bank.ALT = {\n  originating = true,\n}\n")
    (folder / "10-host.lua").write_text("\nmyhostname = myhostname .. '.example'\n")
    (folder / "20-bank.lua").write_text("policy_bank.ALT.final_spam_destiny = D_REJECT\n")
    (folder / "20-bank.lua~").write_text("nonsense")
    last.write_text("log_level = 3\n")
    env = {"MAILWEIR_CONFIG": f"{main}:{last}"}
    assert mailweir("check-config", main, last).stdout == \
        f"settings ok: {main}, {folder}/10-host.lua, {folder}/20-bank.lua, {last}\n"

    def get(*args):
        return mailweir("config", "get", *args, "--origin", **env).stdout.strip()
    assert get("log_level") == f"3\t{last}:1"
    assert get("myhostname") == f'"a.example"\t{folder}/10-host.lua:2'
    assert get("final_spam_destiny", "--bank", "ALT") == f"D_REJECT\tpolicy bank ALT, {folder}/20-bank.lua:1"
    assert get("originating", "--bank", "ALT") == f"true\tpolicy bank ALT, {main}:4"
    last.write_text("log_level = 99\n")
    (folder / "10-host.lua").write_text("hostname = 'x'\n")
    done = mailweir("check-config", main, last)
    assert (done.returncode, done.stderr.splitlines()) == (78, [
        f"{folder}/10-host.lua:1: hostname: unknown setting; did you mean myhostname?",
        f"{last}:1: log_level = 99: expected a whole number from -3 to 5"])


@pytest.mark.root
def test_settings_that_a_user_could_write_are_told(tmp_path):
    tmp_path.chmod(0o755)
    file = tmp_path / "mailweir.lua"
    file.write_text("")
    assert mailweir("check-config", "--user", "nobody", file).returncode == 0
    shutil.chown(file, "nobody")
    said = f"{file} belongs to the user nobody that the service runs as: "
    done = mailweir("check-config", "--user", "nobody", file)
    assert done.returncode == 78 and done.stderr.startswith(said) and done.stdout == ""
    done = mailweir("check-config", file, MAILWEIR_USER="nobody")
    assert done.returncode == 0 and done.stderr.startswith("warning: " + said)
    assert mailweir("check-config", "--user", "no-such-user", file).returncode == 78


def test_what_differs_from_the_defaults_is_dumped_with_its_origin(tmp_path):
    file, folder = tmp_path / "mailweir.lua", tmp_path / "conf.d"
    folder.mkdir()
    file.write_text("log_level = 0\npolicy_bank.A = { originating = true }\n"
                    "storage_redis_dsn = { { server = '127.0.0.1:6379', password = 'geheim' } }\n")
    (folder / "b.lua").write_text("policy_bank['B-1'] = {}\nfinal_spam_destiny = D_REJECT\n")
    env = {"MAILWEIR_CONFIG": str(file), "MAILWEIR_RUN_DIR": "/x"}
    done = mailweir("config", "dump", **env)
    assert sorted(done.stdout.splitlines()) == sorted([
        'pipeline.run_dir = "/x" -- environment MAILWEIR_RUN_DIR',
        f'policy_bank["A"] = {{ originating = true }} -- {file}:2',
        f'policy_bank["B-1"] = {{}} -- {folder}/b.lua:1',
        f'final_spam_destiny = D_REJECT -- {folder}/b.lua:2',
        f'storage_redis_dsn = "(hidden)" -- {file}:3'])
    everything = mailweir("config", "dump", "--all", **env).stdout
    assert f"log_level = 0 -- {file}:1\n" in everything and "inet_socket_port = { 10024 } -- default\n" in everything
    assert "geheim" not in everything
    assert everything.count("\n") > len(done.stdout.splitlines()) + 100
    of_bank = mailweir("config", "dump", "--bank", "A", "-c", file).stdout
    assert f"originating = true -- policy bank A, {file}:2\n" in of_bank
    # What is printed is a settings file again.
    again = tmp_path / "again.lua"
    again.write_text("".join(line + "\n" for line in done.stdout.splitlines() if "(hidden)" not in line))
    assert mailweir("check-config", again).returncode == 0
    for wrong in (("dump", "x"), ("dump", "--origin"), ("get",), ("get", "a", "b"), ("get", "a", "--all"), ("doc", "x"), ("nix",)):
        assert mailweir("config", *wrong).returncode == 64


def test_docs_tell_the_settings_that_there_are():
    """When this fails: build/bin/mailweir config doc > docs/settings.md"""
    assert mailweir("config", "doc").stdout == (mw.ROOT / "docs" / "settings.md").read_text()


def test_keys_are_made_once(tmp_path):
    keys = tmp_path / "keys"
    assert mailweir("keys", keys).returncode == 0
    before = {p.name: p.read_bytes() for p in keys.iterdir() if p.is_file()}
    assert {"front.key", "front.key_secret", "scanner.key_secret"} <= set(before)
    assert all(p.stat().st_mode & 0o777 == 0o600 for p in keys.iterdir() if p.is_file())
    assert mailweir("keys", keys).returncode == 0
    assert before == {p.name: p.read_bytes() for p in keys.iterdir() if p.is_file()}
    assert mailweir("keys", "/proc/nowhere").returncode == 1


def test_usage_is_told():
    assert mailweir().returncode == 64
    assert mailweir("nix").returncode == 64
    assert mailweir("keys").returncode == 64
    assert mailweir("config").returncode == 64
    assert mailweir("--help").returncode == 0
    assert mailweir("--version").stdout.startswith("mailweir ")
