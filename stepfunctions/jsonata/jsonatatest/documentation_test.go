package jsonatatest_test

import (
	"encoding/json"
	"os"
	"testing"

	"gust/stepfunctions/jsonata"
	"gust/stepfunctions/jsonata/jsonatatest"
)

// documentation holds expressions for every page of JSONata's documentation with the reference's answers.
type documentation struct {
	Now   int64
	Input json.RawMessage
	Cases []struct {
		Topic, Expr string
		Answer      jsonatatest.Answer
	}
}

func readDocumentation(t *testing.T) (cases []jsonatatest.Case, recorded []jsonatatest.Answer, topics []string) {
	t.Helper()
	text, err := os.ReadFile("testdata/documentation.json")
	if err != nil {
		t.Fatal(err)
	}
	var d documentation
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	for _, c := range d.Cases {
		cases = append(cases, jsonatatest.Case{Expr: c.Expr, Input: d.Input, Now: d.Now})
		recorded = append(recorded, c.Answer.Whole())
		topics = append(topics, c.Topic)
	}
	return cases, recorded, topics
}

func TestTheDocumentedLanguage(t *testing.T) {
	t.Parallel()
	cases, recorded, topics := readDocumentation(t)
	passed := 0
	for i, c := range cases {
		if got := jsonatatest.Gust(c, jsonata.Limits{}); jsonatatest.Agree(c, recorded[i], got) {
			passed++
		} else {
			t.Errorf("%s: %s\n  got %.300s\n want %.300s", topics[i], c.Expr, got, recorded[i])
		}
	}
	t.Logf("%d of %d passed", passed, len(cases))
}

// The recorded answers are still those of the reference.
func TestTheRecordedAnswersAreTheReferences(t *testing.T) {
	t.Parallel()
	node, err := jsonatatest.FindNode()
	if err != nil {
		t.Skip(err)
	}
	cases, recorded, _ := readDocumentation(t)
	answers, err := node.Evaluate(t.Context(), cases)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		if !jsonatatest.Agree(c, answers[i], recorded[i]) {
			t.Errorf("%s\n node says %s\n the file %s", c.Expr, answers[i], recorded[i])
		}
	}
}
