"""Throw-away certificates for the hub, made by the ``openssl`` command.

Each certificate lives in a temporary folder that goes with the process.
"""

from __future__ import annotations

import atexit
import shutil
import ssl
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a self-signed certificate says.

    Attributes:
        names: subject alternative names in openssl's words.
        expired: True for one whose time is over.
    """

    names: str = "DNS:localhost,IP:127.0.0.1"
    expired: bool = False


def have_openssl() -> bool:
    """True when the ``openssl`` command is there."""
    return shutil.which("openssl") is not None


def server_context(certificate: Certificate) -> tuple[ssl.SSLContext, str]:
    """A TLS server context with a new certificate, and the PEM file to trust.

    Raises:
        RuntimeError: openssl is missing or refused.
    """
    folder = Path(tempfile.mkdtemp(prefix="torchinf-testing-hub-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    key, cert = folder / "key.pem", folder / "cert.pem"
    config = folder / "openssl.cnf"
    config.write_text(_CONFIG.format(names=certificate.names, folder=folder))
    (folder / "index.txt").touch()
    (folder / "serial").write_text("01\n")
    dates = ("20200101000000Z", "20210101000000Z" if certificate.expired else "20991231000000Z")
    _openssl(
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost",
        *("-config", str(config), "-keyout", str(key), "-out", str(folder / "request.pem")),
    )
    _openssl(
        "ca -batch -selfsign -notext -extensions v3 -md sha256",
        *("-config", str(config), "-startdate", dates[0], "-enddate", dates[1]),
        *("-keyfile", str(key), "-in", str(folder / "request.pem"), "-out", str(cert)),
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, str(cert)


_CONFIG = """
[req]
distinguished_name = subject
[subject]
[ca]
default_ca = throwaway
[throwaway]
database = {folder}/index.txt
new_certs_dir = {folder}
serial = {folder}/serial
policy = anything
[anything]
commonName = supplied
[v3]
subjectAltName = {names}
basicConstraints = critical, CA:TRUE
keyUsage = critical, digitalSignature, keyCertSign
"""


def _openssl(words: str, *arguments: str) -> None:
    try:
        subprocess.run(  # noqa: S603 - fixed words and own paths
            ["openssl", *words.split(), *arguments], check=True, capture_output=True, text=True
        )
    except FileNotFoundError:
        raise RuntimeError("the openssl command is needed for a hub that speaks TLS") from None
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"openssl made no certificate: {error.stderr}") from None
