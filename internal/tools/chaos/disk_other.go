//go:build !linux

package main

import "errors"

const canMount = false

func inside() (status int, done bool) { return 0, false }

func mount(string) error { return errors.ErrUnsupported }

func unmount(string) {}

func limitFiles(int, uint64) error { return errors.ErrUnsupported }
