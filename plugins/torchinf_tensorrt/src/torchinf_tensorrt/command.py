"""``torchinf tensorrt build``: an engine in a file, for a machine elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from torchinf_core.errors import FormatError, LoadError, UsageError
from torchinf_core.types import StoredFile


def build(
    name: Annotated[str, typer.Argument(help="A stored model, or the path of an .onnx file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The engine to write.")],
    target: Annotated[
        str, typer.Option(help="Kind of GPU, such as sm89; default: the one here.")
    ] = "",
    min_batch: Annotated[int, typer.Option(min=1, help="Smallest batch.")] = 1,
    opt_batch: Annotated[int, typer.Option(min=0, help="Usual batch; 0: the largest.")] = 0,
    max_batch: Annotated[int, typer.Option(min=1, help="Largest batch.")] = 8,
    shape: Annotated[
        list[str] | None, typer.Option(help="NAME=SMALLEST,USUAL,LARGEST, for other axes.")
    ] = None,
    precision: Annotated[
        str, typer.Option(help="fp32 (as the graph says), fp16 or bf16.")
    ] = "fp32",
    timing_cache: Annotated[
        Path | None, typer.Option(help="Keep measured tactics in this file.")
    ] = None,
) -> None:
    """Build an engine from an ONNX model; with TensorRT for RTX also without a GPU."""
    from torchinf_tensorrt.building import Order, build_engine, write
    from torchinf_tensorrt.shapes import Shapes, parse_range
    from torchinf_tensorrt.targets import NO_GPU, count_gpus, parse_target

    if not target and not count_gpus():
        raise LoadError(NO_GPU, hint="name the kind of GPU to build for: --target sm89")
    if precision not in ("fp32", "fp16", "bf16"):
        raise UsageError(f"the precision {precision!r} is none of fp32, fp16 and bf16")
    shapes = Shapes(
        (min_batch, opt_batch or max_batch, max_batch), dict(map(parse_range, shape or ()))
    )
    wanted = parse_target(target) if target else ""
    with _found(name) as (directory, main, files):
        engine = build_engine(
            Order(directory, main, files, wanted, shapes, precision, timing_cache)
        )
    write(output, [engine])
    typer.echo(f"{output}  {len(engine):,} bytes for {wanted or 'the GPU here'}")


def targets() -> None:
    """List the kinds of GPUs that engines can be built for without having one."""
    from torchinf_tensorrt.api import load_module
    from torchinf_tensorrt.targets import known

    for name in known(load_module(target=True)):
        typer.echo(name)


@contextmanager
def _found(name: str) -> Iterator[tuple[Path, str, tuple[StoredFile, ...]]]:
    """Directory, graph and files of a model, which stay while they are used."""
    path = Path(name)
    if path.suffix == ".onnx":
        yield path.parent, path.name, _beside(path)
        return
    from torchinf_core.loading.opening import check_files
    from torchinf_core.manager import ModelDownloader
    from torchinf_core.runtimes import Artifact
    from torchinf_tensorrt.choosing import main_file

    downloader = ModelDownloader()
    record = downloader.get_record(name)
    with downloader.store.lease():
        check_files(record, downloader.store, downloader.settings.run.check)
        artifact = Artifact(record, downloader.store.model_dir(record))
        yield artifact.directory, main_file(artifact), artifact.files


def _beside(path: Path) -> tuple[StoredFile, ...]:
    """A graph that is in no store, and what it reads below its own directory."""
    from torchinf_core.verify.onnxfile import external_data

    try:
        with open(path, "rb") as file:
            names = external_data(file, os.fstat(file.fileno()).st_size)
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from None
    except FormatError as error:
        raise FormatError(f"{path.name} {error}") from None
    there = [path.name, *(each for each in names if (path.parent / each).exists())]
    return tuple(StoredFile(each, (path.parent / each).lstat().st_size, "") for each in there)
