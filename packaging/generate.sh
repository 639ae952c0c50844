#!/bin/sh
# Generates the files that packages contain besides the binaries, in packaging/out/:
# completion scripts, compressed manual pages and the compressed changelog. The same
# commit produces the same bytes.
set -eu
cd "$(dirname "$0")/.."
out=packaging/out
rm -rf "$out"
mkdir -p "$out/completions" "$out/man"

bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
go build -o "$bin/" ./cmd/...
for tool in mqpub mqsub mqbench; do
	"$bin/$tool" --completion bash >"$out/completions/$tool.bash"
	"$bin/$tool" --completion zsh >"$out/completions/_$tool"
	"$bin/$tool" --completion fish >"$out/completions/$tool.fish"
	"$bin/$tool" --completion powershell >"$out/completions/$tool.ps1"
done
for page in man/*.[157]; do
	gzip -9n <"$page" >"$out/man/${page#man/}.gz"
done
gzip -9n <CHANGELOG.md >"$out/CHANGELOG.md.gz"
