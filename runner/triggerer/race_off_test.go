//go:build !race

package triggerer

const waitsMeasured = 100_000
