"""What ``predict`` and ``run`` were asked for; the same from Typer and from the fast path."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Request:
    """One call of ``predict`` or ``run``.

    Attributes:
        model: name of a stored model; for ``run`` a reference will do.
        inputs: words of the command line; see :mod:`torchinf_core.cli.predicting.inputs`.
        obtain: True to download a model that is not here.
        trust: decide that the code of what is downloaded may run.
        cache_dir, verbose, as_json, quiet: as for every command.
        top: most labels for one input; None leaves it to the model.
        batch_size, device, runtime, precision, arch, threads: as in
            :class:`~torchinf_core.RunSettings`; None leaves it to the settings.
        original: True to leave optimised forms aside.
        out: file for the results instead of stdout.
        force: replace ``out``.
        options: ``key=value`` texts for the model's pipeline.
        fail_fast: stop at the first input that can't be used.
    """

    def __init__(
        self,
        model: str,
        inputs: Sequence[str],
        *,
        obtain: bool = False,
        trust: bool = False,
        offline: bool | None = None,
        cache_dir: str | None = None,
        verbose: int = 0,
        as_json: bool = False,
        quiet: bool = False,
        top: int | None = None,
        batch_size: int | None = None,
        device: str | None = None,
        runtime: str | None = None,
        precision: str | None = None,
        arch: str | None = None,
        threads: int | None = None,
        original: bool = False,
        out: str | None = None,
        force: bool = False,
        options: Sequence[str] = (),
        fail_fast: bool = False,
    ) -> None:
        self.model = model
        self.inputs = inputs
        self.obtain = obtain
        self.trust = trust
        self.offline = offline
        self.cache_dir = cache_dir
        self.verbose = verbose
        self.as_json = as_json
        self.quiet = quiet
        self.top = top
        self.batch_size = batch_size
        self.device = device
        self.runtime = runtime
        self.precision = precision
        self.arch = arch
        self.threads = threads
        self.original = original
        self.out = out
        self.force = force
        self.options = options
        self.fail_fast = fail_fast
