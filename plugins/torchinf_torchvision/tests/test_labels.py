"""The command that names a model's classes."""

from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

import torchinf_torchvision
from torchinf_core.errors import ModelNotFoundError
from torchinf_torchvision.labels import find_labels


def app() -> typer.Typer:
    app = typer.Typer()
    torchinf_torchvision.commands(app)
    return app


def test_the_thousand_classes_of_imagenet_come_in_order() -> None:
    labels = find_labels("resnet18")
    assert len(labels) == 1000
    assert labels[0] == "tench"
    assert labels[999] == "toilet tissue"


def test_the_command_prints_an_index_and_a_label_per_line() -> None:
    result = CliRunner().invoke(app(), ["torchvision:resnet18@IMAGENET1K_V1"])
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1] == "1\tgoldfish"


def test_json_is_one_array() -> None:
    result = CliRunner().invoke(app(), ["resnet18", "--json"])
    assert json.loads(result.stdout)[2] == "great white shark"


def test_a_model_without_classes_says_so() -> None:
    with pytest.raises(ModelNotFoundError, match="no labels"):
        find_labels("raft_large")
