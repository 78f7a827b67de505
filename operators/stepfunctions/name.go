package stepfunctions

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"gust/operators"
)

// Limits of Step Functions.
const (
	maxName  = 80
	maxInput = 262_144 // bytes
)

// deriveName returns the execution's name for an attempt: readable, at most 80 characters of [0-9A-Za-z_-], the same
// each time the attempt is repeated, and different for every other attempt. The run's start date is part of the
// identity, so that a run that was deleted and created again under its old id does not meet its old executions.
func deriveName(t operators.Task, salt string) string {
	a, run := t.Attempt(), t.Run()
	h := sha256.New()
	for _, part := range []string{
		a.DagID, a.RunID, a.TaskID, fmt.Sprint(a.MapIndex), fmt.Sprint(a.TryNumber),
		fmt.Sprint(run.StartDate.UnixMicro()), salt,
	} {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part) // a hash never fails
	}
	tail := fmt.Sprintf("-t%d-%s", a.TryNumber, hex.EncodeToString(h.Sum(nil)[:12]))
	head := plain(a.DagID + "-" + a.TaskID)
	if room := maxName - len(tail); len(head) > room {
		head = head[:room]
	}
	return head + tail
}

func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r == '_', r == '-':
			return r
		}
		return '-'
	}, text)
}

const forbidden = "<>{}[]?*\"#%\\^|~`$&,;:/"

// checkName refuses a name that AWS would refuse, or that is missing for a redrive.
func (s *StartExecution) checkName() error {
	if (s.Name == nil || *s.Name == "") && bool(s.IsRedriveExecution) {
		return fmt.Errorf("Execution name is required to start RedriveExecution for %s", s.StateMachineARN)
	}
	return checkName(s.Name)
}

// checkName refuses a name that AWS would refuse; nil is none.
func checkName(given *string) error {
	if given == nil {
		return nil
	}
	name := *given
	if name == "" {
		return errors.New("name is empty; expected 1 to 80 characters, or leave it out for a name made from the attempt")
	}
	if n := utf8.RuneCountInString(name); n > maxName {
		return fmt.Errorf("name %q has %d characters; expected at most %d", name, n, maxName)
	}
	for _, r := range name {
		if r <= ' ' || (r >= 0x7f && r <= 0xa0) || strings.ContainsRune(forbidden, r) {
			return fmt.Errorf("name %q holds %q; a name has no white space, no control character and none of %s",
				name, r, forbidden)
		}
	}
	return nil
}

// inputText turns state_machine_input into the text that is sent; nil sends none, which AWS takes as {}.
func inputText(value any) (*string, error) {
	var text string
	switch v := value.(type) {
	case nil:
		return nil, nil
	case string:
		if !json.Valid([]byte(v)) {
			return nil, fmt.Errorf("state_machine_input is a text that is not JSON: %s; "+
				"write a mapping, or render it with the tojson filter: {{ ... | tojson }}", excerpt(v))
		}
		text = v
	default:
		encoded, err := encode(v)
		if err != nil {
			return nil, fmt.Errorf("state_machine_input cannot be written as JSON: %w", err)
		}
		text = encoded
	}
	if len(text) > maxInput {
		return nil, fmt.Errorf("state_machine_input has %d bytes; Step Functions takes at most %d: "+
			"store the data and pass where it is", len(text), maxInput)
	}
	return &text, nil
}

// encode writes JSON without escaping <, > and &.
func encode(v any) (string, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return strings.TrimSuffix(buf.String(), "\n"), nil
}

func excerpt(text string) string {
	if text == "" {
		return "it is empty"
	}
	if len(text) > 60 {
		text = strings.ToValidUTF8(text[:57], "") + "..."
	}
	return fmt.Sprintf("%q", text)
}

// sameJSON reports whether two inputs mean the same. AWS takes no input as {}.
func sameJSON(a, b *string) bool {
	return canonical(a) == canonical(b)
}

func canonical(text *string) string {
	if text == nil {
		return "{}"
	}
	dec := json.NewDecoder(strings.NewReader(*text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return *text
	}
	out, err := encode(v)
	if err != nil {
		return *text
	}
	return out
}
