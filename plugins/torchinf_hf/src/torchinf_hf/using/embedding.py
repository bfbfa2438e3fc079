"""Hidden states of texts, and one vector for each text where the model says how.

A sentence-transformers model lists its steps in ``modules.json``: the transformer, then
pooling, dense layers and normalisation, which are a few lines of numpy each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torchinf_core.errors import LoadError, MissingDependencyError
from torchinf_core.runtimes import Pipeline, Run
from torchinf_core.types import Json
from torchinf_hf.using.folder import Folder
from torchinf_hf.using.scoring import output
from torchinf_hf.using.tokens import Tokens

Step = Callable[[Any], Any]
Pool = Callable[[Any, Any], Any]
_SMALLEST = 1e-9
_FAMILIES = ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")


def hidden_states(run: Run, tokens: Tokens) -> Pipeline:
    """Texts to float32 arrays of tokens by features each."""

    def pipeline(texts: Sequence[Any], options: Mapping[str, Any]) -> list[Any]:  # noqa: ARG001
        import numpy as np

        encodings = tokens.encode(texts)
        states = output(run(tokens.feeds(encodings)), "last_hidden_state")
        return [np.array(row) for row in tokens.rows(states, encodings)]

    return pipeline


def sentence_vectors(run: Run, folder: Folder, tokens: Tokens) -> Pipeline:
    """Texts to one float32 vector each.

    Raises:
        LoadError: a step is of a kind that is not known here.
    """
    prefix = _prefix(folder)
    lower = bool(_settings(folder).get("do_lower_case"))
    pool, steps = _steps(folder)

    def pipeline(texts: Sequence[Any], options: Mapping[str, Any]) -> list[Any]:  # noqa: ARG001
        written = [prefix + text.strip() for text in texts]
        encodings = tokens.encode([text.lower() for text in written] if lower else written)
        feeds = tokens.feeds(encodings)
        states = output(run(feeds), "last_hidden_state")
        vectors = pool(states, feeds["attention_mask"])
        for step in steps:
            vectors = step(vectors)
        return list(vectors)

    return pipeline


def sentence_limit(folder: Folder) -> int:
    """Most tokens by the word of sentence-transformers, 0 where it does not say."""
    most = _settings(folder).get("max_seq_length")
    return most if isinstance(most, int) and most > 0 else 0


def _settings(folder: Folder) -> Mapping[str, Json]:
    """What sentence-transformers says of the first step; its file's name was another one once."""
    names = (f"sentence_{family}_config.json" for family in _FAMILIES)
    return next((folder.json(name) for name in names if folder.has(name)), {})


def _prefix(folder: Folder) -> str:
    settings = folder.json("config_sentence_transformers.json")
    prompts, name = settings.get("prompts"), settings.get("default_prompt_name")
    text = prompts.get(name) if isinstance(prompts, Mapping) and name else ""
    return text if isinstance(text, str) else ""


def _steps(folder: Folder) -> tuple[Pool, list[Step]]:
    modules = folder.json_value("modules.json")
    if not isinstance(modules, list) or not all(isinstance(m, Mapping) for m in modules):
        raise LoadError(f"modules.json of {folder.name!r} is no list of steps")
    pool: Pool | None = None
    steps: list[Step] = []
    for module in modules:
        kind = str(module.get("type")).rpartition(".")[2]
        path = str(module.get("path") or "").strip("/")
        if kind == "Transformer" and not path:
            continue
        if kind == "Pooling" and pool is None:
            pool = _pooling(folder, path)
        elif kind == "Normalize":
            steps.append(_normalised)
        elif kind == "Dense":
            steps.append(_dense(folder, path))
        elif kind != "Dropout":
            raise LoadError(
                f"{folder.name!r} has a step that is not known here: {kind or 'nameless'}",
                hint="pip install sentence-transformers, which can load the directory that "
                f"torchinf path {folder.name} prints",
            )
    if pool is None:
        raise LoadError(f"modules.json of {folder.name!r} has no pooling")
    return pool, steps


def _pooling(folder: Folder, path: str) -> Pool:
    settings = folder.json(f"{path}/config.json")
    modes = [key.removeprefix("pooling_mode_") for key, on in settings.items()
             if key.startswith("pooling_mode_") and on is True]  # fmt: skip
    if isinstance(settings.get("pooling_mode"), str):
        modes = [str(settings["pooling_mode"])]
    known: dict[str, Pool] = {
        "cls_token": _first,
        "cls": _first,
        "max_tokens": _largest,
        "max": _largest,
        "mean_tokens": _mean,
        "mean": _mean,
        "mean_sqrt_len_tokens": _mean_root,
        "lasttoken": _last,
    }
    unknown = [mode for mode in modes if mode not in known]
    if unknown or not modes:
        what = unknown[0] if unknown else "nothing"
        raise LoadError(f"{folder.name!r} pools by {what}, which is not known here")
    pools = [known[mode] for mode in known if mode in modes]

    def pool(states: Any, mask: Any) -> Any:
        import numpy as np

        return np.concatenate([one(states, mask) for one in pools], axis=1)

    return pool


def _first(states: Any, mask: Any) -> Any:
    return states[range(len(states)), mask.argmax(axis=1)]


def _last(states: Any, mask: Any) -> Any:
    return states[range(len(states)), mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)]


def _largest(states: Any, mask: Any) -> Any:
    import numpy as np

    return np.where(mask[..., None] == 1, states, np.float32(-1e9)).max(axis=1)


def _summed(states: Any, mask: Any) -> tuple[Any, Any]:
    import numpy as np

    wide = mask[..., None].astype(np.float32)
    return (states * wide).sum(axis=1), np.maximum(wide.sum(axis=1), np.float32(_SMALLEST))


def _mean(states: Any, mask: Any) -> Any:
    total, count = _summed(states, mask)
    return total / count


def _mean_root(states: Any, mask: Any) -> Any:
    total, count = _summed(states, mask)
    return total / count**0.5


def _normalised(vectors: Any) -> Any:
    import numpy as np

    length = np.sqrt((vectors * vectors).sum(axis=1, keepdims=True))
    return vectors / np.maximum(length, np.float32(1e-12))


def _dense(folder: Folder, path: str) -> Step:
    settings = folder.json(f"{path}/config.json")
    name = str(settings.get("activation_function", "")).rpartition(".")[2]
    if name not in ("Tanh", "Identity", "ReLU"):
        raise LoadError(f"{folder.name!r} has a dense layer with {name or 'no activation'}")
    if not folder.has(f"{path}/model.safetensors"):
        raise LoadError(
            f"the dense layer of {folder.name!r} is not in safetensors",
            hint=f"sentence-transformers can load the directory that torchinf path {folder.name} "
            "prints",
        )
    try:
        from safetensors.numpy import load_file
    except ImportError:
        raise MissingDependencyError(
            f"{folder.name!r} needs safetensors", hint="pip install safetensors"
        ) from None
    tensors = load_file(str(folder.path / path / "model.safetensors"))

    def dense(vectors: Any) -> Any:
        import numpy as np

        made = vectors @ tensors["linear.weight"].T
        if "linear.bias" in tensors:
            made = made + tensors["linear.bias"]
        if name == "Tanh":
            return np.tanh(made)
        return np.maximum(made, 0) if name == "ReLU" else made

    return dense
