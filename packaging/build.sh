# shellcheck shell=sh
# Shared by the scripts in this directory, which source it from the root of the repository:
# functions, a temporary directory $tmp that is removed at exit, and the build of packages.

# The newest version that Go 1.26 builds and whose dependencies are all available. Releases
# are made with the same version.
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

# The repository may belong to a different user than the one running the script, in a
# container or under sudo. Git reads this setting only from files when it clones.
printf '[safe]\n\tdirectory = *\n' >"$tmp/gitconfig"
export GIT_CONFIG_GLOBAL="$tmp/gitconfig"

# prepare installs goreleaser and writes a configuration with one target, without what is
# made for Windows and macOS.
prepare() {
	GOBIN=$tmp/bin quietly go install $pin
	goreleaser=$tmp/bin/goreleaser
	sed -e '/^      - [a-z]*_[a-z0-9_]*$/{/linux_amd64$/!d;}' -e '/^  - {<<: .*armv7/d' goreleaser.yaml >"$tmp/one.yaml"
	[ "$(grep -c 'linux_\|darwin_\|windows_\|freebsd_' "$tmp/one.yaml")" = 1 ] || fail 'more than one target is left'
}

# build REPOSITORY DIRECTORY clones the repository and builds the packages of its last
# commit there.
build() (
	git clone -q "$1" "$2"
	cd "$2" || exit
	quietly "$goreleaser" release --snapshot --clean --parallelism 1 --skip=docker,homebrew,sbom,scoop,sign -f "$tmp/one.yaml"
)
