#!/bin/bash
# Fetches the ffmpeg of other Debian and Ubuntu releases beside the system's, and prints "RELEASE WRAPPER" of each.
# Nothing is installed: packages are unpacked into FOLDER, and run with their own loader and libraries.
#   other_ffmpegs.sh FOLDER [RELEASE...]
set -euo pipefail

folder=$(mkdir -p "$1" && cd "$1" && pwd)
shift
releases=("$@")
[ ${#releases[@]} -gt 0 ] || releases=(bullseye trixie sid jammy noble)
arch=$(dpkg --print-architecture)

# A private apt: own lists, own cache, and an empty list of installed packages, so that it takes all libraries.
private_apt() { # ROOT COMMAND...
	local root=$1
	shift
	apt-get -q -o Dir::State="$root/apt/state" -o Dir::State::status="$root/apt/status" \
		-o Dir::Cache="$root/apt/cache" -o Dir::Etc::sourcelist="$root/apt/sources.list" \
		-o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null -o Dir::Etc::trusted=/dev/null \
		-o Dir::Etc::trustedparts=/dev/null -o APT::Sandbox::User=root -o Debug::NoLocking=1 \
		-o Acquire::Languages=none -o Acquire::Check-Valid-Until=false -o APT::Install-Recommends=0 \
		-o APT::Architecture="$arch" "$@"
}

prepare() { # ROOT SOURCES
	mkdir -p "$1/apt/state/lists/partial" "$1/apt/cache/archives/partial"
	: >"$1/apt/status"
	printf '%s\n' "$2" >"$1/apt/sources.list"
	private_apt "$1" update
}

# Newer releases of Debian are signed with keys that a newer package of this one holds.
debian_keys() {
	local root=$folder/keys/debian
	[ -e "$root/done" ] && return
	prepare "$root" "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main"
	private_apt "$root" -y --download-only install debian-archive-keyring
	for package in "$root"/apt/cache/archives/*keyring*.deb; do dpkg-deb -x "$package" "$root"; done
	touch "$root/done"
}

# Debian has no package of Ubuntu's keys: Ubuntu's own is taken unseen, and its one key held against what is known.
ubuntu_keys() {
	local root=$folder/keys/ubuntu known=F6ECB3762474EDA9D21B7022871920D1991BC93C seen
	[ -e "$root/done" ] && return
	prepare "$root" "deb [trusted=yes] http://archive.ubuntu.com/ubuntu jammy main"
	private_apt "$root" -y --download-only install ubuntu-keyring
	for package in "$root"/apt/cache/archives/ubuntu-keyring*.deb; do dpkg-deb -x "$package" "$root"; done
	seen=$(gpg --show-keys --with-colons "$root/$ubuntu_key" | awk -F: '$1 == "fpr" { print $10 }')
	[ "$seen" = "$known" ] || { echo "Ubuntu's key is $seen, not $known"; return 1; }
	touch "$root/done"
}
ubuntu_key=etc/apt/trusted.gpg.d/ubuntu-keyring-2018-archive.gpg

sources() { # RELEASE
	case $1 in
	bullseye | bookworm | trixie | sid)
		local options="[signed-by=$folder/keys/debian/usr/share/keyrings/debian-archive-keyring.gpg]"
		echo "deb $options http://deb.debian.org/debian $1 main"
		;;
	*)
		local options="[signed-by=$folder/keys/ubuntu/$ubuntu_key]"
		echo "deb $options http://archive.ubuntu.com/ubuntu $1 main universe"
		echo "deb $options http://archive.ubuntu.com/ubuntu $1-updates main universe"
		;;
	esac
}

fetch() { # RELEASE
	local root=$folder/$1
	[ -x "$root/ffmpeg" ] && return
	rm -rf "$root"
	prepare "$root" "$(sources "$1")"
	private_apt "$root" -y --download-only install ffmpeg
	for package in "$root"/apt/cache/archives/*.deb; do dpkg-deb -x "$package" "$root/root"; done
	rm -rf "$root/apt"
	wrap "$root" >"$root/ffmpeg.new"
	chmod +x "$root/ffmpeg.new"
	mv "$root/ffmpeg.new" "$root/ffmpeg"
}

# Its own loader, as the system's C library may be older than the one that it was built for.
wrap() { # ROOT
	local loader libraries
	loader=$(find "$1/root" -name 'ld-linux*.so.*' | sort | head -n 1)
	libraries=$(find "$1/root" -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)
	printf '#!/bin/sh\nexec "%s" --library-path "%s" "%s" "$@"\n' "$loader" "$libraries" "$1/root/usr/bin/ffmpeg"
}

debian_keys >&2
ubuntu_keys >&2 || echo "Ubuntu's keys could not be fetched" >&2
for release in "${releases[@]}"; do
	if fetch "$release" >&2; then
		echo "$release $folder/$release/ffmpeg"
	else
		echo "$release: could not be fetched" >&2
	fi
done
