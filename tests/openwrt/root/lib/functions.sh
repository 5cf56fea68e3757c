# shellcheck shell=dash
# A replacement for the base system's functions: reads /etc/config, and records calls that would change the system.

# WORD... -> a line of /tmp/calls, each argument in brackets
record() {
	local line="$1"

	shift
	for argument; do
		line="$line [$argument]"
	done
	echo "$line" >>/tmp/calls
}

# --- /etc/config: its syntax is also the shell's

config_load() {
	sections=" "
	[ -f "${UCI_CONFIG_DIR:-/etc/config}/$1" ] || return 1
	# shellcheck source=/dev/null
	. "${UCI_CONFIG_DIR:-/etc/config}/$1"
}

config() {
	section="${2:-cfg$(printf '%06x' "$(echo "$sections" | wc -w)")}"
	sections="$sections$section "
	eval "CONFIG_${section}_TYPE=\"\$1\""
}

option() {
	eval "CONFIG_${section}_$1=\"\$2\""
}

list() {
	eval "CONFIG_${section}_$1=\"\${CONFIG_${section}_$1:+\$CONFIG_${section}_$1 }\$2\""
}

# VARIABLE SECTION OPTION [DEFAULT]
config_get() {
	eval "$1=\"\${CONFIG_$2_$3:-\$4}\""
}

config_get_bool() {
	config_get "$@"
	case "$(eval "echo \"\$$1\"")" in
	1 | on | true | yes | enabled) eval "$1=1" ;;
	0 | off | false | no | disabled) eval "$1=0" ;;
	*) eval "$1=\"\$4\"" ;;
	esac
}

# FUNCTION TYPE [ARGUMENT...]
config_foreach() {
	local function="$1" type="$2" one found

	shift 2
	for one in $sections; do
		config_get found "$one" TYPE
		[ "$found" = "$type" ] && "$function" "$one" "$@"
	done
	return 0
}

# --- packages: those of opkg give their script's name, those of apk set pkgname

default_postinst() {
	local defaults=/etc/uci-defaults/90-failover

	record default_postinst "${1##*/}"
	is_listed "$defaults" || return 0
	# shellcheck source=/dev/null
	[ -f "$defaults" ] && (. "$defaults") && rm "$defaults"
	# shellcheck source=/dev/null
	[ ! -f "$1-pkg" ] || (. "$1-pkg")
	[ "$PKG_UPGRADE" = 1 ] || /etc/init.d/failover enable
	/etc/init.d/failover start
}

default_prerm() {
	record default_prerm "${1##*/}"
	is_listed /etc/init.d/failover || return 0
	# shellcheck source=/dev/null
	[ ! -f "$1-pkg" ] || (. "$1-pkg")
	[ "$PKG_UPGRADE" = 1 ] || /etc/init.d/failover disable
	/etc/init.d/failover stop
}

add_group_and_user() {
	record add_group_and_user
}

# Without apk's list of the package's files, the real ones do nothing.
is_listed() {
	[ -z "$pkgname" ] || grep -sqx "$1" "/lib/apk/packages/$pkgname.list"
}
