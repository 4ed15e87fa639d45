"""Zip archives octet for octet, honest ones and lying ones (APPNOTE.TXT 6.3.10): each function gives the archive of one member."""
import bz2
import hashlib
import hmac
import lzma
import struct
import subprocess
import zlib

STORED, DEFLATED, DEFLATE64, BZIP2, LZMA, ZSTD, XZ, AES = 0, 8, 9, 12, 14, 93, 95, 99
ENCRYPTED, DESCRIPTOR, UTF8 = 1, 8, 0x800  # bits of the flags
DATE = 0x5A62  # 2025-03-02
PASSWORD = "Sesame-4711"
HARMLESS = b"Nothing to see here, only a few lines of text.\r\n"


def deflated(octets):
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    return c.compress(octets) + c.flush()


def packed(octets, method):
    if method in (DEFLATED, DEFLATE64):  # what has neither long matches nor far ones is the same in both
        return deflated(octets)
    if method == BZIP2:
        return bz2.compress(octets)
    if method == XZ:
        return lzma.compress(octets, lzma.FORMAT_XZ)
    if method == LZMA:  # section 5.8.8: version, size of the properties, properties
        raw = lzma.compress(octets, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2}])
        return b"\x09\x14\x05\0\x5d" + struct.pack("<I", 1 << 16) + raw
    if method == ZSTD:
        return zstd_frame(octets)
    return octets


def zstd_frame(octets):
    """RFC 8878: one segment, raw blocks."""
    assert 256 <= len(octets) < 65792 or len(octets) < 256
    size = bytes([0x20, len(octets)]) if len(octets) < 256 else b"\x60" + struct.pack("<H", len(octets) - 256)
    return b"\x28\xb5\x2f\xfd" + size + struct.pack("<I", 1 | len(octets) << 3)[:3] + octets


class Member:
    """What local header, data and central entry of one member say; each can be told to lie."""

    def __init__(self, name, octets, method=DEFLATED, **lies):
        self.name = name if isinstance(name, bytes) else name.encode()
        self.data = lies.get("data", packed(octets, method))
        self.truth = {"name": self.name, "method": method, "crc": zlib.crc32(octets), "size": len(octets), "csize": len(self.data),
            "flags": 2 if method == LZMA else 0, "extra": b"", **{k: v for k, v in lies.items() if k in ("flags", "extra", "crc")}}
        self.local_says, self.central_says = lies.get("local", {}), lies.get("central", {})
        self.behind = lies.get("behind", b"")  # the data: a descriptor
        self.offset = None

    def local(self):
        s = {**self.truth, **self.local_says}
        return struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, s["flags"], s["method"], 0, DATE, s["crc"], s["csize"], s["size"],
            len(s["name"]), len(s["extra"])) + s["name"] + s["extra"] + self.data + self.behind

    def central(self, base=0):
        s = {"offset": self.offset, "attributes": 0, **self.truth, **self.central_says}
        return struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", 20, 20, s["flags"], s["method"], 0, DATE, s["crc"], s["csize"], s["size"],
            len(s["name"]), len(s["extra"]), 0, 0, 0, s["attributes"], s["offset"] + base) + s["name"] + s["extra"]


def end(count, size, offset, comment=b""):
    return struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count, count, size, offset, len(comment)) + comment


def archive(*members, listed=None, comment=b"", base=0, between=b""):
    """Members in order, then the central directory of those that are listed (all, unless told)."""
    out = b""
    for m in members:
        m.offset = len(out)
        out += m.local()
    out += between
    listed = members if listed is None else listed
    directory = b"".join(m.central(base) for m in listed)
    return out + directory + end(len(listed), len(directory), len(out) + base, comment)


def simple(method=DEFLATED, **kw):
    return lambda name, octets: archive(Member(name, octets, method), **kw)


def lying(method=DEFLATED, **lies):
    return lambda name, octets: archive(Member(name, octets, method, **lies))


def descriptor(method=DEFLATED, signature=b"PK\7\x08"):
    """Sizes and checksum stand behind the data (section 4.3.9)."""
    def make(name, octets):
        data = packed(octets, method)
        behind = signature + struct.pack("<III", zlib.crc32(octets), len(data), len(octets))
        return archive(Member(name, octets, method, flags=DESCRIPTOR, behind=behind, local={"crc": 0, "csize": 0, "size": 0}))
    return make


