# shellcheck shell=sh
# What the scripts beside it share, and read with "." from the root of the repository:
# words, a directory $tmp that goes with the script, and the build of packages.

# The newest that Go 1.26 builds and whose dependencies are all to be had. A
# release is made by the same one.
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

# The repository may belong to another user than the script runs as: in a container,
# or under sudo. Git reads this from files only when it clones.
printf '[safe]\n\tdirectory = *\n' >"$tmp/gitconfig"
export GIT_CONFIG_GLOBAL="$tmp/gitconfig"

# prepare makes a goreleaser, and a configuration with one target; what is made of
# those of Windows and macOS goes too.
prepare() {
	GOBIN=$tmp/bin quietly go install $pin
	goreleaser=$tmp/bin/goreleaser
	sed -e '/^      - [a-z]*_[a-z0-9_]*$/{/linux_amd64$/!d;}' -e '/^  - {<<: .*armv7/d' goreleaser.yaml >"$tmp/one.yaml"
	[ "$(grep -c 'linux_\|darwin_\|windows_\|freebsd_' "$tmp/one.yaml")" = 1 ] || fail 'more than one target is left'
}

# build REPOSITORY DIRECTORY builds the packages of the repository's last commit
# there.
build() (
	git clone -q "$1" "$2"
	cd "$2" || exit
	quietly "$goreleaser" release --snapshot --clean --parallelism 1 --skip=docker,homebrew,sbom,scoop,sign -f "$tmp/one.yaml"
)
