"""The package of LuCI's pages: for opkg and for apk, from one description."""

import json
import struct
import sys

import apkfile
from router import FEED
from test_apk import LUCI_APK
from test_package import LUCI_IPK, VERSION, PackageTest, contents, run

sys.path.append(str(FEED))
import lmo
from makefile import smaller

APP = FEED / "luci-app-failover"
MENU = "usr/share/luci/menu.d/luci-app-failover.json"
RIGHTS = "usr/share/rpcd/acl.d/luci-app-failover.json"
LIMIT = 30 * 1024
# The keys that LuCI's own po2lmo gave to these texts; their lengths leave each remainder of 4.
KEYS = {"Disable": 0xDB361BA4, "Online": 0x5F370550, "Check": 0x5612471D, "Loss": 0x69DF98DB, "asking …": 0x77253828}


class LuciApp(PackageTest):
    pages = True

    def setUp(self) -> None:
        super().setUp()
        run(self.tree / "openwrt/mkipk", "mt7621")
        run(self.tree / "openwrt/mkapk", "mt7621")
        self.apk = self.results / "apk/noarch" / LUCI_APK

    def test_both_packages_have_the_files_of_the_feed(self) -> None:
        data, control = self.taken_apart(LUCI_IPK)
        found = contents(data)
        expected = {f"www/{path}": smaller(APP / "htdocs" / path) for path in contents(APP / "htdocs")}
        expected |= {path: file[1] for path, file in contents(APP / "root").items()}
        own = {path: content for path, (_, content) in found.items() if not path.endswith(".lmo")}
        self.assertEqual(own, expected)
        self.assertEqual({mode for mode, _ in found.values()}, {0o644})
        apk = apkfile.read(self.apk.read_bytes())
        packed = {path: file for path, file in apk.files.items() if not path.startswith("lib/apk/")}
        self.assertEqual(packed, found)
        listed = apk.files["lib/apk/packages/luci-app-failover.list"][1].decode().split()
        self.assertEqual(listed, sorted(f"/{path}" for path in found))
        self.assertNotIn("lib/apk/packages/luci-app-failover.conffiles", apk.files)

    def test_what_is_made_smaller_means_the_same(self) -> None:
        source = self.tree / "page.js"
        source.write_text("""/* What
   it is. */
const a = { b : '{ // }', c: a + -b }; // as it is
\tif (a && /^x | ( y)$/.test(b))
\t\treturn / , /g.exec(c) || [ 8 / 2 ] ;
""")
        self.assertEqual(smaller(source), b"""const a={b:'{ // }',c:a + -b};
if(a&&/^x | ( y)$/.test(b))
return / , /g.exec(c)||[8 / 2];
""")

    def test_they_say_the_same(self) -> None:
        _, control = self.taken_apart(LUCI_IPK)
        text = (control / "control").read_text()
        for line in (
            "Package: luci-app-failover", f"Version: {VERSION}-r1", "Depends: libc, luci-base, failover",
            "Section: luci", "Architecture: all",
        ):
            self.assertIn(f"{line}\n", text)
        info = apkfile.read(self.apk.read_bytes()).info
        self.assertEqual((info["name"], info["version"], info["arch"]), ("luci-app-failover", f"{VERSION}-r1", "noarch"))
        self.assertEqual(sorted(info["depends"]), ["failover", "libc", "luci-base"])

    def test_rpcd_learns_of_it(self) -> None:
        _, control = self.taken_apart(LUCI_IPK)
        script = (control / "postinst-pkg").read_text()
        self.assertIn("/etc/init.d/rpcd reload", script)
        scripts = apkfile.read(self.apk.read_bytes()).scripts
        self.assertIn(script, scripts["post-install"])
        self.assertIn('pkgname="luci-app-failover"', scripts["post-install"])
        for name, text in scripts.items():
            self.assertTrue(text.startswith("#!/bin/sh\n"), name)

    def test_they_are_small(self) -> None:
        self.assertLess((self.results / LUCI_IPK).stat().st_size, LIMIT)
        self.assertLess(self.apk.stat().st_size, LIMIT)

    def test_rights_are_for_seeing_acting_and_configuring(self) -> None:
        rights = json.loads((APP / "root" / RIGHTS).read_text())
        see, configure = rights["luci-app-failover"], rights["luci-app-failover-config"]
        offered = json.loads((FEED / "failover/files/failover.acl.json").read_text())["failover"]
        acting = {"use", "disable", "enable", "probe"}
        self.assertEqual(set(see["read"]["ubus"]["failover"]), set(offered["read"]["ubus"]["failover"]) - {"metrics", "propose"})
        self.assertEqual(set(see["write"]["ubus"]["failover"]), acting)
        self.assertNotIn("uci", see["read"] | see["write"])
        self.assertEqual(configure["write"]["uci"], ["failover"])
        self.assertFalse(acting & set(configure["write"]["ubus"]["failover"]))
        for node in json.loads((APP / "root" / MENU).read_text()).values():
            self.assertLessEqual(set(node["depends"]["acl"]), set(rights))
            self.assertTrue((APP / f"htdocs/luci-static/resources/view/{node['action']['path']}.js").exists())

    def test_translations_are_found_by_luci(self) -> None:
        """Read as LuCI does: the index by key, then the text at its place."""
        self.assertEqual({text: lmo.key(text) for text in KEYS}, KEYS)
        data, _ = self.taken_apart(LUCI_IPK)
        for language in ("de", "fr"):
            content = (data / f"usr/lib/lua/luci/i18n/failover.{language}.lmo").read_bytes()
            [start] = struct.unpack(">I", content[-4:])
            entries = list(struct.iter_unpack(">4I", content[start:-4]))
            self.assertEqual(entries, sorted(entries))
            index = {key: content[at : at + length].decode() for key, _, at, length in entries}
            messages = lmo.messages((APP / f"po/{language}/failover.po").read_text())
            for text, translation in messages.items():
                if text and text != translation:
                    self.assertEqual(index[lmo.key(text)], translation)
