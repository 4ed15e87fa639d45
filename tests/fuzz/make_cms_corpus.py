#!/usr/bin/env python3
"""Write one small message of each form of CMS, ours and openssl's, to tests/fuzz/corpus/cms: what fuzz_cms begins with."""

import pathlib
import re
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "e2e"))

import mwsmime  # noqa: E402

ENTITY = b"Content-Type: text/plain\r\n\r\nhello\r\n"


def main():
    folder = HERE / "corpus" / "cms"
    folder.mkdir(parents=True, exist_ok=True)
    for name, wrap in {**mwsmime.FORMS, **mwsmime.SECRETS}.items():
        (folder / re.sub(r"[^a-z0-9]+", "_", name.lower())).write_bytes(wrap(ENTITY))


if __name__ == "__main__":
    main()
