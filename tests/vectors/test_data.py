"""The vector files are those of their README."""

from __future__ import annotations

import gzip
import hashlib
import re

from vectors.wycheproof import DATA, SUFFIX, load

ROW = re.compile(r"^\| (\w+)_test\.json \| (\d+) \| ([0-9a-f]{64}) \|$", re.MULTILINE)


def test_files_are_unchanged() -> None:
    rows = ROW.findall((DATA / "README.md").read_text())
    assert {name for name, _, _ in rows} == {path.name.removesuffix(SUFFIX) for path in DATA.glob("*.gz")}
    for name, vectors, digest in rows:
        assert hashlib.sha256(gzip.decompress((DATA / (name + SUFFIX)).read_bytes())).hexdigest() == digest
        held = [vector for group in load(name)["testGroups"] for vector in group["tests"]]
        assert len(held) == load(name)["numberOfTests"] == int(vectors)
