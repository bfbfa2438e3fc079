"""Private registries: a login or a token opens them, and no output shows it."""

from pathlib import Path

HEADER = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
FILES = {"model.safetensors": len(HEADER).to_bytes(8, "little") + HEADER + bytes(4)}
BCRYPT = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"  # of "secret"


def log_in(home: Path, password: str) -> None:
    (home / ".netrc").write_text(f"machine 127.0.0.1 login someone password {password}\n")


def test_a_registry_with_passwords_is_opened_by_netrc(start, torchinf, home, tmp_path):
    users = tmp_path / "htpasswd"
    users.write_text(f"someone:{BCRYPT}\n")
    registry = start({"htpasswd": {"realm": "tiny", "path": str(users)}})
    registry.push("models/tiny", "v1", FILES, auth=("someone", "secret"))
    ref = f"oci:{registry.url}/models/tiny:v1"
    assert "access denied" in torchinf("download", ref, status=4)
    log_in(home, "mistaken")
    assert "mistaken" not in torchinf("download", ref, status=4)
    log_in(home, "secret")
    assert "secret" not in torchinf("download", ref, "-vv")


def test_a_registry_with_tokens_is_opened_by_a_login_at_its_realm(
    start, token_server, torchinf, home
):
    registry = start(token_server.auth)
    pushing = {"authorization": "Bearer " + token_server.sign("repository:models/tiny:push,pull")}
    registry.push("models/tiny", "v1", FILES, headers=pushing)
    ref = f"oci:{registry.url}/models/tiny:v1"
    said = torchinf("download", ref, status=4)
    assert "/token?" in said
    assert "answered 401: access denied" in said
    assert torchinf.blobs() == []
    log_in(home, "secret")
    said = torchinf("download", ref, "-vv")
    assert "secret" not in said
    assert not [token for token in token_server.given if token in said]
    path = Path(torchinf("path", "tiny").strip())
    path.chmod(0o600)
    path.write_bytes(b"")
    assert "fetched again" in torchinf("download", ref)
