"""What a VM is made of besides our program: a kernel with modules, and BusyBox, `ip` and `tc`."""

from pathlib import Path

import debian
from boards import CACHE, cache_locked, say

# `ip` and `tc` are Debian's: BusyBox's know no netem and no names of namespaces, and do not tell a route's protocol.
PROGRAMS = {
    "busybox-static": ["bin/busybox"],
    "iproute2": ["bin/ip", "sbin/tc"],
    "libbpf1": ["usr/lib/*/libbpf.so.*"],
    "libbsd0": ["usr/lib/*/libbsd.so.*"],
    "libc6": ["lib*/ld*.so.*", "lib/*/ld*.so.*", "lib/*/libc.so.*", "lib/*/libm.so.*"],
    "libcap2": ["lib/*/libcap.so.*"],
    "libelf1": ["usr/lib/*/libelf*.so*"],
    "libmd0": ["usr/lib/*/libmd.so.*"],
    "libmnl0": ["usr/lib/*/libmnl.so.*"],
    "libxtables12": ["usr/lib/*/libxtables.so.*"],
    "zlib1g": ["lib/*/libz.so.*"],
}
KERNEL = [
    "boot/vmlinuz-*",
    "lib/modules/*/kernel/net",
    "lib/modules/*/kernel/drivers/net/*.ko*",
    "lib/modules/*/kernel/lib",
]


def have(architecture: str, kernel_package: str) -> tuple[Path, Path]:
    """The folders of the programs and of the kernel. What the cache lacks is downloaded."""
    place = CACHE / "debian" / architecture
    programs, kernel = place / "programs", place / kernel_package
    wanted = {programs: PROGRAMS, kernel: {kernel_package: KERNEL}}
    with cache_locked():
        missing = [folder for folder in wanted if not folder.is_dir()]
        if missing:
            say(f"fetching packages for {architecture} from {debian.MIRROR} ({debian.RELEASE}) into {place}:")
            with debian.archive(architecture) as archive:
                for folder in missing:
                    archive.fill(folder, wanted[folder])
    return programs, kernel
