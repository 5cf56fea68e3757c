"""The apk packages, read with another program than the one that makes them."""

import hashlib
import os
import subprocess
from pathlib import Path

import apkfile
from router import RouterTest
from test_package import IPK, PROGRAM, VERSION, PackageTest, contents, run

APK = f"failover-{VERSION}-r1.apk"
LUCI_APK = f"luci-app-failover-{VERSION}-r1.apk"
KNOWN = "lib/apk/packages/failover"


def key_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """A new key as OpenWrt's feeds have them: the secret and the public one."""
    secret, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", secret)
    run("openssl", "pkey", "-in", secret, "-pubout", "-out", public)
    return secret, public


class ApkTest(PackageTest):
    def setUp(self) -> None:
        super().setUp()
        self.apk = self.results / "apk/mipsel_24kc" / APK

    def pack_apk(self, *arguments: object) -> apkfile.Contents:
        run(self.tree / "openwrt/mkapk", "mt7621", *arguments)
        return apkfile.read(self.apk.read_bytes())


class Package(ApkTest):
    def test_it_is_what_the_feed_says_file_by_file(self) -> None:
        files = self.pack_apk().files
        expected = {path: file for path, file in contents(self.made_by_make()).items() if "CONTROL" not in path}
        own = {path: file for path, file in files.items() if not path.startswith("lib/apk/")}
        self.assertEqual(own, expected)
        known = {f"{KNOWN}.{name}" for name in ("list", "conffiles", "conffiles_static")}
        self.assertEqual(set(files) - set(expected), known)

    def test_openwrt_knows_its_files_and_its_configuration(self) -> None:
        files = self.pack_apk().files
        listed = sorted(f"/{path}" for path in files if not path.startswith("lib/apk/"))
        self.assertEqual(files[f"{KNOWN}.list"], (0o644, "".join(f"{path}\n" for path in listed).encode()))
        self.assertEqual(files[f"{KNOWN}.conffiles"], (0o644, b"/etc/config/failover\n"))
        digest = hashlib.sha256(files["etc/config/failover"][1]).hexdigest()
        self.assertEqual(files[f"{KNOWN}.conffiles_static"], (0o644, f"/etc/config/failover {digest}\n".encode()))

    def test_its_scripts_are_those_of_openwrts_builder(self) -> None:
        head = (
            '[ -s "${IPKG_INSTROOT}/lib/functions.sh" ] || exit 0\n. "${IPKG_INSTROOT}/lib/functions.sh"\n'
            'export root="${IPKG_INSTROOT}"\nexport pkgname="failover"\n'
        )
        control = {path.name: path.read_text() for path in (self.made_by_make() / "CONTROL").iterdir()}
        after = {name: control[f"{name}-pkg"].removeprefix("#!/bin/sh\n") for name in ("postinst", "prerm")}
        no_script = '[ "${IPKG_NO_SCRIPT}" = 1 ] && exit 0\n'
        install = f"{no_script}{head}add_group_and_user\ndefault_postinst\n{after['postinst']}"
        expected = {
            "post-install": f"#!/bin/sh\n{install}",
            "pre-deinstall": f"#!/bin/sh\n{head}default_prerm\n{after['prerm']}",
            "post-deinstall": control["postrm"],
            "post-upgrade": f"#!/bin/sh\nexport PKG_UPGRADE=1\n{install}",
        }
        scripts = self.pack_apk().scripts
        self.assertEqual(scripts, expected)
        for text in scripts.values():
            subprocess.run(["busybox", "ash", "-n"], input=text.encode(), check=True)

    def test_it_says_what_the_package_of_opkg_says(self) -> None:
        found = self.pack_apk()
        self.pack("mt7621")
        data, control = self.taken_apart(IPK)
        fields = dict(line.split(": ", 1) for line in (control / "control").read_text().splitlines() if line[0] != " ")
        info = found.info
        self.assertEqual(info["name"], fields["Package"])
        self.assertEqual(info["version"], fields["Version"])
        self.assertEqual(info["arch"], fields["Architecture"])
        self.assertEqual(info["license"], fields["License"])
        self.assertEqual(info["origin"], fields["Source"])
        self.assertEqual(info["depends"], sorted(fields["Depends"].split(", ")))
        self.assertTrue(info["description"].startswith(fields["Description"]))
        self.assertEqual(info["installed-size"], sum(len(content) for _, content in found.files.values()))
        self.assertEqual(contents(data).items() - found.files.items(), set())

    def test_every_folder_is_in_it(self) -> None:
        found = self.pack_apk()
        parents = {str(parent) for path in found.files for parent in Path(path).parents}
        self.assertEqual(set(found.folders), {"" if parent == "." else parent for parent in parents})
        self.assertEqual(set(found.folders.values()), {(0o755, "root", "root")})

    def test_it_is_the_same_bytes_each_time(self) -> None:
        self.pack_apk()
        first = self.apk.read_bytes()
        for path in self.tree.rglob("*"):
            os.utime(path, (1, 1))
            path.chmod(0o700)
        self.apk.unlink()
        self.pack_apk()
        self.assertEqual(self.apk.read_bytes(), first)

    def test_every_board_has_one(self) -> None:
        self.add_board("x86-64", "x86_64")
        run(self.tree / "openwrt/mkapk", "all")
        made = {path.parent.name: apkfile.read(path.read_bytes()) for path in (self.results / "apk").glob(f"*/{APK}")}
        for folder, found in made.items():
            self.assertEqual(found.info["arch"], folder)
        self.assertEqual(set(made), {"mipsel_24kc", "x86_64"})
        self.assertEqual(made["x86_64"].files["usr/sbin/failover"], (0o755, PROGRAM))

    def test_what_is_missing_is_told(self) -> None:
        rsa = self.tree / "rsa.pem"
        run("openssl", "genrsa", "-out", rsa, "2048")
        with self.assertRaisesRegex(AssertionError, "no key on the curve P-256"):
            self.pack_apk("--key", rsa)
        with self.assertRaisesRegex(AssertionError, "cannot sign with .*none.pem"):
            self.pack_apk("--key", self.tree / "none.pem")
        (self.tree / "target/board/mt7621/failover").unlink()
        with self.assertRaisesRegex(AssertionError, "run `board/build mt7621` first"):
            self.pack_apk()


