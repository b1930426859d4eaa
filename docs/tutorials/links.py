"""A hook of MkDocs: links in notebooks to other pages of the guide, which MkDocs itself mends in Markdown only."""

from __future__ import annotations

import posixpath
import re
from typing import Any

LINK = re.compile(r'href="(?!\w+:|/|#)([^"#]+\.(?:md|ipynb))(#[^"]*)?"')


def on_page_content(html: str, page: Any, files: Any, **_: Any) -> str:
    """Point the links of a notebook at the pages that are made of their targets.

    Raises:
        ValueError: a target is no page of the guide.
    """
    here = page.file.src_uri
    if not here.endswith(".ipynb"):
        return html

    def mended(found: re.Match[str]) -> str:
        target = files.get_file_from_path(posixpath.normpath(posixpath.join(posixpath.dirname(here), found[1])))
        if target is None:
            raise ValueError(f"{here} links to {found[1]}, which is no page of the guide")
        return f'href="{target.url_relative_to(page.file)}{found[2] or ""}"'

    return LINK.sub(mended, html)
