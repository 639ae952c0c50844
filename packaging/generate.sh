#!/bin/sh
# Generates what packages contain besides the binaries, in packaging/out/: completion
# scripts and compressed manual pages. The output is reproducible for a commit.
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
