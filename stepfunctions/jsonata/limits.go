package jsonata

import "time"

// Limits bound one evaluation. Zero fields take the defaults.
type Limits struct {
	// Steps is how much work may be done: expressions evaluated and items looked at. It is a bound on time that gives the
	// same answer on every machine.
	Steps int64
	// Time is a bound on wall-clock time; zero means none besides Steps.
	Time time.Duration
	// Depth is how deep evaluations may nest: an expression within an expression, the bodies of called functions included.
	Depth int
	// Bytes is how much memory arrays and texts may take that the expression builds, those it drops again included.
	Bytes int64
}

// The largest array and text that AWS lets an expression build, as measured there: 8 bytes an item, one byte a character.
const (
	maxItems = 873_782
	maxText  = 8 * maxItems
)

// The defaults: around a second of work, AWS's depth as measured there, and memory that the steps alone would not bound.
const (
	defaultSteps = 10_000_000
	defaultDepth = 100
	defaultBytes = 1 << 30
)

// maxNested is how deep arrays and objects may nest that an expression builds and then looks through.
const maxNested = 5_000

func (l Limits) withDefaults() Limits {
	if l.Steps == 0 {
		l.Steps = defaultSteps
	}
	if l.Depth == 0 {
		l.Depth = defaultDepth
	}
	if l.Bytes == 0 {
		l.Bytes = defaultBytes
	}
	return l
}

// clockEvery is after how many steps the wall clock is read.
const clockEvery = 1 << 12

// enter counts one step and one level of nesting, which the caller takes back.
func (ev *evaluator) enter(e *expr) error {
	if err := ev.work(1); err != nil {
		return at(err, e.pos, "")
	}
	if ev.depth++; ev.depth > ev.limits.Depth {
		return bound(tooDeep, e.pos)
	}
	return nil
}

// work counts steps.
func (ev *evaluator) work(n int) error {
	before := ev.steps
	ev.steps += int64(n)
	if ev.steps > ev.limits.Steps {
		return bound(tooLong, 0)
	}
	if !ev.until.IsZero() && before/clockEvery != ev.steps/clockEvery && time.Now().After(ev.until) {
		return bound(tooLong, 0)
	}
	return nil
}

// spend counts an array of n items: its memory and the work of filling it.
func (ev *evaluator) spend(n int) error {
	if n > maxItems {
		return bound(tooBig, 0)
	}
	if err := ev.work(n); err != nil {
		return err
	}
	return ev.allocate(int64(n) * valueBytes)
}

// allocate counts memory.
func (ev *evaluator) allocate(n int64) error {
	if ev.bytes += n; ev.bytes > ev.limits.Bytes {
		return bound(tooBig, 0)
	}
	return nil
}

// write counts a text of n bytes that is about to be built: its memory and the work of copying it.
func (ev *evaluator) write(n int) error {
	if n > maxText {
		return bound(tooBig, 0)
	}
	// Copying some hundred bytes takes as long as a step.
	if err := ev.work(n >> 8); err != nil {
		return err
	}
	return ev.allocate(int64(n))
}

// text returns a string built by a function as a value.
func (ev *evaluator) text(s string) (value, error) { return stringValue(s), ev.write(len(s)) }
