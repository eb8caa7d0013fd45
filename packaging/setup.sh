#!/usr/bin/env bash
# Installs what is missing to build and run the agent (`setup.sh run`) or to test it as well (`setup.sh test`).
# `setup.sh browser` prints the Chromium that the tests use.
#
# On Debian and Ubuntu it uses apt; elsewhere it names what is needed. Safe to run again: it looks for what a
# package gives, not for the package, and says nothing when nothing is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly MINIO_VERSION=v0.0.0-20260212201848-7aac2a2c5b7c
# The toolchain that its go.mod asks for.
readonly MINIO_GO=go1.24.8
readonly CARGO_DENY_VERSION=0.20.2
# The GStreamer bindings are Debian's, so the interpreter is too, not one of pyenv or conda.
readonly PYTHON=/usr/bin/python3

export DEBIAN_FRONTEND=noninteractive
export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin:${GOBIN:-${GOPATH:-$HOME/go}/bin}:/usr/local/go/bin"

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

scratch=
trap '[[ -z $scratch ]] || rm -rf "$scratch"' EXIT
have() { type -P "$1" >/dev/null; }

# --- what is needed: a test for it, and the package that brings it ------------------------------------------

has_ffmpeg() { have ffprobe && have ffmpeg && [[ $(ffmpeg -hide_banner -encoders 2>/dev/null) == *libx264* ]]; }
has_node() { have node && node -e 'process.exit(parseInt(process.versions.node) >= 18 ? 0 : 1)'; }
has_libc_headers() { printf '#include <stdlib.h>\n' | cc -E - >/dev/null 2>&1; }

# A virtual environment of Debian's Python has pip only with its own package.
has_venv() { "$PYTHON" -c 'import ensurepip, venv'; }

# Debian has it in /usr/sbin, which is not in everybody's PATH.
has_nginx() { [[ $(PATH="$PATH:/usr/sbin" nginx -V 2>&1) == *http_auth_request_module* ]]; }

have_limits() { have unshare && have nsenter && have prlimit && have setpriv; }

has_element() {
    "$PYTHON" - "$1" >/dev/null 2>&1 <<'PY'
import sys, gi
gi.require_version("Gst", "1.0")
from gi.repository import Gst
Gst.init(None)
sys.exit(0 if Gst.ElementFactory.find(sys.argv[1]) else 1)
PY
}

has_rtsp_server() {
    "$PYTHON" - >/dev/null 2>&1 <<'PY'
import gi
for name in ("Gst", "GstApp", "GstRtsp", "GstRtspServer"):
    gi.require_version(name, "1.0")
from gi.repository import Gst, GstApp, GstRtsp, GstRtspServer
PY
}

find_chromium() {
    local name
    for name in ${CHROMIUM:+"$CHROMIUM"} chromium chromium-browser google-chrome google-chrome-stable; do
        # Ubuntu's chromium-browser may be a script that only says "install the snap".
        if have "$name" && "$name" --version >/dev/null 2>&1; then
            type -P "$name"
            return
        fi
    done
    return 1
}

missing_packages=()
missing_names=()

# need NAME "PACKAGE..." CHECK...: notes the packages when the check fails.
need() {
    local name=$1 packages=$2
    shift 2
    "$@" >/dev/null 2>&1 && return
    missing_names+=("$name")
    read -ra packages <<<"$packages"
    missing_packages+=("${packages[@]}")
}

needed_to_run() {
    need "ffmpeg and ffprobe with libx264" ffmpeg has_ffmpeg
    need "Node.js 18 or newer" nodejs has_node
    need "npm" npm have npm
    need "a C compiler" "gcc libc6-dev" has_libc_headers
}

needed_to_test() {
    need "GStreamer's RTSP server with its Python bindings" \
        "python3 python3-gi gir1.2-gstreamer-1.0 gir1.2-gst-plugins-base-1.0 gir1.2-gst-rtsp-server-1.0" has_rtsp_server
    need "GStreamer's base plugins" gstreamer1.0-plugins-base has_element appsrc
    need "GStreamer's good plugins" gstreamer1.0-plugins-good has_element rtph264pay
    need "GStreamer's bad plugins" gstreamer1.0-plugins-bad has_element h264parse
    need "GStreamer's ugly plugins" gstreamer1.0-plugins-ugly has_element x264enc
    need "GStreamer's libav plugin" gstreamer1.0-libav has_element avenc_aac
    need "systemd-analyze" systemd have systemd-analyze
    need "faketime" faketime have faketime
    need "promtool" prometheus have promtool
    # Installed, it also serves a page on port 80: `systemctl disable --now nginx` where that is not wanted.
    need "nginx with auth_request" nginx has_nginx
    need "Python's venv" "python3 python3-venv" has_venv
    need "unshare, nsenter, prlimit and setpriv" util-linux have_limits
    # Ubuntu's package is a snap in disguise; see install_browser.
    is_ubuntu || need "Chromium" chromium find_chromium
}

is_ubuntu() { grep -qs "^ID=\"\?ubuntu\"\?$" /etc/os-release; }

# --- installing --------------------------------------------------------------------------------------------

as_root() {
    if [[ $(id -u) == 0 ]]; then
        "$@"
    elif have sudo; then
        sudo --preserve-env=DEBIAN_FRONTEND "$@"
    else
        die "needs root for: $*"
    fi
}

updated=
apt_install() {
    if [[ -z $updated ]]; then
        as_root apt-get update -qq </dev/null
        updated=1
    fi
    # Its hundreds of lines on what it unpacks say nothing; what goes wrong is on stderr.
    as_root apt-get install -y -qq --no-install-recommends "$@" </dev/null >/dev/null
}

