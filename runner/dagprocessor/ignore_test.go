package dagprocessor

import "testing"

func TestGlobs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line, path string
		dir, want  bool
	}{
		{"*.yaml", "a.yaml", false, true}, {"*.yaml", "sub/a.yaml", false, true}, {"*.yaml", "a.yml", false, false},
		{"/a.yaml", "a.yaml", false, true}, {"/a.yaml", "sub/a.yaml", false, false},
		{"sub/a.yaml", "sub/a.yaml", false, true}, {"sub/a.yaml", "x/sub/a.yaml", false, false},
		{"**/a.yaml", "x/y/a.yaml", false, true}, {"**/a.yaml", "a.yaml", false, true},
		{"x/**", "x/y/a.yaml", false, true}, {"x/**/a.yaml", "x/a.yaml", false, true},
		{"x/*/a.yaml", "x/y/z/a.yaml", false, false},
		{"tests/", "tests", true, true}, {"tests/", "tests", false, false}, {"tests/", "x/tests", true, true},
		{"a?.yaml", "ab.yaml", false, true}, {"a?.yaml", "a/.yaml", false, false},
		{"[ab].yaml", "b.yaml", false, true}, {"[!ab].yaml", "b.yaml", false, false}, {"[!ab].yaml", "c.yaml", false, true},
		{"[]x].yaml", "].yaml", false, true}, {"[.yaml", "[.yaml", false, true}, {"a-[0-9]", "a-7", false, true},
		{`\*.yaml`, "*.yaml", false, true}, {`\*.yaml`, "a.yaml", false, false}, {"a+b.yaml", "a+b.yaml", false, true},
		{"a.yaml # why", "a.yaml", false, true},
	} {
		r, ok, err := parseRule("/base", c.line, "glob")
		if err != nil || !ok {
			t.Errorf("%q: %v %v", c.line, ok, err)
			continue
		}
		if got := ignored([]ignoreRule{r}, "/base/"+c.path, c.dir); got != c.want {
			t.Errorf("%q on %q: %v, want %v (%s)", c.line, c.path, got, c.want, r.pattern)
		}
	}
	all, _, errAll := parseRule("/base", "*.yaml", "glob")
	back, _, errBack := parseRule("/base", "!keep.yaml", "glob")
	if errAll != nil || errBack != nil {
		t.Fatal(errAll, errBack)
	}
	rules := []ignoreRule{all, back}
	if ignored(rules, "/base/keep.yaml", false) || !ignored(rules, "/base/a.yaml", false) {
		t.Error("a later rule with ! does not win")
	}
	for _, line := range []string{"", "   ", "# comment", "/", "!"} {
		if _, ok, err := parseRule("/base", line, "glob"); ok || err != nil {
			t.Errorf("%q is a rule: %v", line, err)
		}
	}
}

func FuzzGlob(f *testing.F) {
	for _, s := range []string{"*.yaml", "**/x", "[!a-", "[]", "[]]", "a\\", "!x/", "[z-a]", "[[:alpha:]]"} {
		f.Add(s, "x/y.yaml")
	}
	f.Fuzz(func(_ *testing.T, line, path string) {
		if r, ok, err := parseRule("/base", line, "glob"); ok && err == nil {
			ignored([]ignoreRule{r}, "/base/"+path, false)
		}
	})
}
