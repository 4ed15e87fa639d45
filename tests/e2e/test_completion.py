"""What a shell completes: the script is sourced into a real bash, its function called as bash calls it."""
import os
import shlex
import subprocess

import mw

ENV = {**{k: v for k, v in os.environ.items() if not k.startswith("MAILWEIR_")}, "PATH": f"{mw.BIN}:{os.environ['PATH']}"}


def complete(*words, cwd=None, **env):
    """What is offered for the last of the words."""
    line = " ".join(shlex.quote(w) for w in words)
    script = f"""source <(mailweir completion bash)
complete -p mailweir >/dev/null || exit 1
COMP_WORDS=({line}) COMP_CWORD={len(words) - 1}
_mailweir mailweir {shlex.quote(words[-1])} {shlex.quote(words[-2])}
((${{#COMPREPLY[@]}})) && printf '%s\\n' "${{COMPREPLY[@]}}"; true"""
    done = subprocess.run(["bash", "--norc", "-c", script], env={**ENV, **env}, cwd=cwd, capture_output=True, text=True,
                          timeout=30 * mw.SLOW, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return sorted(done.stdout.splitlines())


def test_commands_are_those_of_the_program():
    usage = subprocess.run([mw.BIN / "mailweir", "--help"], capture_output=True, text=True, check=True).stdout
    commands = [line.split()[0] for line in usage.splitlines() if line.startswith("  ") and not line.startswith("  mailweir")]
    assert {"status", "config", "reload", "completion"} <= set(commands)
    assert complete("mailweir", "") == sorted([*commands, "help", "--help", "--version"])
    assert complete("mailweir", "conf") == ["config"]
    assert complete("mailweir", "nix", "") == []


def test_settings_are_those_of_the_table():
    all_of_them = {line.split(" = ")[0].split("[")[0] for line in subprocess.run(
        [mw.BIN / "mailweir", "config", "dump", "--all"], env=ENV, capture_output=True, text=True, check=True).stdout.splitlines()}
    assert complete("mailweir", "config", "get", "") == sorted([*all_of_them, "--origin", "--bank", "-c"])
    assert complete("mailweir", "config", "get", "pipeline.run") == ["pipeline.run_dir"]
    assert complete("mailweir", "config", "get", "--origin", "final_spam_d") == ["final_spam_destiny"]
    assert complete("mailweir", "config", "dump", "--") == ["--all", "--bank"]
    assert complete("mailweir", "config", "") == ["-c", "doc", "dump", "get", "table"]
    assert complete("mailweir", "config", "get", "no.such") == []


def test_options_and_files(tmp_path):
    (tmp_path / "a b.lua").write_text("")
    (tmp_path / "folder").mkdir()
    assert complete("mailweir", "status", "--") == ["--config", "--help", "--interval", "--json", "--once", "--url"]
    assert complete("mailweir", "status", "-c", "", cwd=tmp_path) == ["a b.lua", "folder"]
    assert complete("mailweir", "status", "--interval", "") == []
    assert complete("mailweir", "check-config", "a", cwd=tmp_path) == ["a b.lua"]
    assert complete("mailweir", "check-config", "--user", "nobod") == ["nobody"]
    assert complete("mailweir", "keys", "", cwd=tmp_path) == ["folder"]
    assert complete("mailweir", "completion", "") == ["bash", "zsh"]


def test_banks_and_services_are_those_of_this_host(suite):
    suite.set(policy_bank={"ALT": {}, "MYNETS": {}}, dkim__dns_local_only=True)
    for service, instance in (("dkim", "1"), ("dkim", "2"), ("logger", "1")):
        suite.start(service, instance)
    env = {"MAILWEIR_CONFIG": str(suite.folder / "mailweir.lua")}
    assert complete("mailweir", "config", "get", "--bank", "", **env) == ["ALT", "MYNETS"]
    assert complete("mailweir", "reload", "", **env) == ["-c", "dkim", "logger"]
    env["MAILWEIR_CONFIG"] = "/nonexistent.lua"  # nothing is offered, and nothing is printed over the line
    assert complete("mailweir", "reload", "", **env) == ["-c"]


def test_both_shells_read_the_script(tmp_path):
    for shell in ("bash", "zsh"):
        script = subprocess.run([mw.BIN / "mailweir", "completion", shell], capture_output=True, text=True, check=True).stdout
        done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    assert script.startswith("autoload ") and "bashcompinit" in script
    assert subprocess.run([mw.BIN / "mailweir", "completion", "fish"], capture_output=True, check=False).returncode == 64
