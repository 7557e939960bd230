"""The architecture's drawing is the one that scripts/pictures draws, of modules that there are."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
from types import ModuleType
from xml.etree import ElementTree

from docs.markdown import ROOT

SVG = "{http://www.w3.org/2000/svg}"
COMMANDS = ("tokens", "keys", "test", "capabilities")


def script() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("pictures", str(ROOT / "scripts" / "pictures"))
    spec = importlib.util.spec_from_loader("pictures", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_drawing_is_current() -> None:
    assert (ROOT / "docs/pictures/architecture.svg").read_text("utf-8") == script().architecture(), "scripts/pictures"


def test_its_text_is_text_and_its_modules_are_there() -> None:
    drawn = ElementTree.parse(ROOT / "docs/pictures/architecture.svg")  # noqa: S314 - the project's own
    said = [element.text or "" for element in drawn.iter(f"{SVG}text")]
    modules = {name for text in said for name in re.findall(r"hwcng(?:\.\w+)+", text)}
    assert len(modules) >= 10
    assert all(importlib.util.find_spec(name) for name in modules)


def test_the_commands_pictures_fetch_nothing_and_hold_no_pin() -> None:
    for name in COMMANDS:
        text = (ROOT / f"docs/pictures/command-{name}.svg").read_text("utf-8")
        assert "hwcng" in text and "1234-signing" not in text
        assert not re.search(r"(url\(|href=['\"])http", text)
