//go:build race

package triggerer

// waitsMeasured is smaller where the race detector makes each wait slow.
const waitsMeasured = 5_000
