#!/bin/sh
# Run by OpenWrt's feed CI on the installed package: NAME VERSION.

case "$1" in
failover) failover --version | grep -Fx "failover $2" ;;
esac
