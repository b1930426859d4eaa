"""A report's page as a reader's program sees it."""

import re
from html.parser import HTMLParser


class Page(HTMLParser):
    """Tags with their attributes, tables as lists of rows of cell texts, and all text outside of style and svg."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.tables, self.captions = [], [], []
        self.text, self._inside = "", []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag == "figcaption":
            self.captions.append("")

    def handle_endtag(self, tag):
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data):
        if "style" in self._inside or "svg" in self._inside:
            return
        plain = data.replace("\u00a0", " ")
        self.text += plain
        if {"td", "th"} & set(self._inside):
            self.tables[-1][-1][-1] += plain
        if "figcaption" in self._inside:
            self.captions[-1] += plain

    def headings(self, tag="h2"):
        return re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", self.source)