class Reader(ApkTest):
    """The reader of these tests refuses whatever is damaged, so that what it accepts is whole."""

    def setUp(self) -> None:
        super().setUp()
        (self.tree / "target/board/mt7621/failover").write_bytes(PROGRAM[:100])

    def refused(self, content: bytes, key: Path | None, good: apkfile.Contents, what: str) -> None:
        try:
            self.assertEqual(apkfile.read(content, key), good, what)
        except (apkfile.Damaged, UnicodeDecodeError):
            pass

    def test_every_damaged_byte_is_refused(self) -> None:
        good = self.pack_apk()
        packed = self.apk.read_bytes()
        for content in (packed, apkfile.unpacked(packed)):
            for at in range(len(content)):
                damaged = bytearray(content)
                damaged[at] ^= 1 << at % 8
                self.refused(bytes(damaged), None, good, f"byte {at}")

    def test_every_shorter_and_longer_file_is_refused(self) -> None:
        self.pack_apk()
        packed = self.apk.read_bytes()
        for content in (packed, apkfile.unpacked(packed)):
            for length in range(len(content)):
                with self.assertRaises(apkfile.Damaged, msg=length):
                    apkfile.read(content[:length])
            with self.assertRaises(apkfile.Damaged):
                apkfile.read(content + b"\1")

    def test_a_signature_is_of_its_key_and_of_this_package(self) -> None:
        secret, public = key_pair(self.tree, "feed")
        _, other = key_pair(self.tree, "other")
        unsigned = self.pack_apk()
        with self.assertRaisesRegex(apkfile.Damaged, "there is no signature"):
            apkfile.read(self.apk.read_bytes(), public)
        self.assertEqual(self.pack_apk("--key", secret).payload, unsigned.payload)
        packed = self.apk.read_bytes()
        good = apkfile.read(packed, public)
        self.assertEqual(good.signatures, 1)
        with self.assertRaisesRegex(apkfile.Damaged, "the key of the signature"):
            apkfile.read(packed, other)
        plain = apkfile.unpacked(packed)
        start = 12 + len(good.payload) + -(4 + len(good.payload)) % 8
        for at in range(start - 4, start + 100):
            damaged = bytearray(plain)
            damaged[at] ^= 1 << at % 8
            self.refused(bytes(damaged), public, good, f"byte {at}")