# Packages for the given wants (a function's name), then a second look.
packages_for() {
    missing_packages=() missing_names=()
    "$1"
    [[ ${#missing_names[@]} == 0 ]] && return
    local list
    list=$(printf '%s, ' "${missing_names[@]}")
    if ! have apt-get; then
        die "please install: ${list%, } (Debian's names: ${missing_packages[*]})"
    fi
    say "installing ${missing_packages[*]}"
    apt_install "${missing_packages[@]}"
    missing_names=()
    "$1"
    [[ ${#missing_names[@]} == 0 ]] || die "still missing after installing: ${missing_names[*]}
setup: this system's packages are too old for it: install it from its makers (Node.js: https://nodejs.org), and try again"
}

check_rust() {
    have cargo || die "needs a Rust toolchain: https://rustup.rs (it fetches the version in rust-toolchain.toml)"
    # rustup installs the pinned toolchain here, once, and not in the middle of a build.
    cargo --version >/dev/null || die "cargo does not run; 'rustup toolchain install' in this directory says why"
    local needed has
    needed=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
    has=$(cargo --version | cut -d' ' -f2)
    printf '%s\n' "$needed" "$has" | sort --check=quiet --version-sort ||
        die "needs Rust $needed, and cargo is $has, as of a distribution's package: use https://rustup.rs in its place"
}

# npm_packages FOLDER: as its lock file says; skipped when that was done for this very lock file.
npm_packages() {
    local folder=$1
    [[ -f $folder/package-lock.json ]] || return 0
    cmp -s "$folder/package-lock.json" "$folder/node_modules/.installed-lock" && return
    say "npm packages of $folder"
    npm ci --prefix "$folder" --no-audit --no-fund --loglevel=error </dev/null
    cp "$folder/package-lock.json" "$folder/node_modules/.installed-lock"
}

# Ubuntu ships Chromium as a snap only, which containers can't run: Playwright's own build, under a name in PATH.
install_browser() {
    find_chromium >/dev/null && return
    is_ubuntu || die "needs Chromium or Chrome: install it or name it in \$CHROMIUM"
    say "installing Playwright's Chromium"
    local playwright=tests/browser/node_modules/playwright-core path
    node "$playwright/cli.js" install --with-deps chromium </dev/null
    path=$(node -p "require('./$playwright').chromium.executablePath()")
    as_root ln -sf "$path" /usr/local/bin/chromium
}

# From 1.21 on, Go fetches the toolchain that a module asks for.
go_fetches_toolchains() {
    local major minor
    IFS=. read -r major minor _ <<<"$(go env GOVERSION)"
    # Also "go1.21rc2" and "devel go1.25-abc".
    major=${major##*go} minor=${minor%%[!0-9]*}
    ((major > 1 || minor >= 21))
}

# fetch_go FOLDER: MinIO's Go, for an older one (Debian 12's): as the module that newer ones would fetch, checked
# against Go's checksum database. A module can't hold execute bits nor inner go.mod files; newer ones put them back.
fetch_go() {
    local version path
    version=v0.0.1-$MINIO_GO.$(go env GOOS)-$(go env GOARCH)
    say "fetching $MINIO_GO for that"
    GOMODCACHE=$1 GOFLAGS=-modcacherw go mod download "golang.org/toolchain@$version"
    mv "$1/golang.org/toolchain@$version" "$1/go"
    chmod -R +x "$1/go/bin" "$1/go/pkg/tool"
    while IFS= read -r -d '' path; do
        mv "$path" "${path%_go.mod}go.mod"
    done < <(find "$1/go" -name _go.mod -print0)
}

install_minio() {
    have minio && return
    if ! have go; then
        have apt-get || die "needs MinIO: put 'minio' into PATH, or install Go (https://go.dev/dl), which builds it"
        say "installing golang-go, to build MinIO"
        apt_install golang-go
    fi
    say "building MinIO $MINIO_VERSION (some minutes)"
    if go_fetches_toolchains; then
        GOTOOLCHAIN=auto go install "github.com/minio/minio@$MINIO_VERSION" </dev/null
    else
        mkdir -p "${XDG_CACHE_HOME:-$HOME/.cache}"
        scratch=$(mktemp -d "${XDG_CACHE_HOME:-$HOME/.cache}/edge-agent-go.XXXXXX")
        fetch_go "$scratch"
        GOTOOLCHAIN=local "$scratch/go/bin/go" install "github.com/minio/minio@$MINIO_VERSION" </dev/null
    fi
    have minio || die "MinIO was built, but is in no folder of PATH nor in \$GOBIN"
}

# As its requirements say; skipped when that was done for these very ones.
install_schemathesis() {
    local folder=tests/schemathesis
    cmp -s "$folder/requirements.txt" "$folder/.venv/.installed" && return
    say "schemathesis"
    rm -rf "$folder/.venv"
    "$PYTHON" -m venv "$folder/.venv"
    "$folder/.venv/bin/pip" install --quiet --disable-pip-version-check -r "$folder/requirements.txt" </dev/null
    cp "$folder/requirements.txt" "$folder/.venv/.installed"
}

install_cargo_deny() {
    have cargo-deny && return
    say "building cargo-deny $CARGO_DENY_VERSION (some minutes)"
    cargo install --quiet --locked cargo-deny --version "$CARGO_DENY_VERSION" </dev/null
}

main() {
    case ${1:-} in
    browser) find_chromium; return ;;
    run | test) ;;
    *) die "usage: packaging/setup.sh run|test|browser" ;;
    esac
    check_rust
    packages_for needed_to_run
    npm_packages player
    [[ $1 == test ]] || return 0
    packages_for needed_to_test
    npm_packages tests/browser
    install_browser
    install_minio
    install_schemathesis
    install_cargo_deny
}

main "$@"
