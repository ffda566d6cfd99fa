# Runs one scenario: a guest under a fault plan, which says itself what must hold. Nothing may be left behind.
# SPDX-License-Identifier: MIT
#
# usage: scenario.py PLAN KIND CPUS IOMMU APPEND [OPTION ...]: KIND is the sort of disk0 (nvme or virtio-blk); disk1 is a
# healthy one of the other sort. APPEND is the guest's command line; what follows goes to the command.
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from harness import Workplace  # noqa: E402


def attempt():
    plan, kind, cpus, iommu, append, *options = sys.argv[1:]
    other = "virtio-blk" if kind == "nvme" else "nvme"
    place = Workplace()
    try:
        result = place.run("check", "--fault-plan", plan, "--smp", cpus, "--iommu", iommu, "--disk", f"{kind}:64M",
                           "--disk", f"{other}:64M", "--append", append, "--output", "t.db", "--keep", "kept", *options,
                           deadline=280)
        print(result)
        if result.status != 0:
            console = place.folder / "kept/console.txt"
            print("--- console")
            print(console.read_text(encoding="utf-8", errors="replace")[-6000:] if console.exists() else "none")
    finally:
        place.close()
    return result


def main():
    result = attempt()
    if "the guest lost its QEMU" in result.stdout:
        print("QEMU itself crashed, which it does now and then when a controller is reset (docs/nvme.md): a second and last attempt")
        result = attempt()
    return result.status


if __name__ == "__main__":
    sys.exit(main())
