"""Every link within the project leads to a file, and to a heading where it names one. No network is needed."""

from __future__ import annotations

import posixpath

import pytest
from docs.markdown import PAGES, ROOT, anchors, links

ELSEWHERE = ("https://", "http://", "mailto:")


def test_the_pages_are_found() -> None:
    assert {"README.md", "SECURITY.md", "docs/index.md", "docs/pkcs11.md", "docs/tokens/README.md"} <= set(PAGES)
    assert sum(len(links(page)) for page in PAGES) > 50


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in links(page):
        if link.startswith(ELSEWHERE):
            continue
        path, _, anchor = link.partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page
        assert (ROOT / target).exists(), link
        if anchor:
            assert anchor in anchors(target), f"{link}: there are {sorted(anchors(target))}"
