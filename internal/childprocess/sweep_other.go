//go:build unix && !linux

package childprocess

import (
	"fmt"
	"os"
)

// SweepOrphans does nothing here: this system does not show the environment of other processes.
func SweepOrphans(string) (killed int, err error) { return 0, nil }

// EndCommands does nothing here, for the same reason.
func EndCommands(string) (killed int, err error) { return 0, nil }

// KillMarked does nothing here, for the same reason.
func KillMarked(string) {}

// ParentMark names this process.
func ParentMark() string { return fmt.Sprintf("%s%d", parentVar, os.Getpid()) }
