"""
S/MIME: CMS (RFC 5652) and PKCS #7 around a MIME entity or a file, octet for octet, and as openssl writes it. FORMS: what a content is
wrapped in; ENTITIES: what mail programs show of a content; CARRIERS: how a mail brings it. CASES has them together.
"""
import base64
import functools
import pathlib
import subprocess
import tempfile
import zlib

import mwodd
import mwzip
from mwmail import base64_lines

# ------------------------------------------------------------------ BER (X.690)


def length(n):
    return bytes([n]) if n < 128 else b"\x84" + n.to_bytes(4, "big")


def der(tag, *content):
    octets = b"".join(content)
    return bytes([tag]) + length(len(octets)) + octets


def ber(tag, *content):
    return bytes([tag]) + b"\x80" + b"".join(content) + b"\0\0"


def padded(tag, *content):
    """A length in more octets than it needs."""
    octets = b"".join(content)
    return bytes([tag]) + b"\x87" + len(octets).to_bytes(7, "big") + octets


def long_tags(tag, *content):
    """A tag in the form that numbers beyond 30 need."""
    octets = b"".join(content)
    return bytes([tag | 0x1F, 0x80, tag & 0x1F]) + length(len(octets)) + octets


def pieces(octets, n):
    return [der(4, octets[i:i + n]) for i in range(0, len(octets), n)] or [der(4)]


def one(octets):
    return der(4, octets)


def in_pieces(octets, n=7):
    return ber(0x24, *pieces(octets, n))


def in_definite_pieces(octets):
    return der(0x24, *pieces(octets, 11))


def in_pieces_of_pieces(octets):
    return ber(0x24, *(ber(0x24, *pieces(octets[i:i + 40], 9)) for i in range(0, len(octets), 40)))


def bare_pieces(octets):
    return b"".join(pieces(octets, 13))


# ------------------------------------------------------------------ CMS

PKCS7 = bytes.fromhex("2a864886f70d0107")
CT = bytes.fromhex("2a864886f70d0109100101")[:-1]


def oid(prefix, number):
    return der(6, prefix + bytes([number]))


DATA, SIGNED, ENVELOPED, SIGNED_ENVELOPED, DIGESTED, ENCRYPTED = (oid(PKCS7, n) for n in range(1, 7))
AUTHENTICATED, COMPRESSED, COLLECTION, WITH_ATTRIBUTES, AUTH_ENVELOPED, TIME_STAMPED = (oid(CT, n) for n in (2, 9, 19, 20, 23, 31))
SHA256 = der(0x30, der(6, bytes.fromhex("608648016503040201")), der(5))
ZLIB = der(0x30, der(6, bytes.fromhex("2a864886f70d0109100308")))
AES = der(0x30, der(6, bytes.fromhex("60864801650304012a")), der(4, bytes(16)))
VERSION = der(2, b"\1")


def info(kind, content, how=der):
    return how(0x30, kind, how(0xA0, content))


def signed(encapsulated, how=der, certificates=b""):
    return how(0x30, VERSION, how(0x31, SHA256), encapsulated, certificates, how(0x31))


def signing(string=one, how=der, kind=DATA):
    return lambda octets: info(SIGNED, signed(info(kind, string(octets), how), how), how)


def compressing(string=one, how=der, kind=DATA):
    return lambda octets: info(COMPRESSED, how(0x30, VERSION, ZLIB, info(kind, string(zlib.compress(octets)), how)), how)


def digested(octets):
    return info(DIGESTED, der(0x30, VERSION, SHA256, info(DATA, one(octets)), der(4, bytes(32))))


def authenticated(octets):
    return info(AUTHENTICATED, der(0x30, VERSION, der(0x31), SHA256, info(DATA, one(octets)), der(4, bytes(32))))


def time_stamped(octets):
    return info(TIME_STAMPED, der(0x30, VERSION, one(octets), der(0xA0, der(0x31))))


def collected(octets):
    return info(COLLECTION, der(0x30, info(DATA, one(b"Content-Type: text/plain\r\n\r\nhi")), signing()(octets)))


def with_attributes(octets):
    return info(WITH_ATTRIBUTES, der(0x30, signing()(octets), der(0x31)))


def inside(kind, inner, outer=signing, string=one):
    """A content in a signed one without a type of its own: `inner` without the sequence and the OID around it."""
    def make(octets):
        whole = inner(octets)
        head = whole.index(b"\xa0", len(kind)) + 1
        size = 1 if whole[head] < 128 else 5
        return outer(string, kind=kind)(whole[head + size:])
    return make


