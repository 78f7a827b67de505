package connections

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// minSecret is the shortest text, in bytes, that a Masker hides, as Airflow's min_length_masked_secret: hiding every
// "test" or "1" would make logs unreadable and tell what the secret is.
const minSecret = 5

// Masker replaces registered secrets in texts by "***". Secrets are registered as connections and variables are
// looked up; a secret is also found percent-encoded, as a JSON string and, when it has several lines, line by line.
// Secrets shorter than 5 bytes are not hidden in free text. The zero Masker is ready; it is safe for concurrent use,
// and masking takes no lock.
type Masker struct {
	mu      sync.Mutex // serialises Add
	matcher atomic.Pointer[matcher]
}

// matcher is an immutable set of secrets, found by their first two bytes.
type matcher struct {
	secrets  []string // sorted
	firstTwo [1 << 16 / 64]uint64
	byFirst  [256][]string
	longest  int
}

// Add registers secrets. Empty and very short ones are ignored.
func (m *Masker) Add(secrets ...string) {
	var fresh []string
	old := m.matcher.Load()
	for _, s := range secrets {
		if len(s) < minSecret {
			continue
		}
		for _, form := range secretForms(s) {
			if len(form) >= minSecret && (old == nil || !old.has(form)) {
				fresh = append(fresh, form)
			}
		}
	}
	if len(fresh) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	all := fresh
	if old = m.matcher.Load(); old != nil {
		all = append(all, old.secrets...)
	}
	m.matcher.Store(newMatcher(all))
}

// AddConnection registers the secrets of a connection.
func (m *Masker) AddConnection(c *Connection) { m.Add(c.Secrets()...) }

// AddNamed registers a value (a text, or anything that JSON decoding yields) if its name is sensitive, and otherwise
// the values under sensitive names inside it.
func (m *Masker) AddNamed(name string, value any) {
	switch v := value.(type) {
	case string:
		if SensitiveKey(name) {
			m.Add(v)
		}
		for _, hit := range userinfo.FindAllStringSubmatch(v, -1) {
			m.Add(hit[2])
		}
	case []any:
		for _, item := range v {
			m.AddNamed(name, item)
		}
	case map[string]any:
		for key, item := range v {
			if SensitiveKey(name) {
				key = name
			}
			m.AddNamed(key, item)
		}
	}
}

// secretForms lists the ways in which a secret is written in output.
func secretForms(s string) []string {
	forms := []string{s, quote(s), url.QueryEscape(s)}
	if quoted, err := json.Marshal(s); err == nil {
		forms = append(forms, string(quoted[1:len(quoted)-1]))
	}
	var ascii strings.Builder
	writeString(&ascii, s)
	forms = append(forms, ascii.String()[1:ascii.Len()-1])
	if strings.Contains(s, "\n") {
		for line := range strings.Lines(s) {
			line = strings.TrimSpace(line)
			if len(line) >= 8 && !strings.HasPrefix(line, "-----") {
				forms = append(forms, line)
			}
		}
	}
	slices.Sort(forms)
	return slices.Compact(forms)
}

func newMatcher(secrets []string) *matcher {
	slices.Sort(secrets)
	x := &matcher{secrets: slices.Compact(secrets)}
	for _, s := range x.secrets {
		k := uint16(s[0])<<8 | uint16(s[1])
		x.firstTwo[k/64] |= 1 << (k % 64)
		x.byFirst[s[0]] = append(x.byFirst[s[0]], s)
		x.longest = max(x.longest, len(s))
	}
	return x
}

func (x *matcher) has(s string) bool {
	_, ok := slices.BinarySearch(x.secrets, s)
	return ok
}

// next finds the first stretch of s at or after from that secrets cover; overlapping and adjoining secrets are one
// stretch. It returns len(s), len(s) when there is none.
func (x *matcher) next(s string, from int) (start, end int) {
	for i := from; i+1 < len(s); i++ {
		n := x.at(s, i)
		if n == 0 {
			continue
		}
		end := i + n
		for j := i + 1; j <= end && j+1 < len(s); j++ {
			end = max(end, j+x.at(s, j))
		}
		return i, end
	}
	return len(s), len(s)
}

// at returns the length of the longest secret that begins at s[i], or 0. s[i+1] exists.
func (x *matcher) at(s string, i int) int {
	k := uint16(s[i])<<8 | uint16(s[i+1])
	if x.firstTwo[k/64]&(1<<(k%64)) == 0 {
		return 0
	}
	longest := 0
	for _, secret := range x.byFirst[s[i]] {
		if len(secret) > longest && strings.HasPrefix(s[i:], secret) {
			longest = len(secret)
		}
	}
	return longest
}

// Mask returns s with every registered secret replaced by "***". It does not allocate when there is none.
func (m *Masker) Mask(s string) string {
	if m == nil {
		return s
	}
	x := m.matcher.Load()
	if x == nil || len(s) < minSecret {
		return s
	}
	start, end := x.next(s, 0)
	if start == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for from := 0; ; {
		b.WriteString(s[from:start])
		if start == len(s) {
			return b.String()
		}
		b.WriteString(Hidden)
		from = end
		start, end = x.next(s, from)
	}
}
