//go:build unix && race

package cli

const race = true
