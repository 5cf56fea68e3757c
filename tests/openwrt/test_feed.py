"""The feeds of both kinds that `openwrt/mkfeed` makes of every built board."""

import hashlib
import re
import subprocess
from pathlib import Path

import apkfile
from router import ROOT
from test_apk import APK, LUCI_APK, key_pair
from test_package import IPK, LUCI_IPK, PROGRAM, VERSION, PackageTest, run


class Feeds(PackageTest):
    def setUp(self) -> None:
        super().setUp()
        self.opkg, self.apk = self.results / "feed/opkg", self.results / "feed/apk"
        self.index = self.apk / "mipsel_24kc/packages.adb"

    def make_feeds(self, *arguments: object) -> str:
        return run(self.tree / "openwrt/mkfeed", *arguments)

    def usign_key(self) -> tuple[Path, Path]:
        secret, public = self.tree / "usign.sec", self.tree / "usign.pub"
        run("signify-openbsd", "-G", "-n", "-s", secret, "-p", public)
        return secret, public

    def test_each_architecture_has_a_feed_of_each_kind(self) -> None:
        self.add_board("x86-64", "x86_64")
        self.make_feeds()
        feeds = self.results / "feed"
        found = {str(path.relative_to(feeds)) for path in feeds.rglob("*") if path.is_file()}
        expected = set()
        for architecture in ("mipsel_24kc", "x86_64"):
            ipk = f"failover_{VERSION}-r1_{architecture}.ipk"
            expected |= {f"opkg/{architecture}/{name}" for name in (ipk, LUCI_IPK, "Packages", "Packages.gz")}
            expected |= {f"apk/{architecture}/{name}" for name in (APK, LUCI_APK, "packages.adb")}
        self.assertEqual(found, expected)

    def test_the_index_of_apk_describes_the_package(self) -> None:
        self.make_feeds()
        content = (self.index.parent / APK).read_bytes()
        package = apkfile.read(content)
        [entry, _] = apkfile.read(self.index.read_bytes()).packages
        identity = {"hashes": hashlib.sha256(package.payload).digest(), "file-size": len(content)}
        self.assertEqual(entry, package.info | identity)

    def test_a_board_that_is_not_built_has_none_and_a_new_program_is_packed(self) -> None:
        self.add_board("x86-64", "x86_64")
        (self.tree / "target/board/x86-64/failover").unlink()
        self.make_feeds()
        self.assertEqual([path.name for path in self.apk.iterdir()], ["mipsel_24kc"])
        newer = PROGRAM[::-1]
        (self.tree / "target/board/mt7621/failover").write_bytes(newer)
        self.make_feeds()
        package = apkfile.read((self.index.parent / APK).read_bytes())
        self.assertEqual(package.files["usr/sbin/failover"], (0o755, newer))

    def test_a_new_version_takes_the_place_of_the_old_one(self) -> None:
        self.make_feeds()
        makefile = self.tree / "openwrt/failover/Makefile"
        makefile.write_text(makefile.read_text().replace("PKG_RELEASE:=1", "PKG_RELEASE:=2"))
        self.make_feeds()
        [entry, luci] = apkfile.read(self.index.read_bytes()).packages
        self.assertEqual((entry["version"], luci["version"]), (f"{VERSION}-r2", f"{VERSION}-r1"))
        self.assertFalse((self.index.parent / APK).exists())
        listed = re.findall(r"^Version: (.*)$", (self.opkg / "mipsel_24kc/Packages").read_text(), re.MULTILINE)
        self.assertEqual(listed, [f"{VERSION}-r2", f"{VERSION}-r1"])
        self.assertFalse((self.opkg / "mipsel_24kc" / IPK).exists())

    def test_other_packages_in_the_folder_are_in_the_index_too(self) -> None:
        self.make_feeds()
        folder = self.index.parent
        other = folder / "other-1.apk"
        makefile = self.tree / "openwrt/failover/Makefile"
        makefile.write_text(makefile.read_text().replace("PKG_NAME:=failover", "PKG_NAME:=other"))
        run(self.tree / "openwrt/mkapk", "mt7621", "--output", self.tree)
        (self.tree / "mipsel_24kc" / APK.replace("failover", "other")).rename(other)
        makefile.write_text(makefile.read_text().replace("PKG_NAME:=other", "PKG_NAME:=failover"))
        self.make_feeds()
        names = [one["name"] for one in apkfile.read(self.index.read_bytes()).packages]
        self.assertEqual(names, ["failover", "luci-app-failover", "other"])
        for damaged in (b"", b"\x1f\x8b, of an older form", other.read_bytes()[:100]):
            other.write_bytes(damaged)
            with self.assertRaisesRegex(AssertionError, "cannot read .*other-1.apk"):
                self.make_feeds()

    def test_signed_feeds_come_with_the_keys_that_routers_need(self) -> None:
        usign, _ = self.usign_key()
        secret, public = key_pair(self.tree, "ec")
        _, other = key_pair(self.tree, "other")
        self.assertNotIn("warning", self.make_feeds("--key", usign, "--apk-key", secret))
        self.assertEqual((self.apk / "failover.pem").read_bytes(), public.read_bytes())
        for file in (self.index, self.index.parent / APK):
            content = file.read_bytes()
            self.assertEqual(apkfile.read(content, self.apk / "failover.pem").signatures, 1)
            with self.assertRaises(apkfile.Damaged):
                apkfile.read(content, other)
        folder = self.opkg / "mipsel_24kc"
        verify = ("-m", folder / "Packages", "-x", folder / "Packages.sig")
        run("signify-openbsd", "-V", "-p", self.opkg / "failover.pub", *verify)
        # Without keys there are no signatures, not even old ones.
        self.make_feeds()
        self.assertEqual(apkfile.read(self.index.read_bytes()).signatures, 0)
        for old in (folder / "Packages.sig", self.opkg / "failover.pub", self.apk / "failover.pem"):
            self.assertFalse(old.exists(), old)

    def test_what_the_documentation_lets_routers_fetch_is_there(self) -> None:
        usign, _ = self.usign_key()
        secret, _ = key_pair(self.tree, "ec")
        self.make_feeds("--key", usign, "--apk-key", secret)
        for page in ("README.md", "docs/install.md"):
            fetched = re.findall(r"https://example\.org/(feed/\S+)", (ROOT / page).read_text())
            self.assertEqual(len(fetched), 4, page)
            for path in fetched:
                file = self.results / path.replace("$DISTRIB_ARCH", "mipsel_24kc")
                self.assertTrue(file.exists(), f"{page}: {path}")

    def test_a_feed_without_a_key_is_warned_of(self) -> None:
        usign, _ = self.usign_key()
        both = self.make_feeds()
        self.assertIn("warning: the feeds of opkg are unsigned", both)
        self.assertIn("warning: the feeds of apk are unsigned", both)
        self.assertEqual(self.make_feeds("--key", usign).count("warning"), 1)

    def test_every_damaged_byte_of_a_signed_index_is_refused(self) -> None:
        secret, public = key_pair(self.tree, "ec")
        self.make_feeds("--apk-key", secret)
        plain = apkfile.unpacked(self.index.read_bytes())
        apkfile.read(plain, public)
        for at in range(len(plain)):
            damaged = bytearray(plain)
            damaged[at] ^= 1 << at % 8
            with self.assertRaises((apkfile.Damaged, UnicodeDecodeError), msg=f"byte {at}"):
                apkfile.read(bytes(damaged), public)
        for length in range(len(plain)):
            with self.assertRaises(apkfile.Damaged, msg=f"{length} bytes"):
                apkfile.read(plain[:length], public)

    def test_what_is_missing_is_told(self) -> None:
        with self.assertRaisesRegex(AssertionError, "--apk-key: a folder becomes a feed of opkg"):
            self.make_feeds(self.results, "--apk-key", "ec.pem")
        with self.assertRaisesRegex(AssertionError, "cannot sign with .*none.pem"):
            self.make_feeds("--apk-key", self.tree / "none.pem")
        with self.assertRaisesRegex(AssertionError, "No such file or directory: .*none.sec"):
            self.make_feeds("--key", self.tree / "none.sec")
        (self.tree / "target/board/mt7621/failover").unlink()
        with self.assertRaisesRegex(AssertionError, "run `board/build all` first"):
            self.make_feeds()

    def test_a_key_with_a_passphrase_is_told(self) -> None:
        secret, public = self.tree / "locked.sec", self.tree / "locked.pub"
        command = ["signify-openbsd", "-G", "-s", secret, "-p", public]
        subprocess.run(command, input=b"secret\nsecret\n", capture_output=True, start_new_session=True, check=True)
        with self.assertRaisesRegex(AssertionError, "has a passphrase: make one by `usign -G`"):
            self.make_feeds("--key", secret)
