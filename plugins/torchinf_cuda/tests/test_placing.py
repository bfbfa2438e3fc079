"""Modules that fit on no GPU alone, and the memory that is missing."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from torchinf_core.errors import DeviceError
from torchinf_cuda import loading
from torchinf_cuda.memory import human, size_of, translate
from torchinf_cuda.placing import move, plan, spread

BLOCK = 4 * 8 * 8
"""Bytes of one layer of the tests."""


class Block(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(8, 8, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.inner(x)


class Deep(torch.nn.Module):
    """A tensor of its own, a list of layers, and a head."""

    def __init__(self, layers: int = 4) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(8))
        self.layers = torch.nn.ModuleList(Block() for _ in range(layers))
        self.head = torch.nn.Linear(8, 8, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x * self.scale
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def test_layers_fill_gpus_in_order_and_stay_whole() -> None:
    parts = plan(Deep(), {"cuda:1": 2 * BLOCK + 40, "cuda:0": 9 * BLOCK // 2})
    assert [(part.path, part.device, part.whole) for part in parts] == [
        ("", "cuda:1", False),
        ("layers.0", "cuda:1", True),
        ("layers.1", "cuda:1", True),
        ("layers.2", "cuda:0", True),
        ("layers.3", "cuda:0", True),
        ("head", "cuda:0", True),
    ]


def test_what_fits_on_one_gpu_is_not_divided() -> None:
    (part,) = plan(Deep(), {"cuda:0": 6 * BLOCK, "cuda:1": 6 * BLOCK})
    assert (part.path, part.device, part.whole) == ("", "cuda:0", True)


def test_gpus_that_are_too_small_are_told_with_their_sizes() -> None:
    with pytest.raises(DeviceError, match=r"needs 1.3 KiB .* cuda:0 has 600 B, cuda:1 has 300 B"):
        plan(Deep(), {"cuda:0": 600, "cuda:1": 300})


def test_tensors_follow_the_layers_and_come_home() -> None:
    module = Deep().eval()
    x = torch.randn(2, 8)
    with torch.inference_mode():
        wanted = module(x)
    parts = plan(module, {"cpu": 7 * BLOCK // 2, "other": 9 * BLOCK})
    assert {part.device for part in parts} == {"cpu", "other"}
    asked: list[str] = []
    here = [type(part)(part.path, "cpu", part.whole) for part in parts]
    spread(torch, module, here, torch.device("cpu"))
    for part in parts:
        if part.whole:
            hook = lambda *_, device=part.device: asked.append(device)  # noqa: E731
            module.get_submodule(part.path).register_forward_pre_hook(hook)
    with torch.inference_mode():
        assert torch.equal(module(x), wanted)
    assert asked == [part.device for part in parts if part.whole]


def test_a_layer_elsewhere_gets_its_inputs_there() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Linear(8, 8)).eval()
    parts = plan(module, {"cpu": 300, "meta": 300})
    assert [part.device for part in parts] == ["cpu", "meta"]
    spread(torch, module, parts, torch.device("meta"))
    assert not module[0].weight.is_meta
    assert module[1].weight.is_meta
    assert module(torch.ones(2, 8)).is_meta


def test_shared_weights_on_two_gpus_are_refused() -> None:
    module = torch.nn.Sequential(*(torch.nn.Linear(8, 8, bias=False) for _ in range(2)))
    parts = plan(module, {"cpu": BLOCK, "meta": BLOCK})
    module[1].weight = module[0].weight
    with pytest.raises(DeviceError, match=r"'1.weight' is shared by parts on two of them"):
        spread(torch, module, parts, torch.device("cpu"))


def test_whatever_holds_tensors_moves_with_them() -> None:
    from transformers.modeling_outputs import BaseModelOutput

    given = {"a": [torch.ones(1), (torch.ones(2), None)], "b": "text"}
    moved = move(torch, given, "meta")
    assert moved["a"][0].is_meta
    assert moved["a"][1][0].is_meta
    assert moved["a"][1][1] is None
    assert moved["b"] == "text"
    output = move(torch, BaseModelOutput(last_hidden_state=torch.ones(1)), "meta")
    assert isinstance(output, BaseModelOutput)
    assert output.last_hidden_state.is_meta


def test_a_module_goes_to_the_gpu_that_was_asked_for_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (1000, 1000))
    asked: list[Any] = []
    monkeypatch.setattr(loading, "spread", lambda *arguments: asked.append(arguments))
    held = loading.place_module(torch, Deep(), torch.device("cuda:1"))
    assert held == ["cuda:0", "cuda:1"]
    (_, _, parts, home) = asked[0]
    assert parts[0].device == "cuda:1"
    assert parts[-1].device == "cuda:0"
    assert str(home) == "cuda:1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "CUDA out of memory. Tried to allocate 2.50 GiB. of which 1.00 GiB is free",
            "'tiny' needs 2.50 GiB more on cuda:0, which has 1.00 GiB free",
        ),
        (
            "CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; 8 GiB total; 12.00 MiB free)",
            "'tiny' needs 20.00 MiB more on cuda:0, which has 12.00 MiB free",
        ),
        ("out of memory", "'tiny' needs more memory on cuda:0"),
    ],
)
def test_memory_that_is_missing_is_told_with_its_sizes(text: str, said: str) -> None:
    known = translate(torch.cuda.OutOfMemoryError(text), "tiny", "cuda:0")
    assert isinstance(known, DeviceError)
    assert str(known) == said
    assert "batch" in known.hint


def test_other_errors_are_not_about_memory() -> None:
    assert translate(RuntimeError("no kernel image"), "tiny", "cuda:0") is None


def test_sizes_are_counted_once_and_read_well() -> None:
    module = torch.nn.Sequential(
        torch.nn.Linear(8, 8, bias=False), torch.nn.Linear(8, 8, bias=False)
    )
    module[1].weight = module[0].weight
    assert size_of(module) == BLOCK
    assert [human(n) for n in (5, 2048, 3 << 20, 5 << 40, 9 << 50)] == [
        "5 B",
        "2.0 KiB",
        "3.0 MiB",
        "5.0 TiB",
        "9216.0 TiB",
    ]
