//go:build race

package plan_test

// raceEnabled: everything takes ten times as long and times mean nothing.
const raceEnabled = true
