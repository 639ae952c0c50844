#!/bin/sh
# Tests the parts of a release without publishing anything: builds the last commit twice, in
# different places and environments, and checks that the bytes are the same; installs the
# Debian package into a separate directory, uses it, removes it, and checks that nothing is
# left.
#
# It builds only the target linux/amd64: all targets take a quarter of an hour of processor
# time. The others differ in GOOS and GOARCH alone, and the release workflow builds them.
set -eu
cd "$(dirname "$0")/.."
. packaging/build.sh

grep -q "GORELEASER: $pin\$" .github/workflows/release.yml || fail "the workflow of the release has another goreleaser than $pin"
prepare
quietly "$goreleaser" check
if ! git rev-parse -q --verify HEAD >/dev/null; then
	skip 'a commit' 'no package is built'
	exit
fi
build . "$tmp/a"
# A different time zone, locale, umask and cache: nothing of the first build is reused.
(umask 077 && TZ=Asia/Kathmandu LC_ALL=C.UTF-8 GOCACHE=$tmp/cache build "$tmp/a" "$tmp/another/place")
for kind in tar.gz deb rpm apk pkg.tar.zst; do
	ls "$tmp"/a/dist/*."$kind" >/dev/null || fail "no $kind was built"
done
for file in "$tmp"/a/dist/mqtools*; do
	[ -f "$file" ] || continue
	cmp "$file" "$tmp/another/place/dist/${file##*/}" || fail "${file##*/} is not the same in two builds"
done

if has rpm; then
	paths() { rpm -qp "$@" "$tmp"/a/dist/*.x86_64.rpm | grep -e '^/usr/share/man/.*/' -e '^/usr/share/doc/.*/' | sort; }
	[ "$(paths -l | grep -c '\.[157]\.gz$')" = "$(find man -name '*.[157]' | wc -l)" ] || fail 'the rpm does not have all pages'
	[ "$(paths -l)" = "$(paths -d)" ] || fail 'the rpm does not mark all of its documentation'
else
	skip rpm 'its package is not looked at'
fi

deb=$(echo "$tmp"/a/dist/*_amd64.deb)
if ! has dpkg; then
	skip dpkg 'its package is not installed'
	exit
fi
if has lintian; then
	quietly lintian --allow-root --fail-on error,warning "$deb"
else
	skip lintian 'it does not look at the package'
fi

root=$tmp/root
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates"
: >"$root/var/lib/dpkg/status"
package() { quietly dpkg --root="$root" --force-not-root --log="$tmp/dpkg.log" "$@"; }
files() { (cd "$root" && find . -path ./var/lib/dpkg -prune -o -print | sort); }

files >"$tmp/before"
package -i "$deb"
version=$(dpkg-deb -f "$deb" Version)
for tool in mqpub mqsub mqbench; do
	program=$root/usr/bin/$tool
	shown=$("$program" --version)
	case $shown in
	"$tool $(echo "$version" | tr '~' -) ($(git -C "$tmp/a" rev-parse --short=12 HEAD)) go"*" linux/amd64, MQTT "*) ;;
	*) fail "$tool $version shows its version as: $shown" ;;
	esac
	for script in bash-completion/completions/$tool:bash zsh/vendor-completions/_$tool:zsh fish/vendor_completions.d/$tool.fish:fish; do
		shell=${script##*:}
		"$program" --completion "$shell" | cmp - "$root/usr/share/${script%:*}" || fail "$tool completes otherwise in $shell than installed"
		if has "$shell"; then "$shell" -n "$root/usr/share/${script%:*}" || fail "$shell does not read the completion of $tool"; fi
	done
done
if has man; then
	for page in "$tmp"/a/man/*.[157]; do
		name=${page##*/}
		found=$(man -M "$root/usr/share/man" -w "${name##*.}" "${name%.*}")
		gunzip -c "$found" | cmp - "$page" || fail "man does not find $name"
	done
else
	skip man 'its pages are not looked up'
fi
if has systemd-analyze; then
	units=$root/usr/lib/systemd
	mkdir -p "$units/system"
	cp "$root/usr/share/doc/mqtools/examples/mqsub-recorder.service" "$units/system"
	for target in basic multi-user network-online shutdown sysinit; do echo '[Unit]' >"$units/system/$target.target"; done
	problems=$(systemd-analyze verify --root="$root" --man=no mqsub-recorder.service 2>&1) || fail "the systemd unit: $problems"
	[ -z "$problems" ] || fail "the systemd unit: $problems"
	rm -r "$units"
	rmdir "$root/usr/lib"
else
	skip systemd-analyze 'the systemd unit is not verified'
fi
package --purge mqtools
files | cmp - "$tmp/before" || fail 'the package leaves files behind'
