//go:build !linux

package bench

import "time"

func processCPU() time.Duration { return 0 }

func machineTicks() (busy, all uint64) { return 0, 0 }

func residentBytes() int64 { return 0 }

func openFiles() int64 { return 0 }
