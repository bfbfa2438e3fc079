import pytest

from torchinf_core.download.options import select_options
from torchinf_core.errors import OptionError
from torchinf_core.types import SourceInfo

ZOO = SourceInfo("zoo", ("zoo",), "A zoo", ("zoo:tiny",), ("width", "task"))
FARM = SourceInfo("farm", ("farm",), "A farm", ("farm:cow",), ("breed",))
BOTH = (ZOO, FARM)


def test_a_source_gets_the_options_it_declared():
    assert select_options({"width": 2}, None, ZOO, BOTH) == ({"width": 2}, ())


def test_a_known_option_that_means_nothing_here_is_ignored_with_a_word():
    options, notes = select_options({"pretrained": False, "breed": "x"}, None, ZOO, BOTH)
    assert options == {}
    assert len(notes) == 2
    assert "'pretrained'" in notes[0]
    assert "'breed'" in notes[1]


def test_a_task_reaches_a_source_that_asks_for_it():
    assert select_options({}, "detect", ZOO, BOTH) == ({"task": "detect"}, ())
    assert select_options({}, "detect", FARM, BOTH) == ({}, ())


def test_an_option_that_nobody_knows_is_an_error_that_names_the_nearest():
    with pytest.raises(OptionError, match="'widht'") as caught:
        select_options({"widht": 2}, None, ZOO, BOTH)
    assert caught.value.hint == "did you mean 'width'?"
    with pytest.raises(OptionError) as caught:
        select_options({"zzz": 2}, None, FARM, BOTH)
    assert caught.value.hint == "the farm source has: breed"
