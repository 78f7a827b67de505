package dagfile

import (
	"fmt"
	"testing"
)

func TestReadSignature(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"def f(): pass":             "[] false",
		"def f(a, b=1, *, c): pass": "[a b? c] false",
		"async def f (a: dict[str, int] = {1: (2, 3)}, *args, **kw) -> int: pass":                      "[a?] true",
		"x = 1\ndef f(\n    a,  # first, of two\n    b='),\"',\n    c=\"\"\"x)\n\"\"\",\n):\n    pass": "[a b? c?] false",
		"def f[T](a: T): pass":                      "[a] false",
		"def f(a: Callable[[int], str]=None): pass": "[a?] false",
		"def f(a: Annotated[int, Meta(x=1)]): pass": "[a] false",
		"def f(a, /, b): pass":                      "[a b] false",
		"def f(a): pass\ndef f(b): pass":            "[b] false",
		"@task\ndef f(a):\n    def g(b): pass":      "[a] false",
		"def f(a='\\'', b=1): pass":                 "[a? b?] false",
		"def g(a): pass":                            "none",
		"    def f(a): pass":                        "none",
		"def f(a":                                   "none",
		"def f(a='":                                 "none",
		"def f(a]":                                  "none",
	} {
		got := "none"
		if s := readSignature(text, "f"); s != nil {
			names := make([]string, len(s.names))
			for i, n := range s.names {
				names[i] = n
				if s.optional[n] {
					names[i] += "?"
				}
			}
			got = fmt.Sprintf("%v %v", names, s.wildcard)
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func FuzzReadSignature(f *testing.F) {
	f.Add("def f(a, b='x', *c, **d): pass", "f")
	f.Add("def f(\n#\n'''", "f")
	f.Fuzz(func(t *testing.T, text, name string) {
		if s := readSignature(text, name); s != nil && s.String() == "" {
			t.Error("a signature without a text")
		}
	})
}
