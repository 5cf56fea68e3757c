"""The opkg packages and their feed, read with other programs than those that made them."""

import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

from router import FEED, HERE, INSTANCE, ROOT, TRIGGERS, RouterTest

sys.path.append(str(ROOT / "board"))
from boards import CACHE

VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
IPK = f"failover_{VERSION}-r1_mipsel_24kc.ipk"
LUCI_IPK = f"luci-app-failover_{VERSION}-r1_all.ipk"
SDK = HERE / "sdk"
# A line of tar's listing of an archive.
LISTED = r"^(drwxr-xr-x|-rwxr-xr-x|-rw-r--r--|-rw-------) root/root +\d+ 1970-01-01 00:00 \./"
# What a start of the service ends with.
STARTED = [*INSTANCE, *TRIGGERS]
# Used in place of the program in a package.
PROGRAM = b"\x7fELF" + bytes(range(256)) * 40


def run(*command: object, folder: Path | None = None) -> str:
    environment = os.environ | {"TZ": "UTC", "FAILOVER_CACHE": str(CACHE), "PIP_RETRIES": "0"}
    environment.pop("SOURCE_DATE_EPOCH", None)
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def make(*arguments: object) -> str:
    """The feed's Makefile, evaluated by make with a replacement for the SDK."""
    return run("make", "--silent", "-C", FEED / "failover", f"TOPDIR={SDK}", *arguments).strip()


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a directory, with its mode."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): (path.stat().st_mode & 0o7777, path.read_bytes()) for path in files}


class PackageTest(unittest.TestCase):
    # Whether LuCI's pages are in their package: to pack them takes longer than all else.
    pages = False

    def setUp(self) -> None:
        self.tree = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="failover-")))
        # The tools of the feed, in a tree with other boards.
        shutil.copytree(FEED, self.tree / "openwrt")
        if not self.pages:
            for part in ("htdocs", "po"):
                shutil.rmtree(self.tree / "openwrt/luci-app-failover" / part)
        (self.tree / "board").mkdir()
        for name in ("boards.py", "pypi.py"):
            shutil.copy(ROOT / "board" / name, self.tree / "board")
        self.add_board("mt7621", "mipsel_24kc")
        self.results = self.tree / "target/openwrt"

    def add_board(self, name: str, architecture: str) -> None:
        real = (ROOT / "board/mt7621.toml").read_text()
        text = re.sub(r'^openwrt = ".*"$', f'openwrt = "{architecture}"', real, flags=re.MULTILINE)
        (self.tree / f"board/{name}.toml").write_text(text)
        (self.tree / f"target/board/{name}").mkdir(parents=True)
        (self.tree / f"target/board/{name}/failover").write_bytes(PROGRAM)

    def pack(self, *boards: str) -> None:
        run(self.tree / "openwrt/mkipk", *boards)

    def made_by_make(self) -> Path:
        """The directory of the files that make installs; its subdirectory CONTROL has the control files."""
        (self.tree / "bin").mkdir()
        (self.tree / "bin/failover").write_bytes(PROGRAM)
        make("install", f"PKG_INSTALL_DIR={self.tree}", f"DESTINATION={self.tree / 'made'}")
        return self.tree / "made"

    def taken_apart(self, ipk: str = IPK) -> tuple[Path, Path]:
        """The directories of a package's files and of its control files."""
        outer = self.tree / "taken apart" / ipk
        outer.mkdir(parents=True)
        run("tar", "-xzf", self.results / ipk, "-C", outer)
        for part in ("data", "control"):
            (outer / part).mkdir()
            run("tar", "-xpzf", outer / f"{part}.tar.gz", "-C", outer / part)
        return outer / "data", outer / "control"


