"""Sphinx's configuration: pages in Markdown (MyST), API pages from docstrings. `scripts/docs` builds."""

from __future__ import annotations

import re
from typing import Any

from hwcng import __version__

project = "hwcng"
author = "The hwcng developers"
project_copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["examples"]
myst_enable_extensions = ["colon_fence"]
# Anchors of headings are GitHub's, so that a link works in both places.
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]

html_theme = "furo"
html_title = f"hwcng {version}"
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
maximum_signature_line_length = 100

_CODE = re.compile(r"`([^`]+)`")
_MARKUP = re.compile(r"([*|\\]|(?<=\w)_(?!\w))")


def _escaped(line: str) -> str:
    """A line of a docstring, which is plain text with code in single backticks, as reStructuredText."""
    parts = _CODE.split(line)
    parts[::2] = [_MARKUP.sub(r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [f"``{part}``" for part in parts[1::2]]
    return "".join(parts)


def _as_text(_app: Any, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    # In the standard library's own docstrings, such as namedtuple's, nobody looks.
    lines[:] = [_escaped(line) for line in lines]


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", _as_text)
