package ecmaregexp_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"

	"gust/stepfunctions/jsonata/ecmaregexp"
)

func free(int) error { return nil }

// find returns the offset, the match and the groups as the case files write them, nil for no match.
func find(re *ecmaregexp.Regexp, text string) ([]any, error) {
	units := utf16.Encode([]rune(text))
	found, err := re.Match(units, 0, free)
	if err != nil || found == nil {
		return nil, err
	}
	out := []any{float64(found[0])}
	for i := 0; i < len(found); i += 2 {
		if found[i] < 0 || found[i+1] < 0 {
			out = append(out, nil)
			continue
		}
		out = append(out, string(utf16.Decode(units[found[i]:found[i+1]])))
	}
	return out, nil
}

// TestAnswersAreV8s compares with answers of Node's RegExp to random patterns: p, f, t are pattern, flags, text; m is the
// offset, the match and the groups; bad says that the pattern is refused.
func TestAnswersAreV8s(t *testing.T) {
	t.Parallel()
	file, err := os.Open("testdata/v8.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	n := 0
	for ; lines.Scan(); n++ {
		var c struct {
			P, F, T string
			M       []any
			Bad     bool
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		re, err := ecmaregexp.Compile(c.P, c.F)
		if (err != nil) != c.Bad {
			t.Errorf("/%s/%s: compiled with %v, refused by V8: %v", c.P, c.F, err, c.Bad)
		}
		if err != nil {
			continue
		}
		if got, err := find(re, c.T); err != nil || fmt.Sprint(got) != fmt.Sprint(c.M) {
			t.Errorf("/%s/%s on %q: got %v (%v), want %v", c.P, c.F, c.T, got, err, c.M)
		}
	}
	if n < 200 {
		t.Errorf("only %d cases", n)
	}
}

func TestBadPatternsSayWhy(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		`(`: "unterminated group", `)`: "unmatched", `[`: "unterminated character class", `*`: "nothing to repeat", `a**`: "nothing to repeat",
		`{2}`: "nothing to repeat", `a{2,1}`: "out of order", `[z-a]`: "out of order", `(?i)a`: "invalid group", `(?<a`: "invalid capture group name",
		`(?<a>x)(?<a>y)`: "duplicate", `(?<a>x)\k<b>`: `no group named "b"`, `(?<a>x)\k`: "invalid named reference", `\`: "at end of pattern",
		strings.Repeat("(", 1000): "nest deeper", `((a{1000}){1000}){1000}`: "too large", `(?<=a)*`: "nothing to repeat",
	} {
		if _, err := ecmaregexp.Compile(pattern, ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("/%.40s/: got %v, want ...%s...", pattern, err, want)
		}
	}
	if _, err := ecmaregexp.Compile("a", "g"); err == nil {
		t.Error("the flag g was accepted")
	}
}

func TestEndlessMatchesAreStopped(t *testing.T) {
	t.Parallel()
	re, err := ecmaregexp.Compile(`^(a+)+$`, "")
	if err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	steps := 0
	_, err = re.Match(utf16.Encode([]rune(strings.Repeat("a", 100)+"b")), 0, func(n int) error {
		if steps += n; steps > 100_000 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	if re, err = ecmaregexp.Compile(`(a|b)*c`, ""); err != nil {
		t.Fatal(err)
	}
	if _, err = re.Match(make([]uint16, 10), 0, free); err != nil {
		t.Error(err)
	}
	if _, err = re.Match(utf16.Encode([]rune(strings.Repeat("ab", 3<<20))), 0, free); !errors.Is(err, ecmaregexp.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

// FuzzMatch looks for panics, and compares with Go's regexp where both mean the same.
func FuzzMatch(f *testing.F) {
	for _, p := range []string{`a(b|c)*?d`, `(?<n>x)\k<n>`, `(?<=a)b(?!c)`, `[^\w-]{2,3}`, `\bx\B`, `(a*)*`, `((a)|b)+\2`, `\u0041\x42\cC`} {
		f.Add(p, "i", "aabbccxx ABC")
	}
	simple := regexp.MustCompile(`^[a-z0-9.|()*+?]*$`)
	f.Fuzz(func(t *testing.T, pattern, flags, text string) {
		re, err := ecmaregexp.Compile(pattern, flags)
		if err != nil {
			return
		}
		units := utf16.Encode([]rune(text))
		steps := 0
		stop := errors.New("stop")
		found, err := re.Match(units, 0, func(n int) error {
			if steps += n; steps > 1_000_000 {
				return stop
			}
			return nil
		})
		if err != nil || flags != "" || !simple.MatchString(pattern) || !simple.MatchString(text) {
			return
		}
		if other, err := regexp.Compile(pattern); err == nil {
			if want := other.FindStringIndex(text); (want == nil) != (found == nil) || (want != nil && want[0] != found[0]) {
				t.Fatalf("/%s/ on %q: got %v, Go finds %v", pattern, text, found, want)
			}
		}
	})
}
