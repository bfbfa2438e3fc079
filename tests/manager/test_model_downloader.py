import os
import subprocess
import sys

import pytest

import torchinf_core
from torchinf_core import ModelDownloader, ModelInfo, download_model, get_model_downloader
from torchinf_core.errors import (
    NameTakenError,
    NotCachedError,
    OptionError,
    UsageError,
)


def test_download_gives_the_path_and_what_is_known(downloader):
    path, info = downloader.download("zoo", "tiny")
    assert path.read_bytes() == b"w" * 5000
    assert isinstance(info, ModelInfo)
    assert (info.name, info.source, info.model_id) == ("tiny", "zoo", "tiny")
    assert (info.task, info.license, info.tags) == ("testing", "mit", ("a",))
    assert info.size_mb == 0.005
    assert info.path == str(path)
    assert info.record.verified == "published"


def test_one_word_two_words_and_keywords_are_the_same(downloader, zoo):
    first = downloader.download("zoo:tiny")
    seen = len(zoo.asked)
    assert downloader.download("zoo", "tiny") == first
    assert downloader.download(source="zoo", model_id="tiny") == first
    assert len(zoo.asked) == seen


def test_a_name_may_be_given_in_either_word(downloader):
    assert downloader.download("zoo", "tiny", "one")[1].name == "one"
    assert downloader.download("zoo", "tiny", model_name="two")[1].name == "two"
    assert downloader.download("zoo:tiny", name="three")[1].name == "three"
    with pytest.raises(UsageError, match="contradict"):
        downloader.download("zoo:tiny", name="a", model_name="b")


def test_options_go_to_the_source(downloader):
    _, info = downloader.download("zoo:tiny", width=2)
    assert info.record.metadata == {"options": {"width": 2}}
    with pytest.raises(OptionError, match="'colour'"):
        downloader.download("zoo:pair", colour="red")


def test_questions_about_what_is_there(downloader):
    assert not downloader.is_model_cached("tiny")
    path, _ = downloader.download("zoo:tiny")
    assert downloader.is_model_cached("tiny")
    assert downloader.is_model_cached("zoo:tiny")
    assert downloader.get_model_path("tiny") == path
    assert downloader.get_model_info("tiny").size_mb == 0.005
    assert list(downloader.list_available_models()) == ["tiny"]
    assert downloader.get_cache_size() >= 5000
    assert downloader.verify("tiny") == []
    for question in (downloader.get_model_path, downloader.get_model_info, downloader.verify):
        with pytest.raises(NotCachedError):
            question("nothing")


def test_a_damaged_model_does_not_count_as_cached(downloader):
    path, _ = downloader.download("zoo:tiny")
    os.chmod(path, 0o644)
    path.write_bytes(b"w" * 4999 + b"x")
    assert not downloader.is_model_cached("tiny")
    assert [problem.kind for problem in downloader.verify("tiny")] == ["corrupt"]
    downloader.download("zoo:tiny")
    assert downloader.verify("tiny") == []


def test_models_are_removed_renamed_and_tagged(downloader):
    downloader.download("zoo:tiny")
    downloader.download("zoo:pair")
    assert downloader.rename("tiny", "small").name == "small"
    with pytest.raises(NameTakenError):
        downloader.rename("small", "pair")
    assert downloader.tag("small", add=["x", "a"], remove=["y"]).tags == ("a", "x")
    assert downloader.tag("small", remove=["a"]).tags == ("x",)
    assert downloader.get_model_info("small").tags == ("x",)
    path = downloader.get_model_path("small")
    assert downloader.remove_model("small").name == "small"
    assert not path.exists()
    assert downloader.clear_cache() == ["pair"]
    assert downloader.list_available_models() == {}


def test_after_a_rename_the_request_finds_the_model_under_its_new_name(downloader, zoo):
    downloader.download("zoo:tiny")
    downloader.rename("tiny", "small")
    seen = len(zoo.asked)
    assert downloader.download("zoo:tiny")[1].name == "small"
    assert len(zoo.asked) == seen


def test_a_preview_is_a_plan_and_moves_nothing(downloader, zoo):
    plan = downloader.plan("zoo:pair")
    assert [file.path for file in plan.files] == ["a.bin", "b.bin"]
    assert plan.size == 700
    assert zoo.fetched == []
    assert downloader.preview("zoo:pair", name="x").name == "x"


def test_progress_is_told(downloader):
    events = []
    downloader.download("zoo:tiny", on_event=events.append)
    assert events[0].kind == "resolved"
    assert any(event.file == "weights.bin" and event.done == 5000 for event in events)


def test_settings_are_checked_when_they_are_given(tmp_path):
    assert ModelDownloader(tmp_path, limit_rate="10M").settings.limit_rate == 10_000_000
    with pytest.raises(UsageError, match="limit_rat"):
        ModelDownloader(tmp_path, limit_rat="10M")
    with pytest.raises(UsageError, match="connections"):
        ModelDownloader(tmp_path, connections=0)


def test_making_a_downloader_touches_nothing(tmp_path):
    ModelDownloader(tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_the_default_downloader_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHINF_CACHE_DIR", str(tmp_path / "a"))
    first = get_model_downloader()
    assert get_model_downloader() is first
    monkeypatch.setenv("TORCHINF_CACHE_DIR", str(tmp_path / "b"))
    assert get_model_downloader().cache_dir == tmp_path / "b"


def test_the_module_functions_use_the_default_store(zoo, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHINF_CACHE_DIR", str(tmp_path / "store"))
    zoo.add("tiny", {"weights.bin": b"w"})
    path, info = download_model(source="zoo", model_id="tiny", name="mine", task="t")
    assert path.is_relative_to(tmp_path / "store")
    assert torchinf_core.list_available_models() == {"mine": info}


def test_a_warm_hit_opens_two_small_files(downloader, monkeypatch):
    downloader.download("zoo:tiny")
    downloader.download("zoo:tiny")
    opened = []
    real = os.open

    def counted(path, *args, **more):
        opened.append(str(path))
        return real(path, *args, **more)

    monkeypatch.setattr(os, "open", counted)
    downloader.download("zoo:tiny")
    assert len(opened) == 2
    assert "/requests/" in opened[0]
    assert "/records/" in opened[1]


def test_nothing_is_logged_to_anybody_who_did_not_ask(downloader, capfd):
    program = (
        "import os\n"
        "from torchinf_core import ModelDownloader\n"
        f"downloader = ModelDownloader({str(downloader.cache_dir)!r})\n"
        "path, _ = downloader.download('zoo:tiny')\n"
        "os.chmod(path, 0o644); path.write_bytes(b'x')\n"
        "downloader.download('zoo:tiny')\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    subprocess.run([sys.executable, "-c", program], check=True, env=env)
    assert capfd.readouterr() == ("", "")


def test_the_root_logger_is_left_alone():
    program = (
        "import logging, torchinf_core\n"
        "from torchinf_core import ModelDownloader\n"
        "ModelDownloader('/nowhere/at/all').list_available_models()\n"
        "assert logging.getLogger().handlers == []\n"
        "assert logging.getLogger('torchinf').handlers == [] or all(\n"
        "    isinstance(h, logging.NullHandler) for h in logging.getLogger('torchinf').handlers)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_importing_the_package_costs_nothing():
    source = os.path.dirname(os.path.dirname(torchinf_core.__file__))
    program = (
        f"import sys; sys.path.insert(0, {source!r}); import torchinf_core\n"
        "bad = {'typing', 'dataclasses', 'httpx', 'pluggy', 'torch', 'numpy'} & set(sys.modules)\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", program], check=True)
