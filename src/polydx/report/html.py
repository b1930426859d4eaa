"""The report of a run: one HTML file that needs nothing else, and its figures beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

from polydx.io.atomic import replacing, write_text
from polydx.report.blocks import Block, Details, Picture, Section
from polydx.report.sections.believe import can_i_believe_it
from polydx.report.sections.compared import compared_with_what
from polydx.report.sections.done import what_was_done
from polydx.report.sections.explained import rests_on
from polydx.report.sections.fails import where_does_it_fail
from polydx.report.sections.good import how_good
from polydx.report.sections.modalities import which_modalities
from polydx.report.style import inline
from polydx.report.view import View
from polydx.validation.run_folder import Run

SECTIONS = (
    how_good,
    compared_with_what,
    can_i_believe_it,
    where_does_it_fail,
    what_was_done,
    which_modalities,
    rests_on,
)
TEMPLATE = "template.html.j2"


def write_report(run: Run) -> Path:
    """Write `report.html` and `figures/` into the run's folder.

    The same run gives the same bytes. Every figure stands in the page and as SVG and CSV in `figures/`.

    Args:
        run: a finished run.

    Returns:
        The path of report.html.

    Raises:
        PolydxError: the predictions table is not what it should be.
    """
    view = View(run)
    sections, pictures = numbered([found for section in SECTIONS if (found := section(view)) is not None])
    write_figures(run.folder / "figures", pictures)
    page = render(
        title=f"{run.study['name']}: report of a polydx run",
        heading=str(run.study["name"]),
        subtitle=_subtitle(view),
        simulated=view.simulated,
        sections=sections,
        version=str(run.environment.get("polydx", "")),
    )
    path = run.folder / "report.html"
    write_text(path, page)
    return path


def render(
    *, title: str, heading: str, subtitle: str, simulated: bool, sections: Sequence[Section], version: str
) -> str:
    """Return the page; everything but drawn figures is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("polydx.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_unbroken,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page: str = environment.get_template(TEMPLATE).render(
        title=title, heading=heading, subtitle=subtitle, simulated=simulated, sections=sections, version=version
    )
    return page


def _unbroken(value: object) -> object:
    """Keep a number and its sign on one line."""
    from markupsafe import Markup

    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return value.replace(" %", "\u00a0%").replace("p = ", "p\u00a0=\u00a0").replace("n = ", "n\u00a0=\u00a0")


def numbered(sections: Sequence[Section]) -> tuple[list[Section], list[Picture]]:
    """Return the sections with their figures numbered in reading order, and all figures."""
    numbers, found = count(1), []
    done = []
    for section in sections:
        blocks = list(_number(section.blocks, numbers))
        found += list(_pictures(blocks))
        done.append(replace(section, blocks=blocks))
    return done, found


def write_figures(folder: Path, pictures: Sequence[Picture]) -> None:
    """Write each figure as SVG, and the numbers behind it as CSV; figures of an earlier report go."""
    if folder.is_dir():
        for old in [*folder.glob("*.svg"), *folder.glob("*.csv")]:
            old.unlink()
    for picture in pictures:
        stem = file_stem(picture)
        write_text(folder / f"{stem}.svg", picture.svg)
        if picture.data is not None:
            with replacing(folder / f"{stem}.csv") as temporary:
                picture.data.to_csv(temporary, index=False, lineterminator="\n")


def file_stem(picture: Picture) -> str:
    """Return the name of a figure's files without ending; its number keeps names apart."""
    return f"{picture.number:02d}-{picture.name}"


def _number(blocks: Sequence[Block], numbers: Iterator[int]) -> Iterator[Block]:
    from markupsafe import Markup

    for block in blocks:
        if isinstance(block, Picture):
            number = next(numbers)
            element = Markup(inline(block.svg, f"f{number}-", block.alt))  # drawn by matplotlib, which escapes text
            yield replace(block, number=number, inline=element)
        elif isinstance(block, Details):
            yield replace(block, blocks=list(_number(block.blocks, numbers)))
        else:
            yield block


def _pictures(blocks: Sequence[Block]) -> Iterator[Picture]:
    for block in blocks:
        if isinstance(block, Picture):
            yield block
        elif isinstance(block, Details):
            yield from _pictures(block.blocks)


def _subtitle(view: View) -> str:
    study, metrics = view.run.study, view.run.metrics
    recipes = len(view.metrics)
    if view.external:
        bundle = metrics["bundle"]
        return (
            f"{study['patients']} patients, {study['samples']} samples; external validation of the bundle"
            f" '{bundle['name']}', trained on '{bundle['about']['study']}'"
        )
    return (
        f"{study['patients']} patients, {study['samples']} samples, {recipes} recipe{'s' if recipes != 1 else ''}, "
        f"{metrics.get('split', 'cross-validation by patient')}"
    )
