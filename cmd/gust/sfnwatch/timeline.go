package sfnwatch

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Timeline tells events as lines: when, how long after the start, in which state, what.
type Timeline struct {
	// Clip cuts lines to so many characters, 0 leaves them whole.
	Clip int
	x    *Execution
	from time.Time
	last int64
	wide int
}

// NewTimeline returns a timeline.
func NewTimeline(clip int) *Timeline {
	return &Timeline{Clip: clip, x: NewExecution(), wide: minStateWidth}
}

// Execution is the sum of what was told.
func (t *Timeline) Execution() *Execution { return t.x }

// Last is the id of the last event.
func (t *Timeline) Last() int64 { return t.last }

// The column of states is as wide as its widest so far.
const (
	minStateWidth = 12
	maxStateWidth = 28
)

// Line is the line of an event; events come in the order of their ids.
func (t *Timeline) Line(e *Event) (text, class string) {
	before := t.x.visits[e.Previous]
	t.x.Add(e)
	t.last = e.ID
	if t.from.IsZero() {
		t.from = e.At
	}
	state := e.Get("name")
	if !strings.HasSuffix(e.Type, "StateExited") && !strings.HasSuffix(e.Type, "StateEntered") {
		state = t.x.State(e)
		if state == "" && before != nil && !strings.HasPrefix(e.Type, "Execution") {
			state = before.state.Name
		}
	}
	t.wide = min(max(t.wide, utf8.RuneCountInString(state)), maxStateWidth)
	line := fmt.Sprintf("%s %9s  %s  %s", e.At.Format("15:04:05.000"), "+"+seconds(e.At.Sub(t.from)), column(state, t.wide), what(e))
	return t.clip(strings.TrimRight(line, " ")), classOf(e)
}

func seconds(d time.Duration) string {
	if d >= time.Hour {
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%.3fs", d.Seconds())
}

func column(text string, width int) string {
	n := utf8.RuneCountInString(text)
	if n > width {
		return string([]rune(text)[:width-1]) + "…"
	}
	return text + strings.Repeat(" ", width-n)
}

// what says in words what happened.
func what(e *Event) string {
	kind := e.Type
	var text string
	switch {
	case strings.HasSuffix(kind, "StateEntered"):
		kind, text = "entered", strings.TrimSuffix(e.Type, "StateEntered")+"  "+e.Get("input")
	case strings.HasSuffix(kind, "StateExited"):
		kind, text = "left", e.Get("output")
		if assigned := e.Get("assignedVariables"); assigned != "" {
			text += "  variables " + assigned
		}
	case e.Get("error") != "" || e.Get("cause") != "":
		text = strings.TrimPrefix(e.Get("error")+": "+e.Get("cause"), ": ")
		text = strings.TrimSuffix(text, ": ")
	default:
		text = rest(e)
	}
	return strings.TrimRight(column(kind, max(len(kind), 9))+"  "+strings.Join(strings.Fields(text), " "), " ")
}

// rest are the details of an event without an error: what it is about, then its data.
func rest(e *Event) string {
	var parts []string
	for _, name := range []string{"resourceType", "resource", "index", "length", "workerName", "redriveCount", "mapRunArn", "state", "location"} {
		value := e.Get(name)
		switch {
		case value == "":
		case name == "index" || name == "length" || name == "redriveCount":
			parts = append(parts, strings.TrimSuffix(name, "Count")+" "+value)
		default:
			parts = append(parts, value)
		}
	}
	text := strings.Join(parts, " ")
	for _, name := range []string{"parameters", "input", "output"} {
		if value := e.Get(name); value != "" {
			text += "  " + value
		}
	}
	return text
}

func (t *Timeline) clip(text string) string {
	if runes := []rune(text); t.Clip > 0 && len(runes) > t.Clip {
		return string(runes[:max(t.Clip-1, 0)]) + "…"
	}
	return text
}

// classOf colours a line.
func classOf(e *Event) string {
	switch {
	case strings.HasSuffix(e.Type, "Failed") || strings.HasSuffix(e.Type, "TimedOut"):
		return Failed
	case strings.HasSuffix(e.Type, "Aborted"):
		return Aborted
	case strings.HasSuffix(e.Type, "Succeeded"):
		return Success
	}
	return ""
}
