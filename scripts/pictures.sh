#!/bin/bash
# Makes the pictures of README.md from real runs: doc/terminal.png shows mqsub
# --pretty in a terminal, and doc/plot.png the page that mqbench plot writes for the
# run whose report is in README.md. Needs tmux, aha, Chromium and an otherwise idle
# machine.
set -euo pipefail
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
tmux() { command tmux -L "pictures-$$" -f /dev/null "$@"; }
trap 'tmux kill-server 2>/dev/null; rm -rf "$tmp"' EXIT
go build -o "$tmp/" ./cmd/...
export PATH="$tmp:$PATH" MQ_CONFIG=none

shoot() { # PAGE WIDTH HEIGHT PICTURE
	chromium --headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update \
		--disable-sync --no-first-run --hide-scrollbars --force-device-scale-factor=1.5 --virtual-time-budget=5000 \
		--user-data-dir="$tmp/profile" --window-size="$2,$3" --screenshot="$4" "file://$1" 2>"$tmp/chromium.log" ||
		{ cat "$tmp/chromium.log" >&2; exit 1; }
}

# The terminal.
port=$((RANDOM % 10000 + 40000))
tmux new-session -d -x 92 -y 31 "PS1='\$ ' PATH=$PATH bash --norc"
tmux set -g status off
tmux send-keys "clear" Enter "mqsub --serve 127.0.0.1:$port --pretty -q 2 -t '#'" Enter
until mqpub -p $port -t home/hall/lamp -m on -r 2>/dev/null; do sleep 0.1; done
mqpub -p $port -t home/boiler/temp -m 61.5 -q 1
mqpub -p $port -t zigbee2mqtt/kitchen -m '{"temperature":21.4,"humidity":48,"battery":97,"window":"open"}'
head -c 48 /bin/ls | mqpub -p $port -t cam/door/frame -s -q 2 -D publish content-type image/raw
mqpub -p $port -t orders/42 -q 1 -m '{"id":42,"total":99.5,"paid":true}' -D publish user-property trace 7f3a
printf 'evil \033[31mred\033[0m \007bell' | mqpub -p $port -t untrusted -s
until tmux capture-pane -p | grep -q bell; do sleep 0.1; done
tmux capture-pane -e -p | sed "s/:$port/:1883/" >"$tmp/terminal.ansi"
{
	echo '<body style="background:#16181d;margin:0;padding:14px 18px;font:15px/1.32 DejaVu Sans Mono,monospace">'
	aha --no-header --black <"$tmp/terminal.ansi" | sed -e 's/color:#3333FF/color:#6aa8ff/g' -e 's/color:aqua/color:#4fd1c5/g' -e 's/color:yellow/color:#f0c674/g' -e 's/color:lime/color:#9ccc65/g'
} | sed -e 's|^\(<body.*\)$|<meta charset=utf-8>\1<pre style="margin:0;color:#d7dae0;font:inherit">|' >"$tmp/terminal.html"
shoot "$tmp/terminal.html" 900 640 "$PWD/doc/terminal.png"

# The plot.
mqbench pubsub --serve --clients 50 --rate 20000 --duration 20s --out "$tmp/run.mqb" >"$tmp/report.txt" 2>/dev/null || cat "$tmp/report.txt"
mqbench plot "$tmp/run.mqb" --out "$tmp/plot.html"
shoot "$tmp/plot.html" 1100 1800 "$PWD/doc/plot.png"
cat "$tmp/report.txt"
