#!/bin/sh
# Tests a release without publishing anything: builds the last commit twice, in
# different directories and environments, and requires identical files; installs the
# Debian package in an empty directory, uses it, purges it, and requires that no file
# is left.
#
# Only linux/amd64 is built: all targets take a quarter of an hour of CPU time. The
# others differ only in GOOS and GOARCH, and the release workflow builds them.
set -eu
cd "$(dirname "$0")/.."
. packaging/build.sh

grep -q "GORELEASER: $pin\$" .github/workflows/release.yml || fail "the release workflow uses another goreleaser than $pin"
prepare
quietly "$goreleaser" check
if ! git rev-parse -q --verify HEAD >/dev/null; then
	skip 'a commit' 'no package is built'
	exit
fi
build . "$tmp/a"
# The second build has another time zone, locale, umask and cache, so it reuses nothing
# of the first.
(umask 077 && TZ=Asia/Kathmandu LC_ALL=C.UTF-8 GOCACHE=$tmp/cache build "$tmp/a" "$tmp/another/place")
for kind in tar.gz deb rpm apk pkg.tar.zst; do
	ls "$tmp"/a/dist/*."$kind" >/dev/null || fail "no $kind was built"
done
for file in "$tmp"/a/dist/mqtools*; do
	[ -f "$file" ] || continue
	cmp "$file" "$tmp/another/place/dist/${file##*/}" || fail "${file##*/} differs between the two builds"
done

if has rpm; then
	paths() { rpm -qp "$@" "$tmp"/a/dist/*.x86_64.rpm | grep -e '^/usr/share/man/.*/' -e '^/usr/share/doc/.*/' | sort; }
	[ "$(paths -l | grep -c '\.[157]\.gz$')" = "$(find man -name '*.[157]' | wc -l)" ] || fail 'the rpm does not contain all manual pages'
	[ "$(paths -l)" = "$(paths -d)" ] || fail 'the rpm does not mark all of its documentation'
else
	skip rpm 'the rpm package is not tested'
fi

deb=$(echo "$tmp"/a/dist/*_amd64.deb)
if ! has dpkg; then
	skip dpkg 'the Debian package is not tested'
	exit
fi
if has lintian; then
	quietly lintian --allow-root --fail-on error,warning "$deb"
else
	skip lintian 'it does not check the Debian package'
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
	*) fail "$tool $version prints this version: $shown" ;;
	esac
	for script in bash-completion/completions/$tool:bash zsh/vendor-completions/_$tool:zsh fish/vendor_completions.d/$tool.fish:fish; do
		shell=${script##*:}
		"$program" --completion "$shell" | cmp - "$root/usr/share/${script%:*}" || fail "the installed $shell completion of $tool differs from the one it prints"
		if has "$shell"; then "$shell" -n "$root/usr/share/${script%:*}" || fail "$shell cannot parse the completion of $tool"; fi
	done
done
if has man; then
	for page in "$tmp"/a/man/*.[157]; do
		name=${page##*/}
		found=$(man -M "$root/usr/share/man" -w "${name##*.}" "${name%.*}")
		gunzip -c "$found" | cmp - "$page" || fail "man does not find $name"
	done
else
	skip man 'the manual pages are not looked up'
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
