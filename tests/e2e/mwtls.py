"""Certificates for tests, made by the openssl command, and contexts that use them."""
import ssl
import subprocess
from pathlib import Path

import pytest

CONFIG = """
[ca]
default_ca = it
[it]
dir = {dir}
database = $dir/index
new_certs_dir = $dir
serial = $dir/serial
certificate = $dir/ca.pem
private_key = $dir/ca.key
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
"""
NAME = "mx.example.com"


class Authority:
    """A CA in a folder; .ca is its certificate."""

    def __init__(self, folder):
        self.dir = Path(folder)
        self.dir.mkdir(exist_ok=True)
        self.ca = self.dir / "ca.pem"
        self.config = self.dir / "config"
        self.config.write_text(CONFIG.format(dir=self.dir))
        (self.dir / "index").write_text("")
        (self.dir / "serial").write_text("1000\n")
        self.openssl("req", "-x509", *self.new_key("ca"), "-subj", "/CN=Test CA", "-days", "2", "-out", self.ca)

    def openssl(self, *args):
        subprocess.run(["openssl", *map(str, args)], cwd=self.dir, check=True, capture_output=True)

    def new_key(self, name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.dir / f"{name}.key"]

    def cert(self, name, san=f"DNS:{NAME},IP:127.0.0.1,IP:::1", start=None, end=None, self_signed=False):
        """NAME.pem, certificate and key in one file; its path. start, end: 20240101000000Z."""
        out = self.dir / f"{name}.pem"
        subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName={san}"]
        crt = self.dir / f"{name}.crt"
        if self_signed:
            self.openssl("req", "-x509", *self.new_key(name), *subject, "-days", "2", "-out", crt)
        else:
            self.openssl("req", *self.new_key(name), *subject, "-out", f"{name}.csr")
            dates = (["-startdate", start] if start else []) + (["-enddate", end] if end else ["-days", "2"])
            self.openssl("ca", "-batch", "-notext", "-config", self.config, "-in", f"{name}.csr", "-out", crt, *dates)
        out.write_text(crt.read_text() + (self.dir / f"{name}.key").read_text())
        return out

    def client(self, **kw):
        """A context that believes this authority; verify=False: any certificate will do."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca)
        if not kw.pop("verify", True):
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        for name, value in kw.items():
            setattr(context, name, value)
        return context


def server(pem, **kw):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    for name, value in kw.items():
        setattr(context, name, value)
    return context


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    """For test modules: ca, good = mwtls.ca, mwtls.good."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def good(ca):
    return ca.cert("good")
