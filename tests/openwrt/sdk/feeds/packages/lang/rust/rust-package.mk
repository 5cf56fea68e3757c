# A replacement for the public feed's rust-package.mk.

RUST_ARCH_DEPENDS:=@(aarch64||arm||mips||mipsel||x86_64)
CARGO_PKG_VARS=CARGO_PROFILE_RELEASE_OPT_LEVEL=z
