"""Options that say how a model is loaded."""

from __future__ import annotations

from typing import Annotated

import typer

Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="auto, cpu, cuda, cuda:1 or mps; an error if it is not there.",
        show_default=False,
    ),
]
Runtime = Annotated[
    str | None,
    typer.Option(
        "--runtime",
        metavar="NAME",
        help="Load with this runtime.  [default: the best bid]",
        show_default=False,
    ),
]
Precision = Annotated[
    str | None,
    typer.Option(
        "--precision", metavar="WORD", help="auto, fp32, bf16 or fp16.", show_default=False
    ),
]
Arch = Annotated[
    str | None,
    typer.Option(
        "--arch",
        metavar="REF",
        help="What a bare checkpoint is: torchvision:mobilenet_v2.",
        show_default=False,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", metavar="N", min=1, help="For computing on the processor.", show_default=False
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size", metavar="N", min=1, help="Most inputs in one call.", show_default=False
    ),
]
Original = Annotated[
    bool, typer.Option("--original", help="As it was downloaded, not an optimised form.")
]
