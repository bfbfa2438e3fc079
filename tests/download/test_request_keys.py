import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchinf_core.download.request import make_request
from torchinf_core.errors import OptionError, UsageError
from torchinf_core.settings import Settings
from torchinf_core.warm import request_key

SETTINGS = Settings(disable=("url", "torchvision"))
HEX = "ab" * 32


def ask(*words, **more):
    return make_request(*words, settings=SETTINGS, **more)


def test_two_words_are_the_same_request_as_one():
    assert ask("torchvision", "resnet18").key == ask("torchvision:resnet18").key
    assert ask("torchvision", "torchvision:resnet18").key == ask("torchvision:resnet18").key
    assert ask("url", "https://h/x.onnx").key == ask("https://h/x.onnx").key


def test_an_option_at_its_default_changes_nothing():
    plain = ask("torchvision:resnet18")
    assert ask("torchvision:resnet18", options={"pretrained": True}) == plain
    assert ask("torchvision:resnet18", options={"extract": None}) == plain


def test_what_changes_the_content_or_the_name_changes_the_key():
    keys = {
        ask("zoo:a").key,
        ask("zoo:b").key,
        ask("zoo:a@1").key,
        ask("zoo:a", name="x").key,
        ask("zoo:a", options={"pretrained": False}).key,
        ask("zoo:a", options={"width": 2}).key,
        ask("https://h/a").key,
        ask("https://h/a", sha256=HEX).key,
    }
    assert len(keys) == 8


def test_labels_are_no_part_of_the_key():
    labelled = ask("zoo:a", task="t", description="d", tags=["x"], update=True)
    assert labelled.key == ask("zoo:a").key


def test_a_pin_may_stand_in_the_reference_or_beside_it():
    assert ask("https://h/a", sha256=f"sha256:{HEX.upper()}").ref.sha256 == HEX
    assert ask(f"https://h/a#sha256={HEX}").key == ask("https://h/a", sha256=HEX).key
    with pytest.raises(OptionError, match="different contents"):
        ask(f"https://h/a#sha256={HEX}", sha256="cd" * 32)


@pytest.mark.parametrize("digest", ["x", "ab", HEX[:-1], HEX + "00", "md5:" + HEX])
def test_a_digest_that_is_none_is_refused(digest):
    with pytest.raises(OptionError, match="64 hex digits"):
        ask("https://h/a", sha256=digest)


@pytest.mark.parametrize("name", ["", "../x", "a/b", "all", "-x", "con", "a\nb", "\x1b[31m"])
def test_a_name_that_can_not_be_one_is_refused_before_anything_happens(name):
    with pytest.raises(UsageError, match="can't be the name"):
        ask("zoo:a", name=name)


def test_options_that_json_can_not_hold_are_refused():
    with pytest.raises(OptionError, match="JSON"):
        ask("zoo:a", options={"x": object()})
    with pytest.raises(OptionError, match="JSON"):
        ask("zoo:a", options={"x": float("nan")})


@given(
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=4),
    st.text(max_size=20),
    st.none() | st.text(max_size=5),
)
def test_a_key_is_64_hex_digits_and_knows_no_order(options, ref, name):
    key = request_key(ref, options, name)
    assert len(key) == 64
    assert int(key, 16) >= 0
    assert key == request_key(ref, dict(reversed(options.items())), name)
