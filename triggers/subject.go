package triggers

import "hash/fnv"

// HashSubject is a subject as it is stored and looked up: the same in every process, and never 0 but for "".
func HashSubject(subject string) uint64 {
	if subject == "" {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(subject)) // cannot fail
	return max(h.Sum64(), 1)
}
