"""Feeds of opkg: the index `Packages`, `Packages.gz`, and the signature `Packages.sig`.

A router trusts a feed whose public key is its file /etc/opkg/keys/<fingerprint>.
"""

import base64
import hashlib
import io
import shutil
import subprocess
import tarfile
from pathlib import Path

from archive import gzipped

# The programs for signing: the first that exists is used.
SIGNERS = ("usign", "signify-openbsd", "signify")


def make(folder: Path, key: Path | None) -> None:
    """Writes the index of every .ipk in the folder and, with a secret key, its signature."""
    packages = sorted(folder.glob("*.ipk"))
    if not packages:
        raise ValueError(f"there is no .ipk in {folder}: run `openwrt/mkipk all` first")
    index = "".join(f"{described(package)}\n" for package in packages).encode()
    (folder / "Packages").write_bytes(index)
    (folder / "Packages.gz").write_bytes(gzipped(index))
    # The signature of an older index would be wrong.
    (folder / "Packages.sig").unlink(missing_ok=True)
    print(f"{folder / 'Packages'}: {len(packages)} package{'s' if len(packages) > 1 else ''}", flush=True)
    if key:
        sign(folder, key)


def described(package: Path) -> str:
    """A package's entry: its control file, and its path."""
    with tarfile.open(package) as outer:
        inner = io.BytesIO(outer.extractfile("./control.tar.gz").read())
    with tarfile.open(fileobj=inner) as control:
        text = control.extractfile("./control").read().decode()
    content = package.read_bytes()
    place = f"Filename: {package.name}\nSize: {len(content)}\nSHA256sum: {hashlib.sha256(content).hexdigest()}\n"
    before, description = text.split("Description:", 1)
    return f"{before}{place}Description:{description}"


def sign(folder: Path, key: Path) -> None:
    signer = next(filter(shutil.which, SIGNERS), None)
    if not signer:
        raise ValueError("nothing to sign with: install usign, or Debian's package signify-openbsd")
    index, signature = folder / "Packages", folder / "Packages.sig"
    command = [signer, "-S", "-s", str(key), "-m", str(index), "-x", str(signature)]
    if subprocess.run(command, check=False).returncode:
        raise ValueError(f"{signer} could not sign with {key}")
    print(f"{signature}: routers need the public key as /etc/opkg/keys/{fingerprint(signature)}", flush=True)


def fingerprint(signature: Path) -> str:
    """The key's fingerprint: after the algorithm, two bytes, in the line of base64."""
    return base64.b64decode(signature.read_text().splitlines()[1])[2:10].hex()


def public_key(key: Path) -> bytes:
    """The public key of a secret one that has no passphrase.

    The secret one: algorithm (2 bytes), that of the passphrase and its rounds (6), salt (16), checksum (8), fingerprint
    (8), secret (32), public key (32).
    """
    secret = base64.b64decode(key.read_text().splitlines()[-1])
    if len(secret) != 104 or any(secret[4:8]):
        raise ValueError(f"{key} is no secret key, or has a passphrase: make one by `usign -G`, or `signify-openbsd -G -n`")
    return b"untrusted comment: failover's packages\n" + base64.b64encode(secret[:2] + secret[32:40] + secret[72:]) + b"\n"