class Package(PackageTest):
    def test_it_is_what_the_feed_says_file_by_file(self) -> None:
        self.pack("mt7621")
        data, control = self.taken_apart()
        expected = contents(self.made_by_make())
        self.assertEqual(contents(data), {path: file for path, file in expected.items() if "CONTROL" not in path})
        self.assertEqual(expected["etc/config/failover"][0], 0o600)
        for script in ("postinst-pkg", "prerm-pkg", "postrm", "conffiles"):
            self.assertEqual((control / script).read_bytes(), expected[f"CONTROL/{script}"][1], script)

    def test_every_file_of_the_feed_is_in_it(self) -> None:
        self.pack("mt7621")
        packed = [content for _, content in contents(self.taken_apart()[0]).values()]
        for file in (FEED / "failover/files").iterdir():
            self.assertIn(file.read_bytes(), packed, file)

    def test_it_has_the_form_that_opkg_reads(self) -> None:
        self.pack("mt7621")
        ipk = self.results / IPK
        self.assertEqual(run("tar", "-tzf", ipk).split(), ["./debian-binary", "./data.tar.gz", "./control.tar.gz"])
        self.assertEqual(run("tar", "-xzOf", ipk, "./debian-binary"), "2.0\n")
        data, control = self.taken_apart()
        for part in ("data", "control"):
            listed = run("tar", "-tvzf", data.parent / f"{part}.tar.gz").splitlines()
            self.assertTrue(listed[0].endswith(" ./"), listed[0])
            for line in listed:
                self.assertRegex(line, LISTED)
        for script in ("postinst", "postinst-pkg", "prerm", "prerm-pkg", "postrm"):
            self.assertTrue(os.access(control / script, os.X_OK), script)

    def test_its_control_file_has_every_field(self) -> None:
        self.pack("mt7621")
        data, control = self.taken_apart()
        text = (control / "control").read_text()
        fields = dict(re.findall(r"^([\w-]+): (.*)$", text, re.MULTILINE))
        expected = {
            "Package": "failover",
            "Version": f"{VERSION}-r1",
            "Depends": "libc, kmod-nf-conntrack-netlink, kmod-nft-fib, kmod-nft-nat",
            "Source": "feeds/failover/failover",
            "License": "MIT OR Apache-2.0",
            "Section": "net",
            "Architecture": "mipsel_24kc",
            "Installed-Size": str(len(gzip.decompress((data.parent / "data.tar.gz").read_bytes()))),
        }
        self.assertEqual({name: fields[name] for name in expected}, expected)
        described = re.search(r"^Description: (.*(?:\n .*)*\n)\Z", text, re.MULTILINE)[1].replace("\n ", "\n")
        self.assertEqual(described, (self.made_by_make() / "CONTROL/description").read_text())

    def test_it_is_the_same_bytes_each_time(self) -> None:
        self.pack("mt7621")
        first = (self.results / IPK).read_bytes()
        self.assertEqual(first[4:8], bytes(4))  # the time in gzip's header
        for path in self.tree.rglob("*"):
            os.utime(path, (1, 1))
            path.chmod(0o700)
        (self.results / IPK).unlink()
        self.pack("mt7621")
        self.assertEqual((self.results / IPK).read_bytes(), first)

    def test_every_board_has_one(self) -> None:
        self.add_board("x86-64", "x86_64")
        self.pack("all")
        names = {path.name for path in self.results.iterdir()}
        self.assertEqual(names, {IPK, f"failover_{VERSION}-r1_x86_64.ipk", LUCI_IPK})

    def test_what_is_missing_is_told(self) -> None:
        (self.tree / "target/board/mt7621/failover").unlink()
        with self.assertRaisesRegex(AssertionError, "run `board/build mt7621` first"):
            self.pack("mt7621")
        with self.assertRaisesRegex(AssertionError, "expected one of mt7621, or all"):
            self.pack("toaster")


class Feed(PackageTest):
    def make_feed(self, *arguments: object) -> None:
        run(self.tree / "openwrt/mkfeed", self.results, *arguments)

    def entries(self) -> list[dict[str, str]]:
        """The paragraphs of the index."""
        text = (self.results / "Packages").read_text()
        return [dict(re.findall(r"^([\w-]+): (.*)$", part, re.MULTILINE)) for part in text.strip().split("\n\n")]

    def test_the_index_describes_every_package(self) -> None:
        self.add_board("x86-64", "x86_64")
        self.pack("all")
        self.make_feed()
        entries = self.entries()
        self.assertEqual([entry["Architecture"] for entry in entries], ["mipsel_24kc", "x86_64", "all"])
        for entry in entries:
            file = self.results / entry["Filename"]
            self.assertEqual(entry["SHA256sum"], run("sha256sum", file).split()[0])
            self.assertEqual(int(entry["Size"]), file.stat().st_size)
            control = (self.taken_apart(file.name)[1] / "control").read_text()
            self.assertLessEqual(set(control.splitlines()), set((self.results / "Packages").read_text().splitlines()))

    def test_the_packed_index_is_the_same(self) -> None:
        self.pack("all")
        self.make_feed()
        self.assertEqual(run("gzip", "-dc", self.results / "Packages.gz"), (self.results / "Packages").read_text())
        first = (self.results / "Packages.gz").read_bytes()
        self.make_feed()
        self.assertEqual((self.results / "Packages.gz").read_bytes(), first)

    def test_the_signature_is_good_and_of_this_index_only(self) -> None:
        self.pack("all")
        secret, public = self.tree / "feed.sec", self.tree / "feed.pub"
        run("signify-openbsd", "-G", "-n", "-s", secret, "-p", public)
        self.make_feed("--key", secret)
        index, signature = self.results / "Packages", self.results / "Packages.sig"
        verify = ("signify-openbsd", "-V", "-p", public, "-m", index, "-x", signature)
        run(*verify)
        index.write_text(index.read_text() + "Package: forged\n")
        with self.assertRaises(AssertionError):
            run(*verify)
        # Without a key there is no signature, not even an old one.
        self.make_feed()
        self.assertFalse(signature.exists())

    def test_what_is_missing_is_told(self) -> None:
        self.results.mkdir(parents=True)
        with self.assertRaisesRegex(AssertionError, "run `openwrt/mkipk all` first"):
            self.make_feed()


