package statemachine

import (
	"errors"
	"strings"
	"testing"

	"gust/internal/param"
)

func TestSubstitutions(t *testing.T) {
	t.Parallel()
	d, err := definitionText(`{"a": "${x}!", "b": ${n}, "c": "${x}"}`, map[string]any{"x": `say "hi"`, "n": 3})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"a": "say \"hi\"!", "b": 3, "c": "say \"hi\""}`; d.text != want {
		t.Errorf("%s, want %s", d.text, want)
	}
	_, err = definitionText(`{"a": "${x}"}`, map[string]any{"x": []any{1}})
	wantError(t, err, "definition_substitutions.x", "expected a text, a number or a boolean")
}

// A problem is placed where its value was written, whatever the substitutions before it have done.
func TestPlaces(t *testing.T) {
	t.Parallel()
	const text = "{\"StartAt\": \"A\",\n \"Comment\": \"${x}\", \"States\": {\"A\": {\"Type\": \"Pass\", \"Next\": \"${x}\"}}}"
	for name, x := range map[string]string{"short": "B", "long": strings.Repeat("B", 40), "equal": "${x}"} {
		d, err := definitionText(text, map[string]any{"x": x})
		if err != nil {
			t.Fatal(err)
		}
		err = d.check(diagnose, "STANDARD")
		var e *param.Error
		if !errors.As(err, &e) {
			t.Fatalf("%s: %v", name, err)
		}
		line := strings.Split(text, "\n")[1]
		want := strings.Index(line, `"Next"`) + 1
		value := strings.Index(line, `: "${x}"}}`) + 3
		if e.Line != 2 || e.Column != want && e.Column != value {
			t.Errorf("%s: line %d, column %d, want 2 and %d or %d: %v", name, e.Line, e.Column, want, value, e)
		}
	}
}

func TestUnknownSubstitutionsAreNotGuessed(t *testing.T) {
	t.Parallel()
	d, err := definitionText(`{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"${arn}","Next":"Typo"}}}`, nil)
	if err != nil || !d.open {
		t.Fatalf("%+v, %v", d, err)
	}
	err = d.check(diagnose, "STANDARD")
	wantError(t, err, "Typo")
	if strings.Contains(err.Error(), "Resource") {
		t.Errorf("the placeholder was judged: %v", err)
	}
	if d, _ = definitionText(`{"a": ${n}}`, nil); d.check(diagnose, "STANDARD") != nil {
		t.Error("a text that is JSON only with its values was judged")
	}
}

func TestSteps(t *testing.T) {
	t.Parallel()
	for location, want := range map[string]string{
		"/States/A/Choices[0]/Next": "States.A.Choices.0.Next", "/": "", "": "", "/StartAt": "StartAt",
		"/States/P/Branches[1]/States/X": "States.P.Branches.1.States.X",
	} {
		if got := strings.Join(steps(location), "."); got != want {
			t.Errorf("%s: %s, want %s", location, got, want)
		}
	}
}
