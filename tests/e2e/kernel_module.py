# A module for the second guest's kernel, made with that kernel's headers from the machine's Debian mirror.
# SPDX-License-Identifier: MIT
import os
import pathlib
import re
import shutil
import subprocess

from harness import DEBIAN

HEADERS = (DEBIAN / "headers").resolve()


def told(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def fetch_headers():
    """Unpacks the headers beside the kernel, once; answers where they are."""
    image, version = re.search(r"^(linux-image-[^_]+?)(?:-unsigned)?_([^_]+)_", (DEBIAN / "packages").read_text(), re.MULTILINE).groups()
    version = version.replace("%3a", ":")
    headers = image.replace("image", "headers")
    folder = HEADERS / "usr/src" / headers
    if (HEADERS / "of").exists() and (HEADERS / "of").read_text() == version:
        return at_home(folder)
    shutil.rmtree(HEADERS, ignore_errors=True)
    HEADERS.mkdir()
    needed = re.findall(r"linux-(?:headers|kbuild)-[^ ,]+", re.search("^Depends: .*$", told("apt-cache", "show", f"{headers}={version}"), re.MULTILINE)[0])
    for package in (headers, *needed):
        told("apt-get", "-q", "-o", f"APT::Sandbox::User={os.environ.get('USER', 'root')}", "download", f"{package}={version}", cwd=HEADERS)
    for package in HEADERS.glob("*.deb"):
        told("dpkg-deb", "-x", package, HEADERS)
        package.unlink()
    (HEADERS / "of").write_text(version)
    return at_home(folder)


def at_home(folder):
    """Its Makefile names the common part by where it would be installed, or by where this tree was before."""
    makefile = folder / "Makefile"
    text = makefile.read_text()
    if (here_now := re.sub(r"(?<=include ).*(?=/usr/src/)|(?<=include )(?=/usr/src/)", str(HEADERS), text)) != text:
        makefile.write_text(here_now)
    return folder


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
