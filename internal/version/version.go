// Package version holds what the linker knows about this build.
package version

// Version is the build's version, set by the Makefile from git ("dev" in a plain go build).
var Version = "dev"