def zip64(name, octets):
    data = deflated(octets)
    extra = struct.pack("<HHQQ", 1, 16, len(octets), len(data))
    most = {"csize": 0xFFFFFFFF, "size": 0xFFFFFFFF, "extra": extra}
    m = Member(name, octets, local=most, central=most)
    m.offset = 0
    out, directory = m.local(), m.central()
    at = len(out) + len(directory)
    return (out + directory + struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(directory), len(out)) +
        struct.pack("<4sIQI", b"PK\6\7", 0, at, 1) + end(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF))


def only_local(name, octets):
    """The central directory does not list it: readers of streams see it alone."""
    good = Member("readme.txt", HARMLESS)
    return archive(good, Member(name, octets), listed=[good])


def only_central(name, octets):
    """Its local header stands in another member's stored data: readers of streams do not see it."""
    hidden = Member(name, octets)
    hidden.offset = 0
    box = Member("readme.txt", HARMLESS + hidden.local(), STORED)
    out = box.local()
    hidden.offset = out.index(hidden.local())
    box.offset = 0
    directory = hidden.central()
    return out + directory + end(1, len(directory), len(out))


def other_offset(name, octets):
    """The central directory names one, and points at another."""
    good, evil = Member("readme.txt", HARMLESS), Member(name, octets)
    out = good.local() + evil.local()
    evil.offset = len(good.local())
    s = {**evil.truth, "name": b"readme.txt"}
    evil.truth, evil.name = s, b"readme.txt"
    directory = evil.central()
    return out + directory + end(1, len(directory), len(out))


def two_offsets(name, octets):
    """The offset counts from the beginning of the file, or of the archive behind what stands before: a header is at both. The one in
    front looks like none, for a NUL is in its name."""
    good, evil = Member("readme.txt", HARMLESS), Member(b"a\0" + name.encode(), octets)
    prefix = b"x" * 40 + evil.local()
    good.offset = 40
    out = b"y" * 40 + good.local()
    directory = good.central()
    return prefix + out + directory + end(1, len(directory), len(out))


def two_ends(evil_last):
    """Two archives one behind the other: which end of central directory counts?"""
    def make(name, octets):
        first, second = Member("readme.txt", HARMLESS), Member(name, octets)
        if not evil_last:
            first, second = second, first
        whole = archive(first)
        return whole + archive(second, base=len(whole))
    return make


def end_in_comment(evil_inner):
    """The comment of the outer end holds another directory with its own end."""
    def make(name, octets):
        good, evil = Member("readme.txt", HARMLESS), Member(name, octets)
        outer, inner = (good, evil) if evil_inner else (evil, good)
        good.offset, evil.offset = 0, len(good.local())
        out = good.local() + evil.local()
        directory = outer.central()
        at = len(out) + len(directory) + 22
        again = inner.central()
        return out + directory + end(1, len(directory), len(out), again + end(1, len(again), at))
    return make


def covered_by(method):
    """The comment of the true end lists one member alone, whose octets reach over all others and that end; its stream ends before."""
    def make(name, octets):
        cover, evil = Member("readme.txt", HARMLESS, method), Member(name, octets)
        cover.offset = 0
        out = cover.local()
        data = len(out) - len(cover.data)
        evil.offset = len(out)
        out += evil.local()
        directory = evil.central()
        at = len(out) + len(directory) + 22
        cover.local_says = cover.central_says = {"csize": at - data}
        out = cover.local() + out[evil.offset:]
        again = cover.central()
        return out + directory + end(1, len(directory), len(out), again + end(1, len(again), at))
    return make


def described(central_size):
    """Stored, sizes in a descriptor; the directory says others."""
    def make(name, octets):
        behind = b"PK\7\x08" + struct.pack("<III", zlib.crc32(octets), len(octets), len(octets))
        lies = {"csize": central_size, "size": central_size, "crc": zlib.crc32(octets[:central_size])}
        return archive(Member(name, octets, STORED, flags=DESCRIPTOR, behind=behind, local={"crc": 0, "csize": 0, "size": 0}, central=lies))
    return make


def described_before(name, octets):
    """To the directory one stored file; its descriptor stands in it, and a local header behind that."""
    head, evil = HARMLESS, Member(name, octets)
    inner = head + b"PK\7\x08" + struct.pack("<III", zlib.crc32(head), len(head), len(head)) + evil.local()
    behind = b"PK\7\x08" + struct.pack("<III", zlib.crc32(inner), len(inner), len(inner))
    return archive(Member("readme.txt", inner, STORED, flags=DESCRIPTOR, behind=behind, local={"crc": 0, "csize": 0, "size": 0}))


