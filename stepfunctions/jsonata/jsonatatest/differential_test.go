package jsonatatest_test

import (
	"os"
	"strconv"
	"testing"

	"gust/stepfunctions/jsonata"
	"gust/stepfunctions/jsonata/jsonatatest"
)

// corpusSize and corpusSeed are the generated corpus of a normal run; JSONATA_CASES and JSONATA_SEED choose another one.
const (
	corpusSize = 6000
	corpusSeed = 20_17
)

func setting(t *testing.T, name string, standard int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return standard
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestAnswersAreTheReferences evaluates a generated corpus here and with the npm package, and compares.
func TestAnswersAreTheReferences(t *testing.T) {
	t.Parallel()
	node, err := jsonatatest.FindNode()
	if err != nil {
		t.Skip(err)
	}
	seed := setting(t, "JSONATA_SEED", corpusSeed)
	cases := jsonatatest.Generate(uint64(seed), setting(t, "JSONATA_CASES", corpusSize))
	answers, err := node.Evaluate(t.Context(), cases)
	if err != nil {
		t.Fatal(err)
	}
	// The reference has no bound of its own on depth.
	limits := jsonata.Limits{Depth: 5000}
	passed, shown := 0, 0
	kinds := map[string]int{}
	for i, c := range cases {
		want, got := answers[i], jsonatatest.Gust(c, limits)
		kinds[form(want)]++
		if want.NoAnswer {
			continue
		}
		if jsonatatest.Agree(c, want, got) {
			passed++
			continue
		}
		if shown++; shown <= 50 {
			t.Errorf("%s\n with %.60q\n  got %.300s\n want %.300s", c.Expr, c.Input, got, want)
		}
	}
	t.Logf("%d of %d passed, seed %d: %v", passed, len(cases)-kinds["without answer"], seed, kinds)
}

func form(a jsonatatest.Answer) string {
	switch {
	case a.Error != nil:
		return "errors"
	case a.NoAnswer:
		return "without answer"
	case a.Undefined:
		return "undefined"
	case a.IsFunction:
		return "functions"
	}
	return "values"
}
