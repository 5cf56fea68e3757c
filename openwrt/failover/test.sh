#!/bin/sh
# What the builders of a feed run on the installed package: NAME VERSION.

case "$1" in
failover) failover --version | grep -Fx "failover $2" ;;
esac
