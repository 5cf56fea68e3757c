# shellcheck shell=dash
# A replacement for jshn.sh, which makes JSON: objects, arrays, strings and booleans.

json_init() {
	json='{'
	json_ends='}'
}

# NAME TEXT: adds a member, or an element of an array, which has no name.
json_add() {
	case "$json" in
	*'{' | *'[') ;;
	*) json="$json," ;;
	esac
	case "$json_ends" in
	']'*) json="$json$2" ;;
	*) json="$json\"$1\":$2" ;;
	esac
}

json_add_string() {
	json_add "$1" "\"$(printf %s "$2" | sed 's/[\\"]/\\&/g' | awk '{ printf "%s%s", separator, $0; separator = "\\n" }')\""
}

json_add_boolean() {
	case "$2" in
	1) json_add "$1" true ;;
	*) json_add "$1" false ;;
	esac
}

json_add_object() {
	json_add "$1" '{'
	json_ends="}$json_ends"
}

json_add_array() {
	json_add "$1" '['
	json_ends="]$json_ends"
}

json_close_object() {
	json="$json}"
	json_ends="${json_ends#?}"
}

json_close_array() {
	json="$json]"
	json_ends="${json_ends#?}"
}

json_dump() {
	echo "$json$json_ends"
}
