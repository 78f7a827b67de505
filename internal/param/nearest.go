package param

import "strings"

// Nearest returns the candidate that is most likely meant by name, or "" when none is close: at most a third of the
// letters may differ. Case, "-" and "_" do not count.
func Nearest(name string, candidates []string) string {
	best, bestDistance := "", len(name)/3+1
	plain := plainName(name)
	for _, c := range candidates {
		d := distance(plain, plainName(c))
		if d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

func plainName(s string) string { return strings.ToLower(strings.ReplaceAll(s, "-", "_")) }

// distance counts insertions, deletions, substitutions and swaps of neighbours (optimal string alignment).
func distance(a, b string) int {
	ra, rb := []rune(a), []rune(b)
	if len(ra)-len(rb) > 8 || len(rb)-len(ra) > 8 {
		return len(ra) + len(rb)
	}
	before, last := []int(nil), make([]int, len(rb)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(ra); i++ {
		row := make([]int, len(rb)+1)
		row[0] = i
		for j := 1; j <= len(rb); j++ {
			cost := 1
			if ra[i-1] == rb[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && ra[i-1] == rb[j-2] && ra[i-2] == rb[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(rb)]
}
