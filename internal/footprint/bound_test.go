package footprint

import "testing"

func TestPercent(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{0: 100, 20 << 20: 100, 128 << 20: 100, 256 << 20: 50, 320 << 20: 40, 4 << 30: 20} {
		if got := percent(live); got != want {
			t.Errorf("a heap of %d MB may grow by %d %%, want %d", live>>20, got, want)
		}
	}
}
