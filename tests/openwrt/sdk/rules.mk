# A replacement for OpenWrt's SDK: the feed's Makefile includes it, and its targets show the result of that file.
#   make -C openwrt/failover TOPDIR=…/sdk show VARIABLE=NAME
#   make … install DESTINATION=FOLDER PKG_INSTALL_DIR=FOLDER
#   make … prepare PKG_BUILD_DIR=FOLDER

INCLUDE_DIR:=$(TOPDIR)
INSTALL_DIR:=install -d -m0755
INSTALL_BIN:=install -m0755
INSTALL_DATA:=install -m0644
INSTALL_CONF:=install -m0600
CP:=cp -fpR