class Scripts(ApkTest, RouterTest):
    """A package's scripts, as apk runs them on a router."""

    package = False

    def setUp(self) -> None:
        ApkTest.setUp(self)
        RouterTest.setUp(self)
        self.write("etc/config/network", "config interface 'wan'\n\toption device 'eth1'\n\toption proto 'dhcp'\n")
        self.write("etc/init.d/rpcd", '#!/bin/sh\n. /lib/functions.sh\nrecord rpcd "$@"\n', 0o755)
        self.before = set(contents(self.root))
        self.found = self.pack_apk()
        self.found.files.pop("usr/sbin/failover")  # here, that is a stand-in
        for path, (mode, content) in self.found.files.items():
            self.write(path, content.decode(), mode)

    def script(self, name: str, **environment: str) -> list[str]:
        """Runs a script, and returns what it has called."""
        self.write("tmp/script", self.found.scripts[name], 0o755)
        done = self.run_there("/tmp/script", f"{VERSION}-r1", **environment)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""), name)
        return self.calls()

    def test_installation_makes_providers_and_enables_and_starts(self) -> None:
        calls = self.script("post-install")
        self.assertEqual(calls[:3], ["add_group_and_user", "default_postinst []", "enable"])
        self.assertIn("procd_set_param [command] [/etc/init.d/failover] [launch]", calls)
        self.assertEqual(calls[-1], "rpcd [reload]")
        self.assertIn("config provider 'wan'", self.read("etc/config/failover"))

    def test_without_the_list_of_files_nothing_would_start(self) -> None:
        (self.root / "lib/apk/packages/failover.list").unlink()
        self.assertNotIn("enable", self.script("post-install"))

    def test_an_upgrade_replaces_the_running_program(self) -> None:
        self.script("post-install")
        calls = self.script("post-upgrade")
        self.assertNotIn("enable", calls)
        kill = calls.index('ubus [call] [service] [signal] [{ "name": "failover", "signal": 9 }]')
        self.assertLess(kill, calls.index("procd_set_param [file] [/usr/sbin/failover]"))
        self.assertTrue((self.root / "tmp/running").exists())

    def test_removal_leaves_nothing(self) -> None:
        self.script("post-install")
        # What the daemon and an upgrade leave behind.
        self.write("var/run/failover/state", "")
        self.write("etc/failover/sticky.provider", "wan\n")
        self.write("etc/config/failover.apk-new", "")
        calls = self.script("pre-deinstall")
        clean = "failover [run] [--config] [/proc/self/fd/0]"
        self.assertEqual(calls[:4], ["default_prerm []", "disable", "procd_kill", clean])
        self.assertEqual(calls[-1], clean)
        # What apk does between the two scripts: a changed configuration is kept.
        for path in self.found.files:
            if path != "etc/config/failover":
                (self.root / path).unlink(missing_ok=True)
        self.assertEqual(self.script("post-deinstall"), ["rpcd [reload]"])
        self.assertEqual(set(contents(self.root)) - self.before - {"tmp/script", "tmp/locked"}, set())

    def test_a_configuration_that_the_user_has_changed_stays(self) -> None:
        self.script("post-install")
        own = self.read("etc/config/failover") + "\n# mine\n"
        self.write("etc/config/failover", own)
        self.script("pre-deinstall")
        self.script("post-deinstall")
        self.assertEqual(self.read("etc/config/failover"), own)

    def test_in_an_image_that_is_built_nothing_is_started_or_removed(self) -> None:
        functions = ("default_postinst", "default_prerm", "add_group_and_user")
        self.write("image/lib/functions.sh", "".join(f"{name}() {{ :; }}\n" for name in functions))
        self.write("tmp/script", "", 0o755)
        before = set(contents(self.root))
        for name in self.found.scripts:
            self.assertEqual(self.script(name, IPKG_INSTROOT="/image"), [], name)
        self.assertEqual(set(contents(self.root)), before)
