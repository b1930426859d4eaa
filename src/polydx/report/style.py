"""One look for all figures: colours that colour-blind readers can tell apart, plain axes, the same bytes each time."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from polydx.report.words import clipped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
"""Okabe & Ito (2008), in the order of contrast on white; yellow is left out, since it is not seen on white."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 2, 1, 2)), (0, (8, 3)), (0, (3, 1, 1, 1, 1, 1)))
INK, FAINT, GRID = "#222222", "#767676", "#E3E3E3"
RIGHT, WRONG = PALETTE[0], PALETTE[1]
WIDTH = 7.2
"""Inches: the text width of a page."""

RC = {
    "svg.hashsalt": "polydx",
    "svg.fonttype": "path",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Use the look inside, whatever the user's matplotlib is set to; nothing is shown on a screen."""
    from matplotlib import rc_context, rcParamsDefault

    plain: dict[Any, Any] = {
        key: value for key, value in rcParamsDefault.items() if not key.startswith(("backend", "webagg", "toolbar"))
    }
    with rc_context(plain | RC):
        yield


def canvas(width: float, height: float) -> Figure:
    """Return an empty figure that belongs to no window; sizes in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def to_svg(figure: Figure) -> str:
    """Return a figure as SVG text: no date, no metadata, text as outlines (looks the same without its fonts)."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.DOTALL)
    return re.sub(r"[ \t]+\n", "\n", text)


def inline(svg: str, prefix: str, alt: str) -> str:
    """Return SVG text as an element of an HTML page.

    Args:
        svg: a file's text.
        prefix: put before every id, since ids of two figures on a page must differ.
        alt: what the figure shows, read aloud by screen readers.
    """
    from markupsafe import escape

    body = svg[svg.index("<svg") :]
    body = re.sub(r"<!--.*?-->\s*", "", body, flags=re.DOTALL)
    body = re.sub(r' (?:id="|xlink:href="#)|url\(#', lambda found: found[0] + prefix, body)
    head, rest = body.split(">", 1)
    size = re.search(r'viewBox="([^"]*)"', head)
    width = float(size[1].split()[2]) if size else 0.0
    attributes = f'viewBox="{size[1]}"' if size else ""
    label = f'role="img" aria-label="{escape(alt)}"'
    return (
        f'<svg {attributes} style="width:{width / 72:.2f}in;min-width:{0.75 * width / 72:.2f}in" {label}>{rest}'.strip()
    )


def colour(index: int) -> str:
    """Return the colour of the n-th recipe or class."""
    return PALETTE[index % len(PALETTE)]


def plain_axes(ax: Axes, grid: str = "") -> None:
    """Draw faint grid lines along 'x', 'y' or 'both' axes."""
    if grid:
        ax.grid(True, axis="both" if grid == "both" else "x" if grid == "x" else "y")
    ax.tick_params(length=3, color=FAINT)


def name_rows(ax: Axes, names: Sequence[str], most: int = 28) -> None:
    """Put names on the y axis, the first on top."""
    ax.set_yticks(range(len(names)), [clipped(name, most) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