class Makefile(unittest.TestCase):
    def test_the_version_is_the_programs(self) -> None:
        self.assertEqual(make("show", "VARIABLE=PKG_VERSION"), VERSION)

    def test_it_is_built_as_packages_in_rust_are(self) -> None:
        self.assertEqual(make("show", "VARIABLE=PKG_BUILD_DEPENDS"), "rust/host")
        self.assertTrue(make("show", "VARIABLE=DEPENDS").startswith("@("))  # RUST_ARCH_DEPENDS
        self.assertIn("CARGO_PROFILE_RELEASE_PANIC=abort", make("show", "VARIABLE=CARGO_PKG_VARS"))

    def test_the_sources_beside_it_are_all_that_cargo_takes(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            make("prepare", f"PKG_BUILD_DIR={folder}")
            run("cargo", "metadata", "--no-deps", "--locked", "--offline", "--format-version=1", folder=folder)
            declared = tomllib.loads((ROOT / "Cargo.toml").read_text())
            for file in (declared["bin"][0]["path"], "src/lib.rs", declared["package"]["build"], "Cargo.lock"):
                self.assertTrue((Path(folder) / file).exists(), file)

    def test_without_the_sources_it_takes_a_release(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(FEED / "failover", Path(folder) / "net/failover/failover")
            show = ("make", "--silent", "-C", Path(folder) / "net/failover/failover", f"TOPDIR={SDK}", "show")
            self.assertEqual(run(*show, "VARIABLE=PKG_SOURCE").strip(), f"failover-{VERSION}.tar.gz")
        self.assertEqual(make("show", "VARIABLE=PKG_SOURCE"), "")

    def test_the_builders_check_of_the_version(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "failover"
            program.write_text(f"#!/bin/sh\necho 'failover {VERSION}'\n")
            program.chmod(0o755)
            check = ("env", f"PATH={folder}:{os.environ['PATH']}", "sh", FEED / "failover/test.sh", "failover")
            run(*check, VERSION)
            with self.assertRaises(AssertionError):
                run(*check, VERSION[:-1])


class Scripts(PackageTest, RouterTest):
    """A package's scripts, as opkg runs them on a router."""

    package = False

    def setUp(self) -> None:
        PackageTest.setUp(self)
        RouterTest.setUp(self)
        self.write("etc/config/network", "config interface 'wan'\n\toption device 'eth1'\n\toption proto 'dhcp'\n")
        self.write("etc/init.d/rpcd", '#!/bin/sh\n. /lib/functions.sh\nrecord rpcd "$@"\n', 0o755)
        self.pack("mt7621")

    def unpack(self) -> None:
        """What opkg does before it runs the first script."""
        data, control = self.taken_apart()
        (data / "usr/sbin/failover").unlink()  # here, that is a stand-in
        self.installed = contents(data)
        shutil.copytree(data, self.root, dirs_exist_ok=True)
        info = self.root / "usr/lib/opkg/info"
        info.mkdir(parents=True)
        for file in control.iterdir():
            shutil.copy2(file, info / f"failover.{file.name}")

    def script(self, name: str, *arguments: str, **environment: str) -> None:
        done = self.run_there(f"/usr/lib/opkg/info/failover.{name}", *arguments, **environment)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""), name)

    def test_installation_makes_providers_and_enables_and_starts(self) -> None:
        self.unpack()
        self.script("postinst", "configure")
        calls = self.calls()
        self.assertEqual(calls[:3], ["default_postinst [failover.postinst]", "rpcd [reload]", "enable"])
        self.assertIn("procd_set_param [command] [/etc/init.d/failover] [launch]", calls)
        self.assertIn("config provider 'wan'", self.read("etc/config/failover"))
        self.assertFalse((self.root / "etc/uci-defaults/90-failover").exists())
        self.assertTrue(list((self.root / "etc/rc.d").iterdir()))

    def test_removal_leaves_nothing(self) -> None:
        files = set(contents(self.root))
        self.unpack()
        self.script("postinst", "configure")
        self.calls()
        # What the daemon leaves behind.
        self.write("var/run/failover/state", "")
        self.write("etc/failover/sticky.provider", "wan\n")
        self.write("etc/failover/last-good.conf", "config globals\n")
        # What opkg does, at an upgrade.
        self.write("etc/config/failover-opkg", "")
        self.program("run", "cat >/tmp/input")
        self.script("prerm", "remove", PKG_UPGRADE="0")
        calls = self.calls()
        # It stops, and then a disabled run deletes the routes and rules that a killed one may have left.
        self.assertRegex(calls[1], r"^ubus \[call\] \[service\] \[delete\] .*failover")
        clean = "failover [run] [--config] [/proc/self/fd/0]"
        self.assertEqual(calls[2:], [clean, "disable", "procd_kill", clean])
        self.assertEqual(self.read("tmp/input").split(), ["config", "globals", "option", "enabled", "0"])
        self.remove_files()
        self.script("postrm", "remove", PKG_UPGRADE="0")
        self.assertEqual(self.calls(), ["rpcd [reload]"])
        shutil.rmtree(self.root / "usr/lib/opkg")
        self.assertEqual(set(contents(self.root)) - {"tmp/calls", "tmp/input", "tmp/locked", "tmp/program/run"}, files)
        for folder in ("etc/failover", "var/run/failover", "etc/iproute2/rt_tables.d", "etc/iproute2/rt_protos.d"):
            self.assertFalse((self.root / folder).exists(), folder)

    def remove_files(self) -> None:
        """What opkg does between the two scripts: a changed configuration is kept."""
        for path in self.installed:
            if path != "etc/config/failover":
                (self.root / path).unlink(missing_ok=True)

    def test_a_configuration_that_somebody_has_changed_stays(self) -> None:
        self.unpack()
        self.script("postinst", "configure")
        own = self.read("etc/config/failover") + "\n# mine\n"
        self.write("etc/config/failover", own)
        self.write("etc/failover/hooks.d/mail", "#!/bin/sh\n")
        self.script("prerm", "remove", PKG_UPGRADE="0")
        self.remove_files()
        self.script("postrm", "remove", PKG_UPGRADE="0")
        self.assertEqual(self.read("etc/config/failover"), own)
        self.assertEqual([path.name for path in (self.root / "etc/failover").iterdir()], ["hooks.d"])

    def test_an_upgrade_keeps_what_is_known(self) -> None:
        self.unpack()
        self.script("postinst", "configure")
        self.write("var/run/failover/state", "")
        self.write("etc/failover/sticky.provider", "wan\n")
        self.write("etc/failover/last-good.conf", "config globals\n")
        before = contents(self.root / "etc") | contents(self.root / "var/run")
        self.calls()
        self.script("prerm", "upgrade", PKG_UPGRADE="1")
        calls = self.calls()
        self.assertEqual(calls, ["default_prerm [failover.prerm]"])  # the daemon runs on
        self.script("postrm", "upgrade", PKG_UPGRADE="1")
        self.assertEqual(self.calls(), [])
        self.assertEqual(contents(self.root / "etc") | contents(self.root / "var/run"), before)
        self.assertTrue((self.root / "tmp/running").exists())
        # The new program takes over what the old one has set.
        self.script("postinst", "configure", PKG_UPGRADE="1")
        calls = self.calls()
        self.assertIn("signal", calls[-len(STARTED) - 1])
        self.assertEqual(calls[-len(STARTED) :], STARTED)

    def test_a_forced_reinstallation_is_an_upgrade(self) -> None:
        """opkg tells the scripts nothing of it: first they are those of a removal, then those of an installation."""
        self.unpack()
        self.script("postinst", "configure")
        self.write("var/run/failover/state", "")
        self.write("etc/failover/sticky.provider", "wan\n")
        before = contents(self.root / "etc") | contents(self.root / "var/run")
        self.calls()
        for command in (
            ("install", "--force-reinstall", "failover"),
            ("--force_reinstall", "install", "failover"),
            ("install", "--force-overwrite", "-force-reins", "/tmp/failover.ipk"),
        ):
            self.assertEqual(self.opkg(*command), ["default_prerm [failover.prerm]", "disable"], command)
            self.assertTrue((self.root / "tmp/running").exists())
            self.script("postinst", "configure", PKG_UPGRADE="0")
            calls = self.calls()
            self.assertIn("signal", calls[-len(STARTED) - 1])
            self.assertEqual(calls[-len(STARTED) :], STARTED)
            self.assertEqual(contents(self.root / "etc") | contents(self.root / "var/run"), before)

    def test_after_a_forced_reinstallation_a_stop_stops_whatever_the_configuration(self) -> None:
        self.unpack()
        for code in (0, 78):
            self.script("postinst", "configure")
            self.opkg("install", "--force-reinstall", "failover")
            self.program("check", f"exit {code}")
            self.run_there("/usr/lib/opkg/info/failover.postinst", "configure", PKG_UPGRADE="0")
            self.assertTrue((self.root / "tmp/running").exists(), code)
            self.service("stop")
            self.assertFalse((self.root / "tmp/running").exists(), code)
            self.program("check", "")

    def test_a_removal_is_none(self) -> None:
        self.unpack()
        for command in (("remove", "failover"), ("--force-reinstall", "remove", "failover"), ("install", "failover2")):
            self.script("postinst", "configure")
            self.calls()
            # The command line of a shell may say anything.
            calls = self.opkg(*command, shell="opkg install --force-reinstall other; opkg remove failover")
            self.assertIn("procd_kill", calls, command)
            self.assertFalse((self.root / "tmp/running").exists())
            self.assertFalse((self.root / "var/run/failover").exists())

    def opkg(self, *arguments: str, shell: str = "") -> list[str]:
        """What the scripts call as opkg removes the package, with these arguments of its own; not the files."""
        info = "/usr/lib/opkg/info/failover"
        # It runs each of them by a shell.
        self.write("bin/opkg", f"#!/bin/sh\nsh -c '{info}.prerm remove'\nsh -c '{info}.postrm remove'\n:\n", 0o755)
        words = ("sh", "-c", '"$@"; :', shell, "opkg", *arguments)
        done = self.run_there(*words, processes=True, PKG_UPGRADE="0")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        return self.calls()

    def test_in_an_image_that_is_built_nothing_is_started_or_removed(self) -> None:
        self.unpack()
        self.write("image/lib/functions.sh", "default_postinst() { :; }\ndefault_prerm() { :; }\n")
        self.write("etc/failover/sticky.provider", "wan\n")
        before = contents(self.root)
        for script in ("postinst", "postinst-pkg", "prerm", "prerm-pkg", "postrm"):
            self.script(script, "configure", IPKG_INSTROOT="/image")
        self.assertEqual(self.calls(), [])
        self.assertEqual(contents(self.root), before)

    def test_without_the_base_systems_functions_nothing_is_done(self) -> None:
        self.unpack()
        (self.root / "lib/functions.sh").unlink()
        for script in ("postinst", "prerm"):
            self.script(script, "configure")

    def test_what_stays_across_an_upgrade_of_the_system(self) -> None:
        self.unpack()
        self.assertEqual(self.read("lib/upgrade/keep.d/failover"), "/etc/failover/\n/etc/hotplug.d/failover/\n")
        self.assertEqual(self.read("usr/lib/opkg/info/failover.conffiles"), "/etc/config/failover\n")

    def test_the_names_for_ip_are_those_of_the_program(self) -> None:
        source = "".join((ROOT / "src" / file).read_text() for file in ("types.rs", "config.rs"))
        self.unpack()
        for kind, pattern in (("protos", r"const PROTOCOL: u8 = (\d+);"), ("tables", r"\btable: (\d\d+),")):
            number = re.search(pattern, source)[1]
            self.assertEqual(self.read(f"etc/iproute2/rt_{kind}.d/failover.conf").split(), [number, "failover"])


if __name__ == "__main__":
    unittest.main()