def content_itself(octets):
    """RFC 2315: not in an octet string."""
    return info(SIGNED, signed(info(SIGNED, signed(info(DATA, one(octets))))))


def encrypted(kind):
    sealed = der(0x30, DATA, AES, der(0x80, bytes(range(64))))
    recipients = der(0x31) if kind in (ENVELOPED, AUTH_ENVELOPED, SIGNED_ENVELOPED) else b""
    return lambda _: info(kind, der(0x30, VERSION, recipients, sealed))


def pem(label, make, line=64):
    def text(octets):
        b = base64.b64encode(make(octets))
        return b"-----BEGIN %s-----\n" % label + b"".join(b[i:i + line] + b"\n" for i in range(0, len(b), line)) + b"-----END %s-----\n" % label
    return text


def with_junk_certificate(octets):
    return info(SIGNED, signed(info(DATA, one(octets)), certificates=der(0xA0, der(0x30, bytes(600)))))


# ------------------------------------------------------------------ openssl

@functools.cache
def identity():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mw-smime-"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "key", "-out", folder / "cert", "-days", "9",
        "-subj", "/CN=Eve"], check=True, capture_output=True)
    both = (folder / "key").read_bytes() + (folder / "cert").read_bytes()
    for path in ("key", "cert"):
        (folder / path).unlink()
    folder.rmdir()
    return both


@functools.cache
def openssl_cms(octets, *args):
    with tempfile.NamedTemporaryFile() as key:
        key.write(identity())
        key.flush()
        args = [key.name if a == "KEY" else a for a in args]
        return subprocess.run(["openssl", "cms", "-binary", *args], input=octets, check=True, capture_output=True).stdout


def by_openssl(*args):
    return lambda octets: openssl_cms(octets, *args)


SIGN = ("-sign", "-signer", "KEY", "-nodetach")
FORMS = {
    "signed": signing(),
    "signed, indefinite": signing(how=ber),
    "signed, in pieces": signing(in_pieces, ber),
    "signed, in single octets": signing(lambda o: in_pieces(o, 1), ber),
    "signed, in definite pieces": signing(in_definite_pieces),
    "signed, in pieces of pieces": signing(in_pieces_of_pieces, ber),
    "signed, in bare pieces": signing(bare_pieces),
    "signed, long lengths": signing(how=padded),
    "signed, long tags": signing(lambda o: long_tags(4, o), long_tags),
    "signed, with a certificate": with_junk_certificate,
    "signed, type unknown": signing(kind=der(6, b"\x2a\x03")),
    "signed by openssl": by_openssl(*SIGN, "-outform", "DER"),
    "signed by openssl, streamed": by_openssl(*SIGN, "-outform", "DER", "-stream"),
    "signed by openssl, PEM": by_openssl(*SIGN, "-outform", "PEM"),
    "signed, PEM of PKCS7": pem(b"PKCS7", signing()),
    "signed, PEM in long lines": pem(b"CMS", signing(in_pieces, ber), 4000),
    "signed, base64 once more": lambda o: base64_lines(signing(in_pieces, ber)(o)),
    "signed in signed": inside(SIGNED, signing()),
    "signed in signed, in pieces": inside(SIGNED, signing(in_pieces), string=in_pieces_of_pieces),
    "signed in signed itself": content_itself,
    "signed info in signed": lambda o: signing()(signing()(o)),
    "compressed": compressing(),
    "compressed, in pieces": compressing(in_pieces, ber),
    "compressed in signed": inside(COMPRESSED, compressing()),
    "signed in compressed": inside(SIGNED, signing(), compressing),
    "digested": digested,
    "digested by openssl": by_openssl("-digest_create", "-outform", "DER"),
    "authenticated": authenticated,
    "data": lambda o: info(DATA, one(o)),
    "data by openssl": by_openssl("-data_create", "-outform", "DER", "-stream"),
    "time-stamped": time_stamped,
    "collected": collected,
    "with attributes": with_attributes,
}
# Data that has fields in it and begins with none is S/MIME to one reader and a mail with a bad first line to another.
ODD = ("signed info in signed",)
SECRETS = {
    "enveloped": encrypted(ENVELOPED),
    "signed and enveloped": encrypted(SIGNED_ENVELOPED),
    "encrypted": encrypted(ENCRYPTED),
    "authenticated and enveloped": encrypted(AUTH_ENVELOPED),
    "enveloped by openssl": by_openssl("-encrypt", "-aes256", "-outform", "DER", "-recip", "KEY"),
    "enveloped in signed": inside(ENVELOPED, encrypted(ENVELOPED)),
}

