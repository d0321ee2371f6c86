#!/bin/sh
# Installs huisclos for you alone, below your home directory, and sets it to open huisclos: links.
#
#	./install.sh               install, or update
#	./install.sh --uninstall   remove the same files again
#
# It needs no password and changes nothing outside your home directory. It never deletes what huisclos itself keeps.
set -eu
umask 022

fail() {
	printf 'install.sh: %s\n' "$1" >&2
	exit 1
}

[ "$(id -u)" -ne 0 ] || fail "run it as yourself, not as root: it installs for one person"
[ -n "${HOME:-}" ] || fail "HOME is not set"

data="${XDG_DATA_HOME:-$HOME/.local/share}"
config="${XDG_CONFIG_HOME:-$HOME/.config}"
program="$HOME/.local/bin/huisclos"
entry="$data/applications/huisclos.desktop"
svg="$data/icons/hicolor/scalable/apps/huisclos.svg"
png="$data/icons/hicolor/256x256/apps/huisclos.png"

# The desktop reads the program's path within quotes, where these have a meaning of their own.
case "$program" in
/*) ;;
*) fail "HOME is not a full path: $HOME" ;;
esac
case "$program" in
*[\"\`\$\\%]* | *'
'*) fail "the path of your home directory has characters a desktop entry can't hold" ;;
esac

refresh() {
	if command -v update-desktop-database >/dev/null 2>&1; then
		update-desktop-database "$data/applications" >/dev/null 2>&1 || true
	fi
}

case "${1:-}" in
"") ;;
--uninstall)
	rm -f -- "$program" "$entry" "$svg" "$png"
	refresh
	printf 'Removed. A line "x-scheme-handler/huisclos" may remain in %s; it does nothing.\n' "$config/mimeapps.list"
	exit 0
	;;
*) fail "unknown argument: $1 (there is only --uninstall)" ;;
esac

here="$(cd -- "$(dirname -- "$0")" && pwd)"
for file in huisclos huisclos.desktop icons/huisclos.svg icons/huisclos.png; do
	[ -f "$here/$file" ] || fail "$file is missing beside install.sh: unpack the whole archive first"
done

# place copies $1 to $2 with mode $3, whole or not at all, also over a program that is running.
place() {
	mkdir -p -- "$(dirname -- "$2")"
	cp -- "$1" "$2.new"
	chmod "$3" "$2.new"
	mv -f -- "$2.new" "$2"
}

place "$here/huisclos" "$program" 755
place "$here/icons/huisclos.svg" "$svg" 644
place "$here/icons/huisclos.png" "$png" 644
mkdir -p -- "$(dirname -- "$entry")"
while IFS= read -r line; do
	case "$line" in
	Exec=*) printf 'Exec="%s" -- %%u\n' "$program" ;;
	*) printf '%s\n' "$line" ;;
	esac
done <"$here/huisclos.desktop" >"$entry.new"
mv -f -- "$entry.new" "$entry"
refresh
if command -v xdg-mime >/dev/null 2>&1; then
	xdg-mime default huisclos.desktop x-scheme-handler/huisclos || true
fi
printf 'Installed. Start huisclos from your programs, or with %s\n' "$program"
