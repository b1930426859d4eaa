"""The web page in a real browser: files, answers, refusals, keyboard, phone, dark, print; nothing from other hosts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Page, serving
from PIL import Image
from serve_fakes import AXIS, FakePredictor

pytestmark = pytest.mark.slow

CONTRAST = """
(() => {
  const parse = (c) => { const m = c.match(/[\\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
  const lum = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] > 0) return c; } return [255, 255, 255, 1]; };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !e.checkVisibility() || ["OPTION", "NOSCRIPT"].includes(e.tagName)) continue;
    const style = getComputedStyle(e);
    const [a, b] = [lum(parse(e instanceof SVGElement ? style.fill : style.color)), lum(ground(e))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) found.push(`${walker.currentNode.data.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return found;
})()
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    models = (
        FakePredictor("raman", "image", "clinical", name="all"),
        FakePredictor(name="spectra"),
        FakePredictor("image", name="pictures"),
        FakePredictor(unit="patient", name="patients"),
    )
    with serving(*models) as found:
        yield found


@pytest.fixture
def page(tab, address) -> Iterator[Page]:
    tab.events.clear()
    tab.size(1280)
    tab.scheme("light")
    tab.open(address)
    yield tab
    assert tab.complaints() == []
    assert all(asked.startswith(address) for asked in tab.requested())


def choose(page: Page, model: str) -> None:
    page.js(
        f"(m => {{ m.value = '{model}'; m.dispatchEvent(new Event('change', {{bubbles: true}})); }})(document.getElementById('model'))"
    )


def click(page: Page, name: str) -> None:
    page.js(f"document.getElementById('{name}').click()")


@pytest.fixture
def files(tmp_path) -> dict[str, Path]:
    values = 1 + 4 * np.exp(-(((AXIS - 1003) / 12) ** 2))
    np.savetxt(tmp_path / "one.txt", np.stack([AXIS, values], axis=1))
    np.savetxt(tmp_path / "three.txt", np.stack([AXIS, values, 0 * values, 2 * values], axis=1))
    np.savetxt(tmp_path / "formula.txt", np.stack([AXIS, values], axis=1))
    (tmp_path / "formula.txt").rename(tmp_path / "=1+1.txt")
    (tmp_path / "notes.txt").write_text("Dear colleague,\nplease find attached")
    Image.new("RGB", (24, 24), (40, 20, 60)).save(tmp_path / "cells.png")
    return {p.name: p for p in tmp_path.iterdir()}


def test_a_set_without_the_decision_says_that_it_is_not_to_be_relied_on(page):
    answer = {
        "modalities": [],
        "warnings": [],
        "tasks": {"t": {"decision": "b", "probabilities": {"a": 0.4, "b": 0.6}}},
    }
    answer["tasks"]["t"]["set"] = ["a"]
    model = {"modalities": {}, "tasks": {"t": {"parent": None, "classes": ["a", "b"]}}}
    drawn = f"m.overview({json.dumps(answer)}, {json.dumps(model)}).at(-1).innerText"
    said = page.js(f'import("/page/answer.js").then((m) => {drawn})')
    assert "Prediction set: a – without b, which was decided" in said
    assert "Do not rely on it." in said


def test_a_dropped_spectrum_is_answered_and_explained(page, files):
    choose(page, "spectra")
    page.drop(files["one.txt"])
    page.wait("document.querySelector('.legend')")
    assert "malignancy malignant; subtype pre-B" in page.text("#status")
    assert page.text(".task .decision") == "malignant"
    assert "if malignancy is malignant" in page.text(".task .under")
    assert "Prediction set: all classes" in page.text(".task:nth-child(2) .set")
    label = page.js("document.querySelector('figure svg').getAttribute('aria-label')")
    assert "(for)" in label
    widest = page.js(
        "[...document.querySelectorAll('rect.for')].sort((a, b) => b.getAttribute('fill-opacity') - a.getAttribute('fill-opacity'))[0].textContent"
    )
    low, high = (float(w) for w in widest.split(" cm")[0].split(" to "))
    assert low - 25 < 1003 < high + 25
    page.js(
        "(s => { s.value = s.options[0].value; s.dispatchEvent(new Event('change')); })(document.getElementById('what'))"
    )
    page.wait("document.querySelector('.legend')?.innerText.includes('speaks for benign')")


def test_a_wrong_file_is_refused_in_words_and_the_next_one_answered(page, files):
    choose(page, "spectra")
    page.give_files(files["cells.png"], files["notes.txt"])
    page.wait("document.querySelector('.trouble')")
    told = page.text("#trouble")
    assert "2 problems in the files; nothing was predicted" in told
    assert "cells.png is an image; the model takes spectra (raman)" in told
    assert "notes.txt" in told
    assert page.text("#status") == "No answer."
    page.js("document.querySelectorAll('#chosen button').forEach(b => b.click())")
    page.give_files(files["one.txt"])
    page.wait("document.querySelector('.task')")
    assert page.text("#trouble") == ""


def test_a_missing_modality_is_said_and_a_value_out_of_range_too(page, files):
    click(page, "go")
    page.wait("document.querySelector('.trouble')")
    assert "Nothing to answer yet" in page.text("#trouble")
    page.js("document.getElementById('clinical/age').focus()")
    page.type("95")
    assert "outside what the model was trained on (18 to 90 in training)" in page.text("#tables")
    page.give_files(files["cells.png"])
    assert page.text(".task") == ""  # clinical values may follow: only the button asks
    click(page, "go")
    page.wait("document.querySelector('.legend')")
    assert page.text(".used").split("\n") == ["raman: missing", "image: used", "clinical: used"]
    assert "the image is small" in page.text(".warnings")
    assert "without image" in page.text(".why")
    assert page.js("document.querySelectorAll('.picture svg rect').length") == 64
    assert "95" in page.text(".parts")


def test_several_spectra_are_listed_and_each_can_be_seen(page, files):
    choose(page, "spectra")
    page.give_files(files["three.txt"])
    page.wait("document.querySelector('.legend')")
    assert page.text("#status").startswith("Sample 1 of 3, three.txt #1")
    page.js("document.querySelectorAll('.samples button')[1].focus()")
    page.press("Enter")
    page.wait(
        "document.getElementById('status').innerText.startsWith('Sample 2 of 3') && document.querySelector('.legend')"
    )
    assert page.text(".task .decision") == "benign"
    assert page.text(".samples tr.selected").split() == ["three.txt", "#2", "benign", "–"]
    assert page.text(".task.moot .under") == "if malignancy is malignant (not what was decided)"
    assert page.js("document.activeElement.innerText") == "three.txt #2"
    choose(page, "patients")
    click(page, "together")
    page.give_files(files["three.txt"], files["one.txt"])
    page.wait("document.querySelector('.task')")
    assert page.text(".samples") == ""


def test_the_keyboard_alone_is_enough(page):
    def focused() -> str:
        return str(page.js("document.activeElement.id || document.activeElement.tagName"))

    seen = []
    for _ in range(12):
        page.press("Tab")
        seen.append(focused())
        assert page.js(
            "(s => s.outlineStyle !== 'none' || document.activeElement.id === 'files')(getComputedStyle(document.activeElement))"
        )
        if focused() == "clinical/age":
            break
    assert seen == ["A", "model", "SUMMARY", "files", "clinical/age"]
    page.type("70")
    page.press("Enter")
    page.wait("document.querySelector('.legend')")
    assert focused() == "answer"
    assert page.text(".task .decision") == "malignant"
    reached = []
    for _ in range(8):
        page.press("Tab")
        reached.append(focused())
    assert {"csv", "print", "what"} <= set(reached)


@pytest.mark.parametrize("width", [320, 390, 820])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_can_be_read_in_light_and_dark(page, width, scheme, tmp_path):
    page.scheme(scheme)
    page.size(width, 800)
    page.open(page.js("location.href"))
    click(page, "example")
    page.wait("document.querySelector('.legend')")
    page.js("document.getElementById('about').open = true")
    assert page.js("document.documentElement.scrollWidth") <= width
    assert page.js(CONTRAST) == []
    small = page.js(
        "[...document.querySelectorAll('button, select, .button')].filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 28).map(e => e.innerText)"
    )
    assert small == []
    assert page.text(".notice").startswith("Research use only.")


def test_every_control_has_a_name_and_the_answer_is_announced(page):
    click(page, "example")
    page.wait("document.querySelector('.legend')")
    page.call("Accessibility.enable")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "combobox", "textbox", "spinbutton", "checkbox", "image", "img", "link", "region", "form"}
    unnamed = [
        n["role"]["value"]
        for n in nodes
        if not n["ignored"] and n["role"]["value"] in roles and not n.get("name", {}).get("value")
    ]
    assert unnamed == []
    assert page.js("document.getElementById('status').getAttribute('aria-live')") == "polite"
    assert page.js("document.getElementById('trouble').getAttribute('role')") == "alert"


def test_answers_are_saved_as_csv_that_a_spreadsheet_does_not_run(page, files):
    choose(page, "spectra")
    page.give_files(files["=1+1.txt"])
    page.wait("document.querySelector('.task')")
    page.js(
        "window.saved = null; URL.createObjectURL = (blob) => { window.saved = blob; return 'blob:none'; }; HTMLAnchorElement.prototype.click = () => {}"
    )
    click(page, "csv")
    lines = page.js("window.saved.text()").split("\r\n")
    assert lines[0].startswith(
        "model,sample,malignancy,malignancy: benign,malignancy: malignant,malignancy set,subtype,"
    )
    assert lines[1].startswith("spectra,'=1+1.txt,malignant,")
    assert lines[1].endswith("research use only")
    assert "pre-B; pro-B; early pre-B" in lines[1]


def test_the_print_has_the_answer_and_not_the_form(page):
    click(page, "example")
    page.wait("document.querySelector('.legend')")
    page.call("Emulation.setEmulatedMedia", media="print")
    shown = page.js(
        "['#ask', '.tools', '#stamp', '.task', 'figure', '.notice'].map(s => document.querySelector(s).checkVisibility())"
    )
    assert page.text("#stamp").startswith("Model all, polydx ")
    page.call("Emulation.setEmulatedMedia", media="")
    assert shown == [False, False, True, True, True, True]


def test_a_key_is_asked_for_once(tab):
    key = "a-long-enough-key-1"
    with serving(FakePredictor(name="spectra"), api_keys=(key,)) as address:
        tab.events.clear()
        tab.call("Page.navigate", url=address)
        tab.wait("document.querySelector('#key-dialog[open]')")
        tab.type(key)
        tab.press("Enter")
        tab.wait("document.querySelector('#model option')")
        click(tab, "example")
        tab.wait("document.querySelector('.legend')")
        assert tab.complaints() == []
        assert key not in tab.js("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
