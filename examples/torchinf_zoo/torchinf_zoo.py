"""torchinf source plugin for the Zoo mirror: ``zoo:<name>@<tag>``."""

from torchinf_core import ModelNotFoundError, Plan, RemoteFile, SourceInfo, hookimpl

INDEX = "https://zoo.example/index.json"


@hookimpl
def sources():
    yield SourceInfo("zoo", ("zoo",), "Weights from the Zoo mirror", ("zoo:tiny-mlp@1",))


@hookimpl
def resolve(ref, host):
    answer = host.http.get(host.setting("index") or INDEX)
    index = answer.raise_for_status().json()
    try:
        model = index[ref.locator]
        tag = ref.revision or model["latest"]
        entry = model["tags"][tag]
    except KeyError:
        raise ModelNotFoundError(f"the Zoo has no {ref}") from None
    weights = RemoteFile("model.safetensors", entry["url"], entry["size"], entry["sha256"])
    return Plan(ref, ref.locator, (weights,), revision=tag)
