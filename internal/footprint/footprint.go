// Package footprint keeps an idle process small.
package footprint

import "runtime/debug"

// Release gives back to the system what a start has used and a daemon at rest does not: unused heap, and the pages of
// the program's own file that were touched so far. What is needed again comes back by itself. It is a courtesy: where it
// is not possible nothing happens.
func Release() {
	debug.FreeOSMemory()
	releaseProgram()
}
