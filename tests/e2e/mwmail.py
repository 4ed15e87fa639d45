"""Mails for tests: built by hand, so that every octet is known."""
import base64
import hashlib
import io
import re
import subprocess
import tempfile
import zipfile
from pathlib import Path


def crlf(octets):
    """LF line ends become CRLF; what is CRLF already stays, and so does a bare CR."""
    return re.sub(rb"(?<!\r)\n", b"\r\n", octets)


def mail(body=b"Hello.\r\n", subject="a mail", sender="Sender <sender@example.com>", to="rcpt@example.org", message_id=None, headers=()):
    """A simple mail; body: text or octets with CRLF; headers: further whole lines."""
    head = [f"From: {sender}", f"To: {to}", "Date: Mon, 02 Mar 2026 08:15:30 +0000", f"Subject: {subject}"]
    if message_id:
        head.append(f"Message-ID: {message_id}")
    head += list(headers)
    if isinstance(body, str):
        body = crlf(body.encode())
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def eicar():
    """The EICAR test file, put together at run time so that no file of ours is taken for it."""
    return b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS" + b"-TEST-FILE!$H+H*"


def gtube():
    """SpamAssassin's test line."""
    return "XJS*C4JDBQADN1.NSBN3*2IDNEN*" + "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL" + "*C.34X"


def base64_lines(octets):
    return base64.encodebytes(octets).replace(b"\n", b"\r\n")


def zipped(name, octets):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(name, octets)
    return out.getvalue()


def part(content_type, octets, name=None, encode=True):
    """One MIME part, base64 unless encode is False."""
    head = f"Content-Type: {content_type}" + (f'; name="{name}"' if name else "")
    if name:
        head += f'\r\nContent-Disposition: attachment; filename="{name}"'
    if encode:
        head += "\r\nContent-Transfer-Encoding: base64"
    return head.encode() + b"\r\n\r\n" + (base64_lines(octets) if encode else octets)


def multipart(parts, subtype="mixed", boundary="=-mw-boundary", **kw):
    """A mail of several parts."""
    mark = boundary.encode()
    body = b"".join(b"--" + mark + b"\r\n" + p + b"\r\n" for p in parts) + b"--" + mark + b"--\r\n"
    headers = ["MIME-Version: 1.0", f'Content-Type: multipart/{subtype}; boundary="{boundary}"'] + list(kw.pop("headers", ()))
    return mail(body, headers=headers, **kw)


def eicar_mail(**kw):
    return multipart([part("text/plain", b"see the attachment\r\n", encode=False),
        part("application/octet-stream", eicar(), name="eicar.com")], **kw)


def eicar_zip_in_rfc822(**kw):
    """EICAR in a zip in a mail in a mail."""
    inner = multipart([part("application/zip", zipped("eicar.com", eicar()), name="foo.zip")], boundary="=-inner", subject="inner")
    return multipart([part("text/plain", b"forwarded\r\n", encode=False), part("message/rfc822", inner, encode=False)], **kw)


def split(octets):
    """(header section, body) at the first empty line."""
    head, gap, body = octets.partition(b"\r\n\r\n")
    if octets.startswith(b"\r\n"):
        return b"", octets[2:]
    return (head + b"\r\n", body) if gap else (octets, b"")


def fields(octets):
    """[(name, value unfolded)] of the header section."""
    found = []
    for line in split(octets)[0].split(b"\r\n"):
        if line[:1] in b" \t" and found and line:
            found[-1][1] += b" " + line.strip()
        elif b":" in line:
            name, _, value = line.partition(b":")
            found.append([name, value.strip()])
    return [(n.decode("latin-1"), v.decode("latin-1")) for n, v in found]


def field(octets, name):
    """First value of that field, or None."""
    return next((v for n, v in fields(octets) if n.lower() == name.lower()), None)


# ------------------------------------------------------------------ DKIM, by the openssl command

class DkimKey:
    """An RSA key pair for one domain and selector; .record is the DNS text, .path the private key."""

    def __init__(self, folder, domain, selector="sel", bits=2048):
        self.domain, self.selector = domain, selector
        self.path = Path(folder) / f"{selector}.{domain}.pem"
        subprocess.run(["openssl", "genrsa", "-out", str(self.path), str(bits)], check=True, capture_output=True)
        der = subprocess.run(["openssl", "rsa", "-in", str(self.path), "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        self.name = f"{selector}._domainkey.{domain}"
        self.record = "v=DKIM1; k=rsa; p=" + base64.b64encode(der).decode()

    def dns_line(self):
        """The record as a line of a zone file, its text cut into strings of at most 255 octets."""
        texts = " ".join(f'"{self.record[i:i + 250]}"' for i in range(0, len(self.record), 250))
        return f"{self.name}. 60 IN TXT {texts}"

    def sign(self, octets, names=("From", "To", "Date", "Subject", "Message-ID"), tags=""):
        """The mail with a relaxed/relaxed rsa-sha256 signature on top (RFC 6376); tags: more of them, as "x=1; "."""
        head, body = split(octets)
        raw = re.findall(rb"([^:\r\n]+):((?:[^\r\n]|\r\n[ \t])*)\r\n", head)

        def relaxed(name, value):
            return name.strip().lower() + b":" + re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip()
        canon = re.sub(rb"[ \t]+", b" ", body)
        canon = re.sub(rb" (?=\r\n)", b"", canon)
        canon = re.sub(rb"(?:\r\n)*\Z", b"\r\n", canon, count=1) if canon.strip(b"\r\n") else b""
        present = [n for n in names if any(r[0].strip().lower() == n.lower().encode() for r in raw)]
        bh = base64.b64encode(self._digest(canon)).decode()
        value = (f" v=1; a=rsa-sha256; c=relaxed/relaxed; d={self.domain}; s={self.selector};\r\n"
            f"\t{tags}h={':'.join(present)};\r\n\tbh={bh};\r\n\tb=").encode()
        signed = b""
        for n in present:
            last = [r for r in raw if r[0].strip().lower() == n.lower().encode()][-1]
            signed += relaxed(*last) + b"\r\n"
        signed += relaxed(b"DKIM-Signature", value)
        with tempfile.NamedTemporaryFile() as f:
            f.write(signed)
            f.flush()
            sig = subprocess.run(["openssl", "dgst", "-sha256", "-sign", str(self.path), f.name], check=True, capture_output=True).stdout
        b = base64.b64encode(sig).decode()
        folded = "\r\n\t ".join(b[i:i + 70] for i in range(0, len(b), 70))
        return b"DKIM-Signature:" + value + folded.encode() + b"\r\n" + octets

    @staticmethod
    def _digest(octets):
        return hashlib.sha256(octets).digest()
