"""Writes what ``torchinf[all]`` brings, to the last dependency, as a CycloneDX document.

``python packaging/inventory.py WHEELS``: the file lies beside the wheels.  pip decides what would
be installed on this machine today and installs nothing; the same decision gives the same bytes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
Json = dict[str, Any]


def resolved(wheels: Path) -> dict[str, Json]:
    """What pip would install of ``torchinf[all]``: its report of each distribution, by name."""
    ours = {path.name.split("-")[0]: path.resolve().as_uri() for path in wheels.glob("*.whl")}
    with tempfile.TemporaryDirectory() as folder:
        pins, report = Path(folder, "pins.txt"), Path(folder, "report.json")
        pins.write_text("".join(f"{name} @ {url}\n" for name, url in ours.items()))
        words = ["--dry-run", "--ignore-installed", "-q", "-c", str(pins), "--report", str(report)]
        command = [sys.executable, "-m", "pip", "install", *words]
        subprocess.run([*command, f"torchinf[all] @ {ours['torchinf']}"], check=True)
        installed = json.loads(report.read_text())["install"]
    named = {str(canonicalize_name(entry["metadata"]["name"])): entry for entry in installed}
    return dict(sorted(named.items()))


def needs(entry: Json, names: set[str]) -> list[str]:
    """Which of some distributions another one asks for, with the extras that were asked of it."""
    extras = ["", *entry.get("requested_extras", [])]
    found = set()
    for text in entry["metadata"].get("requires_dist", []):
        need = Requirement(text)
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras):
            found.add(str(canonicalize_name(need.name)))
    return sorted(found & names)


def described(entries: dict[str, Json]) -> Json:
    """The document as the tool makes it of names, versions and digests."""
    lines = [
        f"{name}=={entry['metadata']['version']}"
        f" --hash=sha256:{entry['download_info']['archive_info']['hashes']['sha256']}"
        for name, entry in entries.items()
    ]
    words = ["requirements", "--output-reproducible", "--mc-type", "library"]
    command = [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", *words]
    done = subprocess.run(
        [*command, "--pyproject", str(ROOT / "pyproject.toml"), "-"],
        input="\n".join(lines),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    document: Json = json.loads(done.stdout)
    return document


def completed(document: Json, core: Json, entries: dict[str, Json]) -> Json:
    """Add what the tool can't know: who needs whom, licenses, and that ours are on no index."""
    root = document["metadata"]["component"]
    root["version"] = core["metadata"]["version"]
    references = {component["name"]: component["bom-ref"] for component in document["components"]}
    needed = {root["bom-ref"]: needs(core, set(entries))}
    for component in document["components"]:
        entry = entries[component["name"]]
        needed[component["bom-ref"]] = needs(entry, set(entries))
        if expression := entry["metadata"].get("license_expression"):
            component["licenses"] = [{"expression": expression}]
        if component["name"].startswith("torchinf-"):
            [place] = component.pop("externalReferences")
            component["hashes"] = place["hashes"]
    document["dependencies"] = [
        {"ref": one, "dependsOn": [references[name] for name in names]}
        for one, names in sorted(needed.items())
    ]
    return document


def main(wheels: Path) -> int:
    """Write the document; returns the exit status."""
    entries = resolved(wheels)
    core = entries.pop("torchinf")
    document = completed(described(entries), core, entries)
    text = json.dumps(document, indent=2, sort_keys=True) + "\n"
    version = SchemaVersion.from_version(document["specVersion"])
    if wrong := JsonStrictValidator(version).validate_str(text):
        sys.stderr.write(f"not a CycloneDX document: {wrong}\n")
        return 1
    out = wheels / f"torchinf-{core['metadata']['version']}.cdx.json"
    out.write_text(text)
    print(f"{out}: torchinf and {len(entries)} distributions that [all] brings here")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
