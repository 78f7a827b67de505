package sfncmd

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"gust/cmd/gust/sfnwatch"
)

// view is the live view of an execution.
type view struct {
	host   *Host
	screen Screen
	arn    string
	x      *sfnwatch.Execution
}

// maxNameWidth is how wide the column of state names may become.
const maxNameWidth = 36

// lines are the execution's status and its states, as many as the terminal has room for: the latest.
func (v *view) lines(now time.Time) []string {
	class := map[string]string{"SUCCEEDED": sfnwatch.Success, "RUNNING": sfnwatch.Running, "ABORTED": sfnwatch.Aborted}[v.x.Status]
	if class == "" {
		class = sfnwatch.Failed
	}
	colours := v.screen.Colours()
	name := v.arn[strings.LastIndexByte(v.arn, ':')+1:]
	lines := []string{"", fmt.Sprintf("%s  %s  %s", name, v.host.Paint(colours, class, v.x.Status), lasted(v.x.Started, v.x.Ended, now))}
	states, width := v.x.States, 0
	if _, rows := v.screen.Size(); rows > 0 {
		if room := max(rows-len(lines)-2, 1); len(states) > room {
			lines = append(lines, fmt.Sprintf("  … %d earlier states", len(states)-room))
			states = states[len(states)-room:]
		}
	}
	for _, s := range states {
		width = min(max(width, utf8.RuneCountInString(s.Name)), maxNameWidth)
	}
	for _, s := range states {
		lines = append(lines, "  "+v.host.Paint(colours, s.Class, v.state(s, width, now)))
	}
	return lines
}

func (v *view) state(s *sfnwatch.State, width int, now time.Time) string {
	name := []rune(s.Name)
	if len(name) > width {
		name = append(name[:width-1], '…')
	}
	text := fmt.Sprintf("%s %s  %-8s", v.host.Symbol(s.Class), string(name)+strings.Repeat(" ", width-len(name)), s.Kind)
	end := s.Last
	if s.Open > 0 {
		end = time.Time{}
	}
	text += "  " + lasted(s.First, end, now)
	if s.Visits > 1 {
		text += fmt.Sprintf("  %d times", s.Visits)
		if s.Open > 0 {
			text += fmt.Sprintf(", %d open", s.Open)
		}
	}
	if s.Failures > 0 {
		text += fmt.Sprintf("  %d failed tries", s.Failures)
	}
	if s.Class == sfnwatch.Failed || s.Class == sfnwatch.Caught {
		line, _, _ := strings.Cut(strings.TrimPrefix(s.Error+": "+s.Cause, ": "), "\n")
		text += "  " + line
	}
	return text
}

// lasted is how long something took, or has been taking.
func lasted(from, to, now time.Time) string {
	if from.IsZero() {
		return ""
	}
	if to.IsZero() {
		to = now
	}
	d := max(0, to.Sub(from))
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