def without_directory(name, octets):
    return Member(name, octets).local()


def unicode_name(name, octets):
    """Info-ZIP's Unicode path (section 4.6.9) says another name than the header."""
    extra = struct.pack("<HHBI", 0x7075, 5 + len(name.encode()), 1, zlib.crc32(b"readme.txt")) + name.encode()
    return archive(Member("readme.txt", octets, extra=extra))


def two_unicode_names(name, octets):
    """The second field is the true one to readers that go on to the last."""
    def field(text):
        return struct.pack("<HHBI", 0x7075, 5 + len(text), 1, zlib.crc32(b"readme.txt")) + text
    return archive(Member("readme.txt", octets, extra=field(b"other.txt") + field(name.encode())))


def folder_with_stream(name, octets):
    """A folder of no octets in the directory; readers of streams find some behind its local header."""
    data = deflated(octets)
    behind = b"PK\7\x08" + struct.pack("<III", zlib.crc32(octets), len(data), len(octets))
    none = {"crc": 0, "csize": 0, "size": 0}
    return archive(Member(name + "/", octets, flags=DESCRIPTOR, behind=behind, local=none, central=none))


def directory_with_octets(name, octets):
    return archive(Member(name + "/", octets, STORED))


# ------------------------------------------------------------------ encryption

class ZipCrypto:
    """Section 6.1."""

    def __init__(self, password):
        self.keys = [0x12345678, 0x23456789, 0x34567890]
        for c in password.encode():
            self._update(c)

    @staticmethod
    def _crc(crc, c):
        return zlib.crc32(bytes([c]), crc ^ 0xFFFFFFFF) ^ 0xFFFFFFFF

    def _update(self, c):
        k = self.keys
        k[0] = self._crc(k[0], c)
        k[1] = ((k[1] + (k[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        k[2] = self._crc(k[2], k[1] >> 24)

    def encrypt(self, octets):
        out = bytearray()
        for c in octets:
            t = (self.keys[2] | 2) & 0xFFFF
            out.append(c ^ (t * (t ^ 1) >> 8) & 0xFF)
            self._update(c)
        return bytes(out)


def zipcrypto(method=DEFLATED, password=PASSWORD):
    def make(name, octets):
        head = bytes(range(1, 12)) + bytes([zlib.crc32(octets) >> 24])
        data = ZipCrypto(password).encrypt(head + packed(octets, method))
        return archive(Member(name, octets, method, data=data, flags=ENCRYPTED))
    return make


def openssl(cipher, key, octets, *more):
    """One run of `openssl enc` without padding."""
    done = subprocess.run(["openssl", "enc", f"-{cipher}", "-K", key.hex(), "-nopad", *more], input=octets, capture_output=True, check=True)
    return done.stdout


def aes(bits=256, version=2, method=DEFLATED, password=PASSWORD):
    """WinZip's AE-1 and AE-2: counter mode with the counter's low octet first, HMAC-SHA1 of what is encrypted."""
    def make(name, octets):
        strength = {128: 1, 192: 2, 256: 3}[bits]
        size = bits // 8
        salt = bytes(range(7, 7 + size // 2))
        keys = hashlib.pbkdf2_hmac("sha1", password.encode(), salt, 1000, 2 * size + 2)
        plain = packed(octets, method)
        counters = b"".join(n.to_bytes(16, "little") for n in range(1, len(plain) // 16 + 2))
        stream = openssl(f"aes-{bits}-ecb", keys[:size], counters)
        secret = bytes(a ^ b for a, b in zip(plain, stream))
        mac = hmac.new(keys[size:2 * size], secret, "sha1").digest()[:10]
        extra = struct.pack("<HHH2sBH", 0x9901, 7, version, b"AE", strength, method)
        more = {"crc": 0} if version == 2 else {}
        return archive(Member(name, octets, AES, data=salt + keys[2 * size:] + secret + mac, flags=ENCRYPTED, extra=extra, **more))
    return make


def aes_of_two_methods(name, octets):
    """What the octets are when they are plain, the directory does not say truly."""
    def extra(method):
        return struct.pack("<HHH2sBH", 0x9901, 7, 2, b"AE", 3, method)
    whole = aes(256)(name, octets)
    at = whole.index(b"PK\1\2")
    return whole[:at] + whole[at:].replace(extra(DEFLATED), extra(STORED))
