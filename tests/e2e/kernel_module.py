# A module for the second guest's kernel, made with that kernel's headers from the machine's Debian mirror.
# SPDX-License-Identifier: MIT
import os
import pathlib
import re
import shutil
import subprocess

from harness import DEBIAN

HEADERS = DEBIAN / "headers"


def told(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def fetch_headers():
    """Unpacks the headers beside the kernel, once; answers where they are."""
    image, version = re.search(r"^(linux-image-[^_]+?)(?:-unsigned)?_([^_]+)_", (DEBIAN / "packages").read_text(), re.MULTILINE).groups()
    version = version.replace("%3a", ":")
    headers = image.replace("image", "headers")
    if (HEADERS / "of").exists() and (HEADERS / "of").read_text() == version:
        return HEADERS / "usr/src" / headers
    shutil.rmtree(HEADERS, ignore_errors=True)
    HEADERS.mkdir()
    needed = re.findall(r"linux-(?:headers|kbuild)-[^ ,]+", re.search("^Depends: .*$", told("apt-cache", "show", f"{headers}={version}"), re.MULTILINE)[0])
    for package in (headers, *needed):
        told("apt-get", "-q", "-o", f"APT::Sandbox::User={os.environ.get('USER', 'root')}", "download", f"{package}={version}", cwd=HEADERS)
    for package in HEADERS.glob("*.deb"):
        told("dpkg-deb", "-x", package, HEADERS)
        package.unlink()
    # Its Makefile names the common part by where it would be installed.
    makefile = HEADERS / "usr/src" / headers / "Makefile"
    makefile.write_text(makefile.read_text().replace("/usr/src/", f"{HEADERS}/usr/src/"))
    (HEADERS / "of").write_text(version)
    return HEADERS / "usr/src" / headers


def make(source, folder):
    """The module of the folder `source`, built in `folder`."""
    shutil.copytree(source, folder)
    told("make", "-s", "-C", fetch_headers(), f"M={folder}", "modules", stderr=subprocess.STDOUT)
    module = next(folder.glob("*.ko"))
    told("strip", "-g", module)
    return module


def initrd_with(files, folder):
    """The second guest's, with further files: by their names there."""
    root = folder / "root"
    for name, source in files.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, place)
        place.chmod(0o755)
    archive = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, check=True, stdout=subprocess.PIPE,
                             input="\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*"))).encode()).stdout
    data = (DEBIAN / "initrd").read_bytes()
    initrd = folder / "initrd"
    initrd.write_bytes(data + bytes(-len(data) % 4) + archive)
    return initrd


def here(name):
    return pathlib.Path(__file__).resolve().parent / name
