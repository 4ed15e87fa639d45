"""What deploy/ and docs/ say is true: packages, units, Postfix lines, compose file, links, the settings example."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import mw
from mwdocker import compose_command

DEPLOY = mw.ROOT / "deploy"
# Part of any Debian, and of the compiler.
BASE = {"libc6", "libgcc-s1", "libstdc++6"}


def run(*argv, **kw):
    return subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=60 * mw.SLOW, check=False, **kw)


def tool(name):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def packages(name):
    lines = [line.partition("#")[0].strip() for line in (DEPLOY / f"packages/{name}.txt").read_text().splitlines()]
    return [line for line in lines if line]


@pytest.mark.parametrize("name", ["build", "runtime", "test"])
def test_a_package_list_names_nothing_twice(name):
    listed = packages(name)
    assert listed and len(listed) == len(set(listed))
    for line in listed:
        assert re.fullmatch(r"[a-z0-9][a-z0-9+.|-]*", line), line


def test_installing_says_which_list_is_not_there():
    done = run(DEPLOY / "deps.sh", "nosuch")
    assert done.returncode != 0 and "nosuch" in done.stderr


def test_every_library_of_the_programs_is_in_the_runtime_list():
    listed = {name for line in packages("runtime") for name in line.split("|")}
    programs = sorted(p for p in mw.BIN.glob("mailweir*") if os.access(p, os.X_OK))
    assert programs
    needed = set()
    for program in programs:
        needed |= set(re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", program).stdout))
    # A sanitizer's runtime comes with the compiler and is installed with it.
    for library in sorted(n for n in needed if not re.match(r"lib(a|ub|t)san\.", n)):
        owners = {line.split(":")[0] for line in run("dpkg", "-S", f"*/{library}").stdout.splitlines()}
        assert owners & (listed | BASE), f"{library} is in {sorted(owners)}, none of them in deploy/packages/runtime.txt"


def test_the_settings_example_is_accepted():
    done = run(mw.BIN / "mailweir-status", "--check", "-c", DEPLOY / "examples/mailweir.lua")
    assert done.returncode == 0, done.stdout + done.stderr


def test_systemd_takes_the_units(tmp_path):
    analyze = tool("systemd-analyze")
    for path in (DEPLOY / "systemd").iterdir():
        if path.is_dir():
            shutil.copytree(path, tmp_path / path.name)
        else:
            # The programs are not installed here.
            (tmp_path / path.name).write_text(re.sub(r"/usr/bin/mailweir\S*", "/bin/true", path.read_text()))
    units = [p.name.replace("@.", "@1.") for p in sorted(tmp_path.iterdir()) if p.suffix in (".service", ".target")]
    assert len(units) == 8
    done = run(analyze, "verify", "--man=no", *units, env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"}, cwd=tmp_path)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "mailweir" in line]
    assert ours == []


def test_systemctl_reload_hears_whether_the_settings_were_taken():
    for path in (DEPLOY / "systemd").glob("*.service"):
        name = re.match(r"mailweir-(.*?)@?\.service", path.name).group(1)
        text = path.read_text()
        config, instance = re.search(r"^ExecStart=/usr/bin/mailweir-\S+ -c (\S+)(?: -i (\S+))?$", text, re.M).groups()
        assert f"\nExecReload=/usr/bin/mailweir reload -c {config} {name}@{instance or 1}\n" in text


def test_every_service_has_a_unit_and_a_place_in_the_compose_file():
    services = {p.name for p in (mw.ROOT / "services").iterdir() if p.is_dir()}
    assert {re.match(r"mailweir-(.*?)@?\.service", p.name).group(1) for p in (DEPLOY / "systemd").glob("*.service")} == services
    assert set(re.findall(r"^  ([a-z-]+):$", (DEPLOY / "compose.yml").read_text(), re.M)) >= services | {"keys", "redis"}


def test_postfix_takes_the_lines(tmp_path):
    postconf = tool("postconf")
    (tmp_path / "main.cf").write_text((DEPLOY / "postfix/main.cf").read_text())
    (tmp_path / "master.cf").write_text((DEPLOY / "postfix/master.cf").read_text())
    services = run(postconf, "-c", tmp_path, "-M").stdout
    assert re.search(r"^mailweir +unix .* smtp ", services, re.M) and re.search(r"^127\.0\.0\.1:10025 +inet .* smtpd ", services, re.M)
    used = run(postconf, "-c", tmp_path, "-n")
    assert "unused parameter" not in used.stderr and "warning" not in used.stderr, used.stderr


def test_the_second_half_of_the_postfix_lines_is_a_service_too(tmp_path):
    postconf = tool("postconf")
    text = (DEPLOY / "postfix/master.cf").read_text()
    lines = [line[1:] for line in text.splitlines() if re.match(r"#(?:smtp |submission |    -o )", line)]
    (tmp_path / "main.cf").write_text("")
    (tmp_path / "master.cf").write_text("\n".join(lines) + "\n")
    done = run(postconf, "-c", tmp_path, "-M")
    assert done.returncode == 0 and "smtpd_proxy_filter=127.0.0.1:10024" in done.stdout, done.stderr


def test_compose_reads_its_file_and_gives_no_one_too_much():
    command = compose_command()
    if command is None:
        pytest.skip("neither docker-compose nor docker compose is installed")
    done = run(*command, "-f", DEPLOY / "compose.yml", "config", env={k: v for k, v in os.environ.items() if not k.startswith("MAILWEIR_")})
    assert done.returncode == 0, done.stderr
    for word in ("privileged", "container_name", "cap_add", "docker.sock"):
        assert word not in done.stdout, word


def test_links_in_the_docs_lead_somewhere():
    broken = []
    for path in [*mw.ROOT.glob("*.md"), *mw.ROOT.glob("docs/*.md"), *mw.ROOT.glob("services/*/README.md")]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text()):
            if "://" not in target and not (path.parent / target).exists():
                broken.append(f"{path.relative_to(mw.ROOT)}: {target}")
    assert broken == []


def test_scripts_are_shell_that_a_shell_reads():
    for path in [*DEPLOY.glob("*.sh"), Path(mw.ROOT / ".ci/run")]:
        assert os.access(path, os.X_OK), path
        done = run("bash", "-n", path)
        assert done.returncode == 0, done.stderr
