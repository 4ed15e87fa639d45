"""A Docker engine for tests: the one that runs, or one of our own that leaves nothing behind.

Ours keeps its images in CACHE (the next run finds its layers again) and everything else in a private folder. It runs
twice: to build images in the machine's network without a bridge or a packet filter rule, then to run containers in
a network and mount namespace of its own, where its bridges, rules and mounts end with it.
"""
import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import mw

START_S = 60
BUILD_S = 1500
CLONE_NEWNET = 0x40000000
# Not below build/: thousands of files there would slow make down. MW_DOCKER_CACHE names another folder.
CACHE = Path(os.environ.get("MW_DOCKER_CACHE", "/var/tmp/mailweir-tests-docker"))


class NoEngine(Exception):
    """Why there is none."""


def compose_command():
    """docker-compose 1.29, or the plugin of newer engines."""
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ["docker", "compose"]
    return None


def answers(env):
    done = subprocess.run(["docker", "version", "--format", "{{.Server.Version}}"], capture_output=True, text=True, timeout=30,
        env={**os.environ, **env}, check=False)
    return done.returncode == 0 and done.stdout.strip() != ""


class Engine:
    """The engine that runs already. .env leads the docker programs to it."""

    def __init__(self):
        self.env = {}

    def build(self, image):
        run_build({"IMAGE": image}, self.env)

    def start(self):
        pass

    def stop(self):
        pass

    @contextlib.contextmanager
    def network(self):
        """Within it, sockets and programs are where the published ports are."""
        yield


class OwnEngine(Engine):
    def __init__(self, suite):
        self.suite = suite
        self.sock = suite.folder / "docker.sock"
        self.env = {"DOCKER_HOST": f"unix://{self.sock}", "DOCKER_CONFIG": str(suite.folder / "docker-config")}
        self.process, self.runs = None, 0
        CACHE.mkdir(mode=0o700, parents=True, exist_ok=True)
        at = CACHE.lstat()
        if not stat.S_ISDIR(at.st_mode) or at.st_uid != os.geteuid():
            raise NoEngine(f"{CACHE} is not a folder of ours")
        self.lock = open(CACHE / "lock", "w")  # pylint: disable=consider-using-with
        fcntl.flock(self.lock, fcntl.LOCK_EX)

    def run(self, name, unshare, setup, args):
        """Start dockerd and wait until it answers, the second time for good. NoEngine when it ends instead."""
        try:
            self.run_once(name, unshare, setup, args)
        except NoEngine as why:
            print(f"{name}: {why}; once more")
            self.run_once(name, unshare, setup, args)

    def run_once(self, name, unshare, setup, args):
        self.stop()
        self.runs += 1
        # It goes with us, however we go; its containers go with it.
        dockerd = ["setpriv", "--pdeathsig", "TERM", "dockerd", "--host", f"unix://{self.sock}", "--data-root", CACHE / "data",
            "--exec-root", self.suite.folder / f"x{self.runs}", "--pidfile", self.suite.folder / f"docker-{self.runs}.pid", *args]
        self.process = self.suite.peer(f"{name}-{self.runs}", ["unshare", *unshare, "sh", "-c", f'{setup}exec "$@"', "sh", *dockerd])

        def up():
            if not self.process.running():
                raise NoEngine(last_words(self.process))
            return answers(self.env)
        try:
            mw.until("dockerd to answer", up, START_S, every_s=0.2)
        except mw.Failed as e:
            raise NoEngine(str(e)) from e

    def build(self, image):
        self.run("dockerd-build", ["--mount"], "", ["--bridge", "none", "--iptables=false"])
        run_build({"IMAGE": image, "BUILD_NETWORK": "host", "ROOTFS": str(CACHE / "base.tar")}, self.env)
        # Layers of older sources; what the next run may find again is younger.
        subprocess.run(["docker", "image", "prune", "-f", "--filter", "until=168h"], capture_output=True, timeout=300,
            env={**os.environ, **self.env}, check=False)

    def start(self):
        # No way out of the namespace: names from outside are refused at once instead of waited for.
        self.run("dockerd", ["--mount", "--net"], "ip link set lo up && ", ["--dns", "127.0.0.1"])

    def stop(self):
        if self.process is None:
            return
        family = mw.children(self.process.pid)
        if self.process.running():
            with contextlib.suppress(mw.Failed):  # it had to be killed: so do its own
                self.process.stop(60)
        # Its containerd may outlive it for a moment, and the next one would wait for the lock that this one has.
        try:
            mw.until("", lambda: not any(map(mw.alive, family)), 20)
        except mw.Failed:
            for pid in filter(mw.alive, family):
                mw.tell(pid, signal.SIGKILL)

    def close(self):
        self.stop()
        self.lock.close()

    @contextlib.contextmanager
    def network(self):
        with open("/proc/self/ns/net") as ours, open(f"/proc/{self.process.pid}/ns/net") as theirs:
            enter(theirs)
            try:
                yield
            finally:
                enter(ours)


def enter(namespace):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def last_words(process):
    """The line in which dockerd says why it ended."""
    lines = [line for line in process.tail(5).splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"dockerd ended with {process.popen.returncode}"


def run_build(settings, env):
    done = subprocess.Popen([mw.ROOT / "deploy/images.sh"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, **env, **settings}, start_new_session=True)
    try:
        output, _ = done.communicate(timeout=BUILD_S * mw.SLOW)
    except BaseException:
        os.killpg(done.pid, signal.SIGTERM)
        done.communicate()
        raise
    if done.returncode != 0:
        raise mw.Failed("the image was not built:\n" + "\n".join(output.splitlines()[-40:]))


def open_engine(suite):
    """An engine, or NoEngine."""
    for program in ("docker", "dockerd"):
        if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            raise NoEngine(f"{program} is not installed")
    if compose_command() is None:
        raise NoEngine("neither docker-compose nor docker compose is installed")
    if answers({}):
        return Engine()
    if os.geteuid() != 0:
        raise NoEngine("none runs and starting one needs root")
    for program in ("unshare", "setpriv", "ip", "iptables"):
        if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            raise NoEngine(f"{program} is not installed")
    engine = OwnEngine(suite)
    try:
        engine.start()  # as it will be needed: better to know before the long build
    except NoEngine:
        engine.close()
        raise
    return engine


class Compose:
    """docker-compose on deploy/compose.yml under a project name of the test's own."""

    def __init__(self, engine, project, env):
        self.engine, self.project = engine, project
        self.env = {**os.environ, **engine.env, **env, "COMPOSE_PROJECT_NAME": project}

    def __call__(self, *args, timeout_s=180, check=True):
        done = subprocess.run([*compose_command(), "-f", mw.ROOT / "deploy/compose.yml", *args], capture_output=True, text=True,
            timeout=timeout_s * mw.SLOW, env=self.env, cwd=mw.ROOT, stdin=subprocess.DEVNULL, check=False)
        if check and done.returncode != 0:
            raise mw.Failed(f"compose {' '.join(args)}: exit {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout

    def containers(self):
        """What `docker inspect` tells of the project's containers."""
        def docker(*args):
            return subprocess.run(["docker", *args], capture_output=True, text=True, timeout=60, env=self.env, check=True).stdout
        ids = docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={self.project}").split()
        return json.loads(docker("inspect", *ids)) if ids else []
