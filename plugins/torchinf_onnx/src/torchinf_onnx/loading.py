"""From a model's files to a predictor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torchinf_core.errors import LoadError, UsageError
from torchinf_core.runtimes import Artifact, Claim, LoadOptions, Signature
from torchinf_core.settings.parsing import parse_bool
from torchinf_core.verify.external import check_external
from torchinf_onnx.choosing import main_file
from torchinf_onnx.predictor import OnnxPredictor
from torchinf_onnx.sessions import Setup, open_session
from torchinf_onnx.signatures import make_signature

if TYPE_CHECKING:
    from torchinf_core.host import Host


def load_predictor(
    artifact: Artifact, claim: Claim, options: LoadOptions, host: Host
) -> OnnxPredictor:
    """Open the model's graph on the claim's device; raises as the ``load`` hook."""
    path = main_file(artifact)
    # A derived form is what this plugin wrote from a model that was looked at then.
    if artifact.derived is None:
        check_external(artifact.directory, path, artifact.files)
    setup = make_setup(artifact, claim.device, options, host)
    session = open_session(artifact.path(path), setup)
    signature = make_signature(session, artifact.name)
    precision = _precision(artifact, signature, options)
    return OnnxPredictor(artifact, claim, signature, session, options, precision)


def make_setup(artifact: Artifact, device: str, options: LoadOptions, host: Host) -> Setup:
    """How the session is opened: by the form's own options, then the user's settings.

    Raises:
        UsageError: a setting of this plugin has a value that it can't have.
    """
    own = artifact.derived.options if artifact.derived else {}
    prepacking = own.get("prepacking", host.setting("prepacking"))
    session = host.setting("session") or {}
    if not isinstance(session, Mapping):
        raise UsageError("[plugins.onnx] session must be a table of onnxruntime's session options")
    try:
        packs = True if prepacking is None else parse_bool(prepacking)
    except ValueError as error:
        raise UsageError(f"[plugins.onnx] prepacking is {prepacking!r}, expected {error}") from None
    return Setup(
        device=device,
        threads=options.threads,
        level="none" if own.get("optimised") else "all",
        prepacking=packs,
        entries={str(key): str(value) for key, value in session.items()},
    )


def _precision(artifact: Artifact, signature: Signature, options: LoadOptions) -> str:
    """What the graph computes with, which the graph alone decides."""
    if artifact.derived:
        return artifact.derived.precision
    half = any(spec.dtype == "float16" for spec in signature.inputs)
    own = "fp16" if half else "fp32"
    if options.precision not in ("auto", own):
        raise LoadError(
            f"{artifact.name!r} is an ONNX graph in {own}; onnxruntime computes as the graph "
            f"says, and {options.precision} was asked for",
            hint="--precision auto, or --runtime torch where the model has torch weights",
        )
    return own
