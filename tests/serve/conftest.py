"""A browser for the tests of the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser import Page, browser, find_browser


@pytest.fixture(scope="session")
def tab(tmp_path_factory) -> Iterator[Page]:
    executable = find_browser()
    if executable is None:
        pytest.skip("no Chromium here: install Debian's `chromium`, or name one in CHROMIUM")
    with browser(executable, tmp_path_factory.mktemp("profile")) as found:
        yield found
