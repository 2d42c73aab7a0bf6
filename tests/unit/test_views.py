"""What people and models wrote is shown as text, never run."""

from pathlib import Path

import pytest

from webapp.pages.view import TEMPLATES, render
from webapp.pages.wording import clock, highlighted

SOURCES = sorted(TEMPLATES.glob("*.html"))
NASTY = "<img src=x onerror=alert(1)> ${alert(1)} {{value}} \\u{zz} `x` \"'&"


def test_markup_in_a_text_stays_text() -> None:
    shown = render("reply", asked=NASTY, text=NASTY, note="", trouble="")
    assert "<img" not in shown
    assert "&lt;img src=x" in shown


def test_a_quote_mark_can_not_leave_its_attribute() -> None:
    shown = render("ideas", ideas=['" onclick="alert(1)'])
    assert 'onclick="alert' not in shown


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_no_template_switches_the_escaping_off(source: Path) -> None:
    text = source.read_text()
    assert "|safe" not in text.replace(" ", "")
    assert "autoescape" not in text


def test_gradios_own_templates_get_no_data() -> None:
    for module in TEMPLATES.parent.glob("*.py"):
        assert "html_template" not in module.read_text(), module


def test_quotes_are_marked_where_they_stand() -> None:
    segments = highlighted("one two three", [(4, 7, "second")])
    assert segments == [
        {"text": "one ", "marked": ""},
        {"text": "two", "marked": "second"},
        {"text": " three", "marked": ""},
    ]


def test_overlapping_quotes_show_both_criteria() -> None:
    segments = highlighted("abcdef", [(0, 4, "first"), (2, 6, "second")])
    assert [s["marked"] for s in segments] == ["first", "first; second", "second"]
    assert "".join(s["text"] for s in segments) == "abcdef"


@pytest.mark.parametrize(("seconds", "shown"), [(0, "00:00"), (845, "14:05"), (3800, "1:03:20"), (-3, "00:00")])
def test_durations_read_as_on_a_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown
