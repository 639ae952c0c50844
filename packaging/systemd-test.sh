#!/bin/sh
# Tests the packaged unit with a real systemd. It boots a container with Debian and the
# package, and requires that the service starts and becomes ready only once the
# broker has started; that it restarts after kill -9, a crash and a hang; that it records
# again after five seconds in which the broker refuses its password; and that it does not
# restart after a usage error.
#
#   packaging/systemd-test.sh [DEB]      as root; without DEB, builds the package
#
# The unit runs unchanged except for its broker and a watchdog of 2 s. With
# ROOT=DIRECTORY, Debian is installed there and kept for further runs, because installing
# it takes most of the time. The test does not modify it, and the container has only a
# loopback network.
set -eu

# This part runs in the container, as a service.
unit=mqsub-recorder
broker=mqtt://127.0.0.1:1883
say() { echo "$(cut -d. -f1 /proc/uptime) s: $*"; }
show() { systemctl show --value -p "$1" $unit; }
journal() { journalctl -q -o cat -u $unit --no-pager; }
wrong() { say "WRONG: $*"; systemctl status --no-pager $unit; journalctl -q -b -n 60 --no-pager; exit 1; }

# await SECONDS TEXT COMMAND ... waits until a command succeeds.
await() {
	end=$(($(cut -d. -f1 /proc/uptime) + $1)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		[ "$(cut -d. -f1 /proc/uptime)" -lt "$end" ] || wrong "timed out waiting for: $what"
		sleep 0.1
	done
}
is() { [ "$(show "$1")" = "$2" ]; }
gone() { ! is MainPID "$pid"; }
restarted() { is ActiveState active && [ "$(show MainPID)" != "$pid" ]; }
logged() { journal | grep -qi "$1"; }
recorded() { journal | grep -q "\"payload\": *\"$1\""; }
publish() { mqpub -L $broker -u writer -P writer -q 1 -t "$unit" -m "$1" --quiet || wrong "mqpub: status $?"; }

heard() { publish again && recorded again; }

# dies TEXT END COMMAND ... ends the service with a command, and requires that systemd
# logs END, that another process replaces it, and that no message published in between is
# lost.
dies() {
	by=$1 seen=$2
	shift 2
	pid=$(show MainPID) restarts=$(show NRestarts)
	"$@" "$pid"
	await 20 "the process to end after $by" gone
	publish "after-$restarts"
	await 30 "a restart after $by" restarted
	is NRestarts $((restarts + 1)) || wrong "restarts: $(show NRestarts)"
	await 10 'the message published while the service was down' recorded "after-$restarts"
	logged "$seen" || wrong "the journal does not contain: $seen"
	say "restarted after $by: $seen"
}

# users NAME:PASSWORD ... writes the broker's user file.
users() {
	{
		echo users:
		for user; do echo "  ${user%%:*}: $(echo "${user#*:}" | mqsub --hash-password)"; done
	} >/run/users.new
	mv /run/users.new /run/users.yaml
}

inside() {
	dpkg -i /share/mqtools.deb >/dev/null
	cp /usr/share/doc/mqtools/examples/$unit.service /etc/systemd/system/
	mkdir -p /etc/mqtools /etc/systemd/system/$unit.service.d
	(umask 077 && echo secret >/etc/mqtools/recorder.password)
	printf '[Service]\nEnvironment=MQ_URL=%s\nWatchdogSec=2s\n' $broker >/etc/systemd/system/$unit.service.d/test.conf
	printf '[Service]\nType=notify\nExecStart=/usr/bin/mqsub --serve=%s --serve-users=/run/users.yaml\n' ${broker#mqtt://} >/run/systemd/system/broker.service
	users recorder:secret writer:writer
	systemctl daemon-reload

	systemctl start --no-block $unit
	await 20 'the first attempt' logged refused
	is ActiveState activating || wrong "without a broker it is $(show ActiveState)"
	say 'without a broker it is activating'
	systemctl start broker
	await 40 'readiness' is ActiveState active
	is NRestarts 0 || wrong 'the service was restarted'
	say "active: $(show StatusText)"
	publish first
	await 10 'a message in the journal' recorded first

	dies 'kill -9' 'code=killed, status=9/KILL' kill -9
	# The kernel sends SIGSEGV for a memory fault; the process ends as after any panic.
	dies 'a crash' 'status=6/ABRT' kill -SEGV
	dies 'a hang' 'Watchdog timeout' kill -STOP
	logged '^goroutine .*:$' || wrong 'no stack trace in the journal'
	say 'the journal has the stack traces of the crash and the hang'

	# The broker refuses the password for five seconds, then accepts it again.
	users recorder:other writer:writer
	systemctl restart broker
	await 30 'a refusal' logged 'user name or password'
	sleep 5
	users recorder:secret writer:writer
	systemctl restart broker
	await 60 'the end of the outage' heard
	# One restart for each of the three ends above, and none for the outage, during which
	# mqsub kept retrying.
	is NRestarts 3 || wrong "restarts: $(show NRestarts), want 3"
	say "records again after its password was refused for 5 s; restarts: $(show NRestarts), refusals: $(journal | grep -ci 'user name or password')"

	systemctl stop $unit
	[ "$(show Result) $(show ActiveState)" = 'success inactive' ] || wrong "stopped: $(show Result), $(show ActiveState)"
	say 'stopped by SIGTERM: success'

	printf '[Service]\nEnvironment=MQ_QOS=3\n' >/etc/systemd/system/$unit.service.d/usage.conf
	systemctl daemon-reload
	systemctl start $unit && wrong 'the service starts in spite of a usage error'
	await 10 'failure' is ActiveState failed
	sleep 6 # longer than RestartSec=
	end="$(show ActiveState), restarts: $(show NRestarts), status $(show ExecMainStatus)"
	[ "$end" = 'failed, restarts: 0, status 2' ] || wrong "$end"
	say 'not restarted after a usage error, exit status 2'
}

if [ "${1-}" = inside ]; then
	trap 'systemctl exit' EXIT
	inside
	echo DONE
	exit
fi

# This part runs on the host.
deb=${1:+$(realpath "$1")}
cd "$(dirname "$0")/.."
. packaging/build.sh
me=systemd-test
# A skipped test exits with 77, as in automake, so it does not count as passed.
[ "$(id -u)" = 0 ] || { echo "$me: skipped: a container needs root" >&2; exit 77; }
for pair in debootstrap:debootstrap systemd-nspawn:systemd-container; do
	has "${pair%%:*}" || { echo "$me: skipped: ${pair%%:*} is missing, install the Debian package ${pair#*:}" >&2; exit 77; }
done
if [ -z "$deb" ]; then
	prepare
	build . "$tmp/a"
	deb=$(echo "$tmp"/a/dist/*_amd64.deb)
fi
root=${ROOT:-$tmp/root}
[ -x "$root/lib/systemd/systemd" ] || quietly debootstrap --variant=minbase --include=systemd,systemd-sysv bookworm "$root"

mkdir "$tmp/share"
cp "$deb" "$tmp/share/mqtools.deb"
cp packaging/systemd-test.sh "$tmp/share/test.sh"
cat >"$tmp/share/test.service" <<'U'
[Service]
Type=oneshot
ExecStart=/bin/sh /share/test.sh inside
StandardOutput=file:/share/log
StandardError=file:/share/log
U
: >"$tmp/share/log"
# The container is neither registered with nor started by the host's systemd, because the
# host may have none. Changes to the root directory are kept in memory only.
timeout -k 5 300 systemd-nspawn --quiet --register=no --keep-unit --private-network --volatile=overlay \
	--directory="$root" --bind="$tmp/share:/share" --bind-ro="$tmp/share/test.service:/etc/systemd/system/test.service" --console=pipe --boot \
	systemd.unit=multi-user.target systemd.wants=test.service \
	</dev/null >"$tmp/console" 2>&1 || true
cat "$tmp/share/log"
grep -q '^DONE$' "$tmp/share/log" || { tail -n 40 "$tmp/console" >&2; fail 'the test did not finish'; }
