"""What forms are bound to: the processor and versions of what is installed."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from torchinf_core import hardware

INTEL = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) Processor @ 2.10GHz
flags\t\t: fpu sse2 avx2 {more}

processor\t: 1
model name\t: another
"""
ARM = "processor\t: 0\nFeatures\t: fp asimd evtstrm\nCPU part\t: 0xd0c\n\n"


def test_a_processor_is_known_by_its_model_and_the_features_that_code_uses():
    model, digits = hardware.processor(INTEL.format(more=""))
    assert model == "Intel(R) Xeon(R) Processor @ 2.10GHz"
    assert len(digits) == 12
    assert hardware.processor(INTEL.format(more="avx512f"))[1] != digits
    assert hardware.processor(INTEL.format(more="ibpb md_clear ssbd"))[1] == digits


def test_other_processors_and_none_have_a_fingerprint_too():
    assert hardware.processor(ARM)[0] == "0xd0c"
    assert hardware.processor(ARM)[1] != hardware.processor("")[1]
    assert hardware.processor("nonsense")[0] == "unknown"


def test_the_fingerprint_is_one_line_and_does_not_change():
    assert hardware.fingerprint() == hardware.fingerprint()
    assert "\n" not in hardware.fingerprint()
    assert " x" in hardware.fingerprint()


def test_versions_are_those_of_the_installed_distributions():
    names = ["pluggy", "import_linter", "Typing.Extensions", "not-installed-anywhere"]
    found = hardware.versions(names)
    assert found["pluggy"] == version("pluggy")
    assert found["not-installed-anywhere"] == ""
    assert hardware.versions([]) == {}


@pytest.mark.parametrize("name", ["a-dist", "a_dist", "A.Dist"])
def test_a_distribution_is_found_however_its_name_is_written(tmp_path, monkeypatch, name):
    (tmp_path / "A_dist-1.2+cpu.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert hardware.versions([name]) == {name: "1.2+cpu"}


def test_what_is_stale_says_why(monkeypatch):
    here, installed = hardware.fingerprint(), version("pluggy")
    assert hardware.stale(here, {"pluggy": installed}) == ""
    assert hardware.stale(f"{here}; a GPU", {}) == ""
    assert hardware.stale("vax", {}) == "it was made on other hardware"
    assert (
        hardware.stale(here, {"pluggy": "0"}) == f"it was made with pluggy 0, here is {installed}"
    )
    assert hardware.stale(here, {"gone": "1"}) == "it was made with gone 1, here is none"
