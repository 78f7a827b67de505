//go:build unix && !linux

package shell

import (
	"fmt"
	"os"
)

// SweepOrphans does nothing here: this system does not show the environment of other processes.
func SweepOrphans(string) (killed int, err error) { return 0, nil }

// EndCommands does nothing here, for the same reason.
func EndCommands(string) (killed int, err error) { return 0, nil }

func killMarked(string) {}

func parentMarker() string { return fmt.Sprintf("%s%d", parentVar, os.Getpid()) }
