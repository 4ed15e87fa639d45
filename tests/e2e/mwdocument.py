"""Documents that hold files, octet for octet: OLE compound files, Outlook's formats, OOXML, PDF, RTF, HTML, mailboxes."""
import base64
import hashlib
import struct
import subprocess
import zlib
from urllib.parse import quote_from_bytes

import mwzip
from mwmail import base64_lines

# ------------------------------------------------------------------ compound files ([MS-CFB])

SECTOR, MINI, CUTOFF = 512, 64, 4096
END, FREE, FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


class Cfb:
    """Version 3: short streams in the mini stream, siblings as a chain to the right."""

    def __init__(self, streams, clsid=bytes(16)):
        self.entries = [["Root Entry", 5, [], clsid, END, 0]]  # name, kind, children, class, first sector, size
        self.octets = [b""]
        for path, octets in streams.items():
            self._put(0, path.split("/"), octets)
        self.octets[0] = self._pack_short()

    def _put(self, parent, path, octets):
        name, rest = path[0], path[1:]
        known = [c for c in self.entries[parent][2] if self.entries[c][0] == name]
        if not known:
            self.entries[parent][2].append(len(self.entries))
            known = [len(self.entries)]
            self.entries.append([name, 1 if rest else 2, [], bytes(16), END, 0])
            self.octets.append(b"" if rest else octets)
        if rest:
            self._put(known[0], rest, octets)

    def _pack_short(self):
        self.mini, out = [], b""
        for e, octets in zip(self.entries, self.octets):
            if e[1] != 2 or not octets or len(octets) >= CUTOFF:
                continue
            e[4], e[5] = len(self.mini), len(octets)
            count = -(-len(octets) // MINI)
            self.mini += [len(self.mini) + i + 1 for i in range(count - 1)] + [END]
            out += octets.ljust(count * MINI, b"\0")
        return out

    def _entry(self, i):
        name, kind, children, clsid, first, size = self.entries[i]
        siblings = next((e[2] for e in self.entries if i in e[2]), [])
        order = sorted(siblings, key=lambda c: (len(self.entries[c][0]), self.entries[c][0].upper()))
        right = order[order.index(i) + 1] if i in order and order.index(i) + 1 < len(order) else FREE
        below = min(children, key=lambda c: (len(self.entries[c][0]), self.entries[c][0].upper())) if children else FREE
        wide = name.encode("utf-16le") + b"\0\0"
        return (wide.ljust(64, b"\0") + struct.pack("<HBBIII", len(wide), kind, 1, FREE, right, below) + clsid + bytes(20) +
            struct.pack("<IQ", first, size))

    def build(self):
        sectors, fat = [], []

        def put(octets):
            if not octets:
                return END
            first, count = len(fat), -(-len(octets) // SECTOR)
            fat.extend([first + i + 1 for i in range(count - 1)] + [END])
            sectors.append(octets.ljust(count * SECTOR, b"\0"))
            return first
        for e, octets in zip(self.entries, self.octets):
            if e[1] == 5 or e[1] == 2 and len(octets) >= CUTOFF:
                e[4], e[5] = put(octets), len(octets)
        mini = struct.pack(f"<{len(self.mini)}I", *self.mini)
        mini_first = put(mini + b"\xff" * (-len(mini) % SECTOR))
        folder = b"".join(self._entry(i) for i in range(len(self.entries)))
        folder_first = put(folder + (bytes(68) + b"\xff" * 12 + bytes(48)) * (-len(self.entries) % 4))
        count = next(n for n in range(1, 100) if n * 128 >= len(fat) + n)
        at = len(fat)
        fat += [FAT] * count
        table = struct.pack(f"<{len(fat)}I", *fat).ljust(count * SECTOR, b"\xff")
        head = (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6) +
            struct.pack("<IIIIIIIII", 0, count, folder_first, 0, CUTOFF, mini_first, -(-len(mini) // SECTOR), END, 0))
        difat = [at + i for i in range(count)]
        return head + struct.pack("<109I", *difat, *[FREE] * (109 - count)) + b"".join(sectors) + table


def cfb(streams, clsid=bytes(16)):
    return Cfb(streams, clsid).build()


def package(name, octets):
    """What Packager stores: label, path, path again, octets."""
    n = name.encode()
    path = b"C:\\tmp\\" + n + b"\0"
    return b"\2\0" + n + b"\0" + path + b"\0\0\3\0" + struct.pack("<I", len(path)) + path + struct.pack("<I", len(octets)) + octets


def native(name, octets):
    """The stream \\1Ole10Native ([MS-OLEDS] 2.3.6)."""
    body = package(name, octets)
    return struct.pack("<I", len(body)) + body


def native_wide(name, octets):
    """Its names in UTF-16 stand behind it; in octets it is harmless."""
    def wide(text):
        return struct.pack("<I", len(text)) + text.encode("utf-16le")
    body = package("readme.txt", octets) + wide("C:\\tmp\\readme.txt") + wide(name) + wide("C:\\tmp\\readme.txt")
    return struct.pack("<I", len(body)) + body


def word_wide(name, octets):
    return cfb({"WordDocument": b"\xec\xa5\xc1\0" + bytes(300), "ObjectPool/_1234/\1Ole10Native": native_wide(name, octets)})


def word(name, octets):
    return cfb({"WordDocument": b"\xec\xa5\xc1\0" + bytes(300), "1Table": bytes(200), "ObjectPool/_1234/\1Ole10Native": native(name, octets),
        "ObjectPool/_1234/\1CompObj": bytes(70)})


def ole_long(name, octets):
    """In ordinary sectors instead of the mini stream."""
    return cfb({"\1Ole10Native": native(name, octets) + bytes(CUTOFF)})


def ole_contents(name, octets):
    """An object of a program that keeps the file as it is."""
    return cfb({"CONTENTS": octets, "\1CompObj": bytes(70)})


def msg(name, octets):
    """[MS-OXMSG]: an attachment's data, long and short name."""
    at = "__attach_version1.0_#00000000/"
    return cfb({"__properties_version1.0": bytes(32), "__substg1.0_001A001F": "IPM.Note".encode("utf-16le"),
        "__substg1.0_0037001F": "hello".encode("utf-16le"), at + "__properties_version1.0": bytes(8),
        at + "__substg1.0_37010102": octets, at + "__substg1.0_3704001F": name[-12:].encode("utf-16le"),
        at + "__substg1.0_3707001F": name.encode("utf-16le")})


def msg_named(tag):
    """The name that counts is one of several; the others are harmless."""
    def make(name, octets):
        at = "__attach_version1.0_#00000000/"
        names = {t: "readme.txt" for t in ("3707001E", "3707001F", "3704001E", "3704001F", "3001001F", "370C001F")}
        names[tag] = name
        return cfb({"__properties_version1.0": bytes(32), at + "__properties_version1.0": bytes(8), at + "__substg1.0_37010102": octets,
            **{at + "__substg1.0_" + t: n.encode("utf-16le" if t.endswith("F") else "ascii") for t, n in names.items()}})
    return make


def msg_in_msg(name, octets):
    at, inner = "__attach_version1.0_#00000000/", "__substg1.0_3701000D/__attach_version1.0_#00000000/"
    return cfb({"__properties_version1.0": bytes(32), at + "__properties_version1.0": bytes(8), at + inner + "__substg1.0_37010102": octets,
        at + inner + "__substg1.0_3707001F": name.encode("utf-16le"), at + inner + "__properties_version1.0": bytes(8)})


def aes(key, iv, octets, chained=True):
    """Whole blocks; what is missing of the last one is zeros."""
    mode = ["-iv", iv.ljust(16, b"\x36")[:16].hex()] if chained else []
    return subprocess.run(["openssl", "enc", f"-aes-{8 * len(key)}-{'cbc' if chained else 'ecb'}", "-nopad", "-K", key.hex(), *mode],
        input=octets + bytes(-len(octets) % 16), capture_output=True, check=True).stdout


def spun(kind, salt, password, rounds):
    digest = hashlib.new(kind, salt + password.encode("utf-16le")).digest()
    for i in range(rounds):
        digest = hashlib.new(kind, struct.pack("<I", i) + digest).digest()
    return digest


def agile(octets, password, kind="sha512", bits=256, rounds=100000, said=None, before=""):
    """[MS-OFFCRYPTO] 2.3.4.10 on, without the integrity that readers do not need."""
    salt, data_salt, verifier = (hashlib.md5(b"%d" % i).digest() for i in range(3))
    data_key = hashlib.sha512(b"key").digest()[:bits // 8]
    digest = spun(kind, salt, password, rounds)

    def sealed(purpose, value):
        key = hashlib.new(kind, digest + bytes.fromhex(purpose)).digest().ljust(bits // 8, b"\x36")[:bits // 8]
        return base64.b64encode(aes(key, salt, value)).decode()

    def parameters(of):
        return (f'saltSize="16" blockSize="16" keyBits="{bits}" hashSize="{len(digest)}" cipherAlgorithm="AES" '
            f'cipherChaining="ChainingModeCBC" hashAlgorithm="{kind.upper()}" saltValue="{base64.b64encode(of).decode()}"')
    info = (f'<?xml version="1.0"?>{before}<encryption xmlns="http://schemas.microsoft.com/office/2006/encryption" '
        f'xmlns:p="http://schemas.microsoft.com/office/2006/keyEncryptor/password"><keyData {parameters(data_salt)}/><keyEncryptors>'
        f'<keyEncryptor uri="http://schemas.microsoft.com/office/2006/keyEncryptor/password"><p:encryptedKey spinCount="{said or rounds}" '
        f'{parameters(salt)} encryptedVerifierHashInput="{sealed("fea7d2763b4b9e79", verifier)}" '
        f'encryptedVerifierHashValue="{sealed("d7aa0f6d3061344e", hashlib.new(kind, verifier).digest())}" '
        f'encryptedKeyValue="{sealed("146e0be7abacd0d6", data_key)}"/></keyEncryptor></keyEncryptors></encryption>')
    package = struct.pack("<Q", len(octets))
    for i in range(0, len(octets), 4096):
        package += aes(data_key, hashlib.new(kind, data_salt + struct.pack("<I", i // 4096)).digest(), octets[i:i + 4096])
    return cfb({"EncryptionInfo": b"\4\0\4\0\x40\0\0\0" + info.encode(), "EncryptedPackage": package})


def standard(octets, password, bits=128):
    """[MS-OFFCRYPTO] 2.3.4.5 on."""
    salt, verifier = hashlib.md5(b"salt").digest(), hashlib.md5(b"verifier").digest()
    last = hashlib.sha1(spun("sha1", salt, password, 50000) + bytes(4)).digest()
    key = b"".join(hashlib.sha1(bytes(a ^ b for a, b in zip(bytes([fill]) * 64, last.ljust(64, b"\0")))).digest() for fill in (0x36, 0x5c))[:bits // 8]
    header = struct.pack("<IIIIIIII", 0x24, 0, {128: 0x660e, 192: 0x660f, 256: 0x6610}[bits], 0x8004, bits, 0x18, 0, 0) + bytes(2)
    info = (struct.pack("<HHII", 4, 2, 0x24, len(header)) + header + struct.pack("<I", 16) + salt + aes(key, b"", verifier, False) +
        struct.pack("<I", 20) + aes(key, b"", hashlib.sha1(verifier).digest(), False))
    return cfb({"EncryptionInfo": info, "EncryptedPackage": struct.pack("<Q", len(octets)) + aes(key, b"", octets, False)})


def encrypted_office(name, octets):
    secret = hashlib.sha512(name.encode() + octets).digest() * 80
    return cfb({"EncryptionInfo": b"\4\0\4\0\x40\0\0\0<encryption/>", "EncryptedPackage": struct.pack("<Q", len(secret)) + secret})


# ------------------------------------------------------------------ TNEF ([MS-OXTNEF])

def tnef_attribute(level, identity, data):
    return struct.pack("<BII", level, identity, len(data)) + data + struct.pack("<H", sum(data) & 0xFFFF)


def tnef_properties(name, octets):
    def counted(o):
        return struct.pack("<II", 1, len(o)) + o + bytes(-len(o) % 4)
    wide = name.encode("utf-16le") + b"\0\0"
    out = struct.pack("<I", 2 if octets is not None else 1) + struct.pack("<I", 0x3707001F) + counted(wide)
    return out + (struct.pack("<I", 0x37010102) + counted(octets) if octets is not None else b"")


def tnef(where="attribute"):
    def make(name, octets):
        out = struct.pack("<IH", 0x223E9F78, 1) + tnef_attribute(1, 0x00089006, struct.pack("<I", 0x00010000))
        out += tnef_attribute(2, 0x00069002, b"\1\0" + b"\xff" * 4 + bytes(8))
        if where == "attribute":
            out += tnef_attribute(2, 0x0006800F, octets)
            return out + tnef_attribute(2, 0x00018010, name.encode() + b"\0")
        if where == "long name":
            out += tnef_attribute(2, 0x0006800F, octets) + tnef_attribute(2, 0x00018010, b"SHORT~1.DAT\0")
            return out + tnef_attribute(2, 0x00069005, tnef_properties(name, None))
        return out + tnef_attribute(2, 0x00069005, tnef_properties(name, octets))
    return make


def tnef_named(which):
    """The name that counts is one of several, in properties and attributes; the others are harmless."""
    def make(name, octets):
        def counted(tag, text):
            return struct.pack("<III", tag, 1, len(text)) + text + bytes(-len(text) % 4)
        tags = (0x3707001E, 0x3001001E, 0x3704001E, 0x370C001E, 0x3707001E)
        names = [(name if i == which else "readme.txt").encode() + b"\0" for i in range(len(tags) + 2)]
        out = struct.pack("<IH", 0x223E9F78, 1) + tnef_attribute(2, 0x00069002, b"\1\0" + b"\xff" * 4 + bytes(8)) + tnef_attribute(2, 0x0006800F, octets)
        out += tnef_attribute(2, 0x00018010, names[5]) + tnef_attribute(2, 0x00069001, names[6])
        return out + tnef_attribute(2, 0x00069005, struct.pack("<I", len(tags)) + b"".join(counted(*pair) for pair in zip(tags, names)))
    return make


# ------------------------------------------------------------------ OOXML, OpenDocument

def zip_of(*members):
    return mwzip.archive(*(mwzip.Member(n, o) for n, o in members))


TYPES = ("[Content_Types].xml", b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>')
RELS = ("_rels/.rels", b'<?xml version="1.0"?><Relationships/>')
TEXT = ("word/document.xml", b'<?xml version="1.0"?><w:document/>')


def docx_object(name, octets):
    return zip_of(TYPES, RELS, TEXT, ("word/embeddings/oleObject1.bin", cfb({"\1Ole10Native": native(name, octets)})))


def docx_file(name, octets):
    return zip_of(TYPES, RELS, TEXT, ("word/embeddings/" + name, octets))


def docx_in_docx(name, octets):
    return zip_of(TYPES, RELS, TEXT, ("word/embeddings/Document1.docx", docx_object(name, octets)))


def odt_file(name, octets):
    return mwzip.archive(mwzip.Member("mimetype", b"application/vnd.oasis.opendocument.text", mwzip.STORED),
        mwzip.Member("Object 1/" + name, octets))


# ------------------------------------------------------------------ PDF (ISO 32000-1, 7.11.4)

FILTERS = {
    "": lambda o: o,
    "/FlateDecode": zlib.compress,
    "/ASCIIHexDecode": lambda o: o.hex().encode() + b">",
    "/ASCII85Decode": lambda o: base64.a85encode(o) + b"~>",
    "[/ASCII85Decode /FlateDecode]": lambda o: base64.a85encode(zlib.compress(o)) + b"~>",
    "[/AHx /Fl]": lambda o: zlib.compress(o).hex().encode() + b">",
    "/RunLengthDecode": lambda o: b"".join(bytes([len(o[i:i + 128]) - 1]) + o[i:i + 128] for i in range(0, len(o), 128)) + b"\x80",
}


def pdf_stream(number, words, octets):
    return b"%d 0 obj\n<< %s /Length %d >>\nstream\n" % (number, words.encode(), len(octets)) + octets + b"\nendstream\nendobj\n"


def pdf(how="", packed=False, secret=False, name_as=lambda n: f"({n})", type_as="/EmbeddedFile"):
    """packed: the file's description stands in an object stream (7.5.7); then a stream of references is due (7.5.8)."""
    def make(name, octets):
        objects = {1: "<< /Type /Catalog /Pages 2 0 R /Names << /EmbeddedFiles << /Names [(x) 4 0 R] >> >> >>",
            2: "<< /Type /Pages /Kids [] /Count 0 >>", 4: f"<< /Type /Filespec /F {name_as(name)} /UF {name_as(name)} /EF << /F 5 0 R >> >>"}
        out = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
        filters = f" /Filter {how}" if how else ""
        if secret:
            octets = hashlib.sha512(octets).digest() * (len(octets) // 64 + 1)
            objects[4] = objects[4].replace(name_as(name), f"<{hashlib.md5(name.encode()).hexdigest()}>")
        if packed:
            pairs, text = [], ""
            for number, body in objects.items():
                pairs.append(f"{number} {len(text)}")
                text += body + "\n"
            head = " ".join(pairs) + "\n"
            out += pdf_stream(6, f"/Type /ObjStm /N {len(objects)} /First {len(head)} /Filter /FlateDecode", zlib.compress((head + text).encode()))
        else:
            out += b"".join(b"%d 0 obj\n%s\nendobj\n" % (n, body.encode()) for n, body in objects.items())
        out += pdf_stream(5, f"/Type {type_as}{filters}", FILTERS[how](octets))
        guard = "/Encrypt << /Filter /Standard /V 2 /R 3 /Length 128 /P -44 /O <" + "41" * 32 + "> /U <" + "42" * 32 + "> >> " if secret else ""
        return out + f"trailer\n<< /Root 1 0 R {guard}/Size 7 >>\nstartxref\n0\n%%EOF\n".encode()
    return make


def pdf_predicted(name, octets):
    """Deflated in rows of PNG's second filter (7.4.4.4), the object's number in front of a comment."""
    rows = [octets[i:i + 16] for i in range(0, len(octets), 16)]
    above, out = bytes(16), b""
    for row in rows:
        out += b"\2" + bytes((a - b) & 255 for a, b in zip(row, above))
        above = row
    packed = zlib.compress(out)
    return (b"%%PDF-1.7\n4 0 obj << /Type /Filespec /F (%s) /EF << /F 5 0 R >> >> endobj\n5 %%comment\n0 obj\n"
        b"<< /Filter /FlateDecode /DecodeParms << /Predictor 12 /Columns 16 >> /Length %d >>\nstream\n" % (name.encode(), len(packed)) + packed +
        b"\nendstream\nendobj\ntrailer << >>\n")


def pdf_before_mht(name, octets):
    """An office program finds the web page."""
    return b"%PDF-1.7\n1 0 obj << /Type /Catalog >> endobj\n" + b"MIME-Version: 1.0\r\n" + eml(name, octets)


def pdf_before_mht_small(name, octets):
    """Another page, which is harmless, stands in front."""
    return (b"%PDF-1.7\n1 0 obj << /Type /Catalog >> endobj\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
        b"mime-version: 1.0\r\n" + eml(name, octets))


def pdf_name_utf16(name):
    return "<" + (b"\xfe\xff" + name.encode("utf-16be")).hex() + ">"


def pdf_name_octal(name):
    return "(" + "".join(f"\\{c:03o}" for c in name.encode()) + ")"


# ------------------------------------------------------------------ RTF

def rtf(octets, how="hex"):
    text = octets.hex()
    if how == "blanks":
        text = "\r\n ".join(text[i:i + 5].upper() for i in range(0, len(text), 5))
    if how == "groups":  # control words and groups inside, that readers pass over
        text = "{\\*\\x}".join(text[i:i + 64] for i in range(0, len(text), 64))
    data = f"\\bin{len(octets)} ".encode() + octets if how == "bin" else text.encode()
    return b"{\\rtf1\\ansi{\\fonttbl{\\f0 Arial;}}hello\\par{\\object\\objemb{\\*\\objclass Package}{\\*\\objdata " + data + b"}}}\n"


def ole1(name, octets):
    """[MS-OLEDS] 2.2.5: an embedded object of version 1."""
    body = package(name, octets)
    return struct.pack("<III", 0x501, 2, 8) + b"Package\0" + bytes(8) + struct.pack("<I", len(body)) + body


def rtf_package(how="hex"):
    return lambda name, octets: rtf(ole1(name, octets), how)


def rtf_compound(name, octets):
    body = cfb({"\1Ole10Native": native(name, octets)})
    return rtf(struct.pack("<III", 0x501, 2, 15) + b"Word.Document.8"[:14] + b"\0" + bytes(8) + struct.pack("<I", len(body)) + body)


# ------------------------------------------------------------------ HTML (RFC 2397)

def html(how="base64", attribute='href="{}"'):
    def make(_, octets):
        if how == "base64":
            url = "data:application/octet-stream;base64," + base64.b64encode(octets).decode()
        elif how == "blanks":
            text = base64.b64encode(octets).decode()
            url = "data:application/octet-stream;base64,\r\n" + "\r\n ".join(text[i:i + 60] for i in range(0, len(text), 60))
        elif how == "escaped base64":
            url = "data:;base64," + "".join(f"%{c:02X}" if c in b"+/=" else chr(c) for c in base64.b64encode(octets))
        elif how == "entities":
            url = "dat&#97;:application/octet-stream;bas&#x65;64," + base64.b64encode(octets).decode().replace("=", "&equals;")
        else:
            url = "data:application/octet-stream," + quote_from_bytes(octets, safe="")
        return f"<html><body><p>hello</p><a {attribute.format(url)}>open</a></body></html>\r\n".encode()
    return make


def saved_page(text):
    """A page with an address in some place: {b} is the file in base64, {p} with percent signs, {n} its name."""
    def make(name, octets):
        return ("<html><body><p>hello</p>" + text.format(b=base64.b64encode(octets).decode(), p=quote_from_bytes(octets, safe=""), n=name,
            lines="\n".join(base64_lines(octets).decode().split()), half=base64.b64encode(octets).decode()[:40],
            rest=base64.b64encode(octets).decode()[40:], x="x" * 5000) + "</body></html>\r\n").encode()
    return make


PAGES = {
    "upper case": "<a download='{n}' href='DATA:APPLICATION/OCTET-STREAM;BASE64,{b}'>open</a>",
    "line ends in the scheme": "<a download='{n}' href='da\n\tta:a/b;base64,{b}'>open</a>",
    "references to line ends in the scheme": "<a download='{n}' href='da&#10;ta&Tab;:a/b;base64,{b}'>open</a>",
    "a comma in disguise": "<a download='{n}' href='data:a/b;base64&comma;{b}'>open</a>",
    "digits in disguise": "<a download='{n}' href='data:a/b;base64,{half}&#{d};'>open</a>",
    "a long head": "<a download='{n}' href='data:a/b;x={x};base64,{b}'>open</a>",
    "a long tag": "<a download='{n}' title='{x}' href='data:a/b;base64,{b}'>open</a>",
    "brackets in the tag": "<a title='<b' id='>' href='data:a/b;base64,{b}' class='>' download='{n}'>open</a>",
    "a name in disguise": "<a download='&Tab;{n}&#x20;' class='download' href='data:a/b;base64,{b}'>open</a>",
    "no type": "<a download={n} href=data:,{p}>open</a>",
    "srcdoc": "<iframe srcdoc='<a download=&quot;{n}&quot; href=&quot;data:a/b;base64,{b}&quot;>open</a>'></iframe>",
    "refresh": "<meta http-equiv=refresh content='0;url=data:a/b;name={n};base64,{lines}'>",
    "object": "<object data='data:a/b;base64,{b}'></object><embed src='data:a/b,{p}'>",
    "svg": "<svg><foreignObject><a xlink:href='data:a/b;base64,{b}'/></foreignObject><image href='data:image/png;base64,{b}'/></svg>",
    "style": "<style>a {{ background: url( data:a/b;base64,{b} ) }}</style>",
    "script": "<script>let a = document.createElement('a'); a.href = 'data:a/b;base64,{half}' +\n '{rest}'; a.download = '{n}'; a.click();</script>",
    "script with lines": "<script>location = `data:a/b;base64,{lines}`</script>",
    "script with an escaped tab": "<script>location = '\\tdata:a/b;base64,{b}'</script>",
}
PAGES["digits in disguise"] = PAGES["digits in disguise"].replace("&#{d};", "&#10;{rest}")


def in_script(how="pieces"):
    """A page that hands over a zip when it is looked at."""
    def make(name, octets):
        text = base64.b64encode(zip_of((name, octets))).decode()
        step = 30 if how == "small pieces" else 76
        lines = [text[i:i + step] for i in range(0, len(text), step)]
        if how == "an element":
            return ("<html><pre id=z>\n" + "\n".join(lines) + "\n</pre><script>atob(z.innerText)</script></html>\n").encode()
        joint = {"lines": "\n", "written lines": "\\n", "lines that go on": "\\\n"}.get(how, "' +\n    '")
        quote = "`" if how == "lines" else "'"
        return f"<html><script>\nlet z = atob({quote}{joint.join(lines)}{quote});\n</script></html>\n".encode()
    return make


# ------------------------------------------------------------------ office documents that are one XML file, OneNote

def flat_opc(name, octets, encoding="utf-8"):
    text = base64.b64encode(octets).decode()
    return (f'<?xml version="1.0" encoding="{encoding}"?>\n<pkg:package><pkg:part x=">" pkg:name="/word/embeddings/{name}">'
        f"<pkg:binaryData><!-- > --><![CDATA[{text[:8]}]]>{text[8:]}</pkg:binaryData></pkg:part></pkg:package>").encode(encoding)


def active_mime(front=bytes(6)):
    """What office programs keep macros in: deflated, at 0x32; in front of it a header in which nobody reads all."""
    return lambda _, octets: (b"ActiveMime" + front).ljust(0x32, b"\0") + zlib.compress(octets)


def onenote(_, octets):
    """[MS-ONESTORE] 2.6.13: the file behind its header, the name elsewhere."""
    return (bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3") + bytes(32) + bytes.fromhex("3fdd9a101b91f549a5d01791edc8aed8") + bytes(960) + bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac") +
        struct.pack("<QIQ", len(octets), 0, 0) + octets + bytes(-len(octets) % 8) + bytes.fromhex("22a7fb71790f0b4abb13899256426b24"))


def onenote_package(_, octets):
    """[MS-ONESTORE] 2.8: as a cloud hands it out; files stand in pieces among data elements."""
    return (bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3") + bytes(32) + bytes.fromhex("2fe98d63d4a6c14b9a36b3fc2511a5b7") + bytes(100) +
        b"\x15\x01".join(octets[i:i + 40] for i in range(0, len(octets), 40)))


# ------------------------------------------------------------------ calendars and cards (RFC 5545, vCard 2.1)

def folded(line):
    return "\r\n ".join(line[i:i + 74] for i in range(0, len(line), 74)) + "\r\n"


def calendar(parameters='ENCODING=BASE64;VALUE=BINARY;X-FILENAME="{}"', before="", value=lambda o: base64.b64encode(o).decode()):
    """What mail programs make an attachment of."""
    def make(name, octets):
        return (before + "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Eve//EN\r\nBEGIN:VEVENT\r\nUID:1@example.com\r\n"
            "DTSTART:20250302T080000Z\r\nSUMMARY:hello\r\n" + folded(f"ATTACH;{parameters.format(name)}:{value(octets)}") +
            "END:VEVENT\r\nEND:VCALENDAR\r\n").encode()
    return make


def calendar_address(name, octets):
    return calendar("X-ORACLE-FILENAME={}", value=lambda o: "data:text/plain;charset=x,%20" + quote_from_bytes(o, safe=""))(name, octets).replace(
        b"data:", b"da\r\n ta:").replace(b",%20", b",")


def card(name, octets):
    """vCard 2.1: base64 is not folded with blanks, and ends with an empty line."""
    text = base64.b64encode(octets).decode()
    lines = "\r\n".join(text[i:i + 60] for i in range(0, len(text), 60))
    return f"BEGIN:VCARD\r\nVERSION:2.1\r\nN:Eve\r\nKEY;X-FILENAME={name};BASE64:\r\n{lines}\r\n\r\nEND:VCARD\r\n".encode()


# ------------------------------------------------------------------ mails in files

def eml(name, octets, boundary="=-eml"):
    mark = boundary.encode()
    return (b"From: Eve <eve@example.com>\r\nTo: bob@example.net\r\nSubject: inner\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=\"" + mark + b"\"\r\n\r\n--" + mark + b"\r\nContent-Type: text/plain\r\n\r\nsee there\r\n--" +
        mark + b"\r\nContent-Type: application/octet-stream; name=\"" + name.encode() + b"\"\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
        base64_lines(octets) + b"--" + mark + b"--\r\n")


def mbox(name, octets):
    first = b"From: Ann <ann@example.org>\r\nSubject: first\r\n\r\nhello\r\n\r\n"
    return (b"From ann@example.org Sun Mar  2 08:00:00 2025\r\n" + first + b"From eve@example.com Sun Mar  2 08:15:30 2025\r\n" +
        eml(name, octets) + b"\r\n")


def mht(name, octets):
    """A web page saved whole: a mail whose header begins with From: <Saved by ...>."""
    return b"From: <Saved by Blink>\r\nSnapshot-Content-Location: http://example.com/\r\n" + eml(name, octets, "----MultipartBoundary")