# ------------------------------------------------------------------ what is in it, and around it


def of_two(name, octets):
    return mwodd.multipart(mwodd.NOTE, mwodd.file_part(name, octets), field=b"Content-Type: multipart/mixed; boundary=in\r\n", mark=b"in",
        end=b"--in--\r\n", head=b"")


def forwarded(name, octets):
    return b"Content-Type: message/rfc822\r\n\r\n" + mwodd.inner(name, octets)


def zipped(name, octets):
    return mwodd.file_part("a.zip", mwzip.simple()(name, octets))


def smime_again(name, octets):
    """Signed, and signed once more, each as an entity."""
    return smime_head() + base64_lines(signing()(of_two(name, octets)))


ENTITIES = {
    "a file": mwodd.file_part,
    "two parts": of_two,
    "a message": forwarded,
    "a zip": zipped,
    "S/MIME": smime_again,
    "parts behind an empty line": lambda n, o: b"\r\n" + of_two(n, o),
}


def smime_head(ctype=b"application/pkcs7-mime; smime-type=signed-data; name=smime.p7m", encoding=b"base64"):
    return (b"Content-Type: " + ctype + b"\r\nContent-Transfer-Encoding: " + encoding + b"\r\n" +
        b"Content-Disposition: attachment; filename=smime.p7m\r\n\r\n")


def whole(ctype=b"application/pkcs7-mime; smime-type=signed-data; name=smime.p7m", encoding=b"base64", encode=base64_lines):
    return lambda octets: mwodd.HEAD + smime_head(ctype, encoding) + encode(octets) + b"\r\n"


CARRIERS = {
    "whole mail": whole(),
    "x-pkcs7-mime": whole(b"application/x-pkcs7-mime"),
    "quoted-printable": whole(encoding=b"quoted-printable", encode=mwodd.quoted_all),
    "octet-stream": whole(b"application/octet-stream"),
    "attachment": lambda o: mwodd.attached("smime.p7m", o, b"application/pkcs7-mime"),
    "attachment without a name": lambda o: mwodd.multipart(mwodd.NOTE, b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: "
        b"base64\r\n\r\n" + base64_lines(o)),
    "attached as image": lambda o: mwodd.attached("a.jpg", o, b"image/jpeg"),
    "zip": lambda o: mwodd.attached("a.zip", mwzip.simple()("smime.p7m", o)),
    "eml": lambda o: mwodd.attached("a.eml", whole()(o)),
}
CASES = {}
for form, wrap in FORMS.items():
    for i, carrier in enumerate(CARRIERS):
        # Each form with each carrier of mail programs, and with one entity: all of them in turn.
        if i < 3 or (i + list(FORMS).index(form)) % 3 == 0:
            entity = list(ENTITIES)[(i + list(FORMS).index(form)) % 5]
            CASES[f"smime {form}, {entity}, {carrier}"] = (
                lambda n, o, w=wrap, e=ENTITIES[entity], c=CARRIERS[carrier]: c(w(e(n, o))), {"odd": form in ODD})
CASES["smime behind an empty line"] = (lambda n, o: whole()(signing()(ENTITIES["parts behind an empty line"](n, o))), {"odd": True})
for form in ("signed", "signed, in pieces", "signed, PEM of PKCS7", "compressed", "data", "signed by openssl", "signed in signed"):
    # A file that is signed, as authorities want documents: its name is that of the whole without .p7m.
    CASES[f"smime {form}, file"] = (lambda n, o, w=FORMS[form]: mwodd.attached(n + ".p7m", w(o)),
        {"tells_name": form != "signed in signed"})
for form, wrap in SECRETS.items():
    CASES[f"smime {form}"] = (lambda n, o, w=wrap: whole()(w(o)), {"secret": True})
CASES["smime encrypted by openssl in signed, an entity"] = (lambda n, o: whole()(signing()(
    smime_head() + base64_lines(SECRETS["enveloped by openssl"](mwodd.file_part(n, o))))), {"secret": True})


def detached(name, octets):
    """What most signed mail is: nothing is inside of the signature."""
    part = mwodd.file_part(name, octets)
    signature = info(SIGNED, signed(der(0x30, DATA)))
    return mwodd.multipart(part, b"Content-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
        base64_lines(signature), field=b"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=bb\r\n")


CASES["smime detached"] = (detached, {})
