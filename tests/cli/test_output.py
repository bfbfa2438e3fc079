import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchinf_core.cli import output


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "unknown size"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (46_830_571, "46.8 MB"),
        (999_949, "999.9 kB"),
        (999_960, "1.0 MB"),
        (1 << 40, "1.1 TB"),
        (10**18, "1000.0 PB"),
    ],
)
def test_sizes_are_for_people(count, text):
    assert output.size(count) == text


@given(st.text())
def test_no_control_character_reaches_the_terminal(text):
    cleaned = output.clean(text)
    assert all(c.isprintable() or c in "\n\t" for c in cleaned)
    assert len(cleaned) == len(text)


def test_escape_sequences_in_a_description_do_nothing(capsys):
    output.facts([("description", "nice\x1b[2J\x1b]0;owned\x07 model")])
    output.table(["NAME"], [["a\x1b[31m\nb"]])
    assert "\x1b" not in capsys.readouterr().out


def test_columns_are_aligned_and_trailing_blanks_are_cut(capsys):
    output.table(["NAME", "SIZE", "X"], [["a", "1 B", "-"], ["longer", "10 MB", "y"]], ["SIZE"])
    assert capsys.readouterr().out.splitlines() == [
        "NAME     SIZE  X",
        "a         1 B  -",
        "longer  10 MB  y",
    ]


def test_facts_without_a_value_are_left_out(capsys):
    output.facts([("name", "a"), ("task", None), ("license", "mit\nsecond line")])
    assert capsys.readouterr().out.splitlines() == [
        "name     a",
        "license  mit",
        "         second line",
    ]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_colour_is_for_terminals_that_want_it(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert output.bold("x", Terminal()) == "\x1b[1mx\x1b[0m"
    assert output.bold("x", io.StringIO()) == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.bold("x", Terminal()) == "x"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert output.bold("x", Terminal()) == "x"
