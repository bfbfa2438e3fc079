"""The options of ``torchinf predict`` and ``torchinf run``."""

from __future__ import annotations

from typing import Annotated

import typer

from torchinf_core.cli.options import (
    AsJson,
    CacheDir,
    Name,
    Offline,
    Quiet,
    Verbose,
    log_to_stderr,
)
from torchinf_core.cli.predicting.options import (
    Arch,
    BatchSize,
    Device,
    Original,
    Precision,
    Runtime,
    Threads,
)
from torchinf_core.cli.predicting.predict import predict
from torchinf_core.cli.predicting.request import Request

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="A picture, a text, a .npy, .npz or .json file, JSON; a directory of them; "
        "@FILE, .txt, .jsonl or - (stdin) with one a line.",
        show_default=False,
    ),
]
Top = Annotated[
    int | None,
    typer.Option(
        "--top", metavar="N", min=1, help="Most labels for one input.", show_default=False
    ),
]
Out = Annotated[
    str | None,
    typer.Option(
        "--out",
        metavar="FILE",
        help="Write the results there: .jsonl, .parquet or .npz.",
        show_default=False,
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace the file of --out.")]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        metavar="KEY=VALUE",
        help="An option of the model's pipeline; may be repeated.",
        show_default=False,
    ),
]
FailFast = Annotated[
    bool, typer.Option("--fail-fast", help="Stop at the first input that can't be used.")
]


def predict_command(
    name: Name,
    inputs: Inputs,
    top: Top = None,
    batch_size: BatchSize = None,
    device: Device = None,
    runtime: Runtime = None,
    precision: Precision = None,
    arch: Arch = None,
    threads: Threads = None,
    original: Original = False,
    out: Out = None,
    force: Force = False,
    option: Options = None,
    fail_fast: FailFast = False,
    cache_dir: CacheDir = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> int:
    """Predict with a stored model.  With -q, the top label or value alone.

    Inputs that can't be used are told on stderr, and the others go on; the exit
    status is that of the worst.

    \b
      torchinf predict resnet18 cat.jpg
      torchinf predict resnet18 pictures/ --out labels.parquet
      torchinf predict sentiment "what a day" --json
      torchinf predict sentiment @reviews.txt --batch-size 32 --out scores.jsonl
    """  # noqa: D301 - the escape is click's mark for lines to be left alone
    log_to_stderr(verbose)
    return predict(
        Request(
            name,
            inputs,
            top=top,
            batch_size=batch_size,
            device=device,
            runtime=runtime,
            precision=precision,
            arch=arch,
            threads=threads,
            original=original,
            out=out,
            force=force,
            options=option or (),
            fail_fast=fail_fast,
            cache_dir=cache_dir,
            as_json=as_json,
            quiet=quiet,
            verbose=verbose,
        )
    )


def run_command(
    ref: Annotated[
        str,
        typer.Argument(
            metavar="REF",
            help="A model: torchvision:resnet18, hf:ORG/NAME, a URL, a path, or a stored name.",
            show_default=False,
        ),
    ],
    inputs: Inputs,
    top: Top = None,
    batch_size: BatchSize = None,
    device: Device = None,
    runtime: Runtime = None,
    precision: Precision = None,
    arch: Arch = None,
    threads: Threads = None,
    original: Original = False,
    out: Out = None,
    force: Force = False,
    option: Options = None,
    fail_fast: FailFast = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Allow code of exactly this content to run.")
    ] = False,
    offline: Offline = None,
    cache_dir: CacheDir = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> int:
    """Predict with any model, downloaded if it is not here.

    \b
      torchinf run torchvision:resnet18 cat.jpg
      torchinf run hf:distilbert/distilbert-base-uncased-finetuned-sst-2-english "what a day"
      torchinf run ./model.onnx input.npy
    """  # noqa: D301 - the escape is click's mark for lines to be left alone
    log_to_stderr(verbose)
    return predict(
        Request(
            ref,
            inputs,
            obtain=True,
            trust=trust,
            offline=offline,
            top=top,
            batch_size=batch_size,
            device=device,
            runtime=runtime,
            precision=precision,
            arch=arch,
            threads=threads,
            original=original,
            out=out,
            force=force,
            options=option or (),
            fail_fast=fail_fast,
            cache_dir=cache_dir,
            as_json=as_json,
            quiet=quiet,
            verbose=verbose,
        )
    )
