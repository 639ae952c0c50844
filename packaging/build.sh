# shellcheck shell=sh
# Shared by the scripts in this directory, which source it from the root of the
# repository: helper functions, a directory $tmp that is removed on exit, and the build
# of the packages.

# The newest version that Go 1.26 builds and whose dependencies are all available. The
# release workflow uses the same one.
pin=github.com/goreleaser/goreleaser/v2@v2.16.0

me=packaging
fail() { echo "$me: $*" >&2; exit 1; }
skip() { echo "$me: $1 is missing, so $2" >&2; }
has() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ]; }
quietly() { "$@" >"$tmp/log" 2>&1 || { cat "$tmp/log" >&2; fail "failed: $*"; }; }

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The repository may be owned by another user than the one that runs the script: in a
# container, or with sudo. When cloning, Git reads this setting only from files.
printf '[safe]\n\tdirectory = *\n' >"$tmp/gitconfig"
export GIT_CONFIG_GLOBAL="$tmp/gitconfig"

# prepare installs goreleaser and writes a configuration with only the target
# linux_amd64.
prepare() {
	GOBIN=$tmp/bin quietly go install $pin
	goreleaser=$tmp/bin/goreleaser
	sed -e '/^      - [a-z]*_[a-z0-9_]*$/{/linux_amd64$/!d;}' -e '/^  - {<<: .*armv7/d' goreleaser.yaml >"$tmp/one.yaml"
	[ "$(grep -c 'linux_\|darwin_\|windows_\|freebsd_' "$tmp/one.yaml")" = 1 ] || fail 'the configuration has more than one target'
}

# build REPOSITORY DIRECTORY clones the repository into the directory and builds the
# packages of the last commit there.
build() (
	git clone -q "$1" "$2"
	cd "$2" || exit
	quietly "$goreleaser" release --snapshot --clean --parallelism 1 --skip=docker,homebrew,sbom,scoop,sign -f "$tmp/one.yaml"
)
