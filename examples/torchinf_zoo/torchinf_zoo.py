"""torchinf source plugin for the Zoo mirror: ``zoo:<name>@<tag>``."""

from torchinf_core import ModelNotFoundError, Plan, RemoteFile, SourceInfo, hookimpl

INDEX = "https://zoo.example/index.json"


@hookimpl
def sources():
    yield SourceInfo("zoo", ("zoo",), "Weights from the Zoo mirror", ("zoo:tiny-mlp@1",))


@hookimpl
def resolve(ref, host):
    index = host.json(host.setting("index") or INDEX)
    try:
        model = index[ref.locator]
        tag = ref.revision or model["latest"]
        entry = model["tags"][tag]
        weights = RemoteFile("model.safetensors", entry["url"], entry["size"], entry["sha256"])
    except (KeyError, TypeError):
        raise ModelNotFoundError(f"the Zoo has no {ref}") from None
    return Plan(ref, ref.locator, (weights,), revision=tag)
