package pyvalue

import (
	"context"
	"math/rand/v2"
	"strings"
)

// Limits bound one evaluation.
type Limits struct {
	// Steps is the number of expressions and loop rounds that may be evaluated. Default 2,000,000.
	Steps int
	// Output is the number of bytes that may be written, and the size of any one string. Default 1 MiB.
	Output int
	// Items is the length of any one list and of range(). Default 10,000.
	Items int
}

func (l Limits) withDefaults() Limits {
	if l.Steps == 0 {
		l.Steps = 2_000_000
	}
	if l.Output == 0 {
		l.Output = 1 << 20
	}
	if l.Items == 0 {
		l.Items = 10_000
	}
	return l
}

// maxDepth bounds the nesting of expressions, blocks, macro calls and printed values.
const maxDepth = 64

// State is one evaluation: what its operations may still spend. Operations on values that take time or memory are its
// methods, so that no template can escape the limits. It must not be used by two goroutines at once.
type State struct {
	ctx     context.Context
	limits  Limits
	methods *Methods
	random  func() *rand.Rand
	steps   int
	depth   int
}

// NewState begins an evaluation that ends with ctx. random is the source of random numbers; nil means a fixed sequence.
func NewState(ctx context.Context, l Limits, m *Methods, random func() *rand.Rand) *State {
	return &State{ctx: ctx, limits: l.withDefaults(), methods: m, random: random}
}

// Context is the context of the evaluation, for look-ups behind the template.
func (st *State) Context() context.Context { return st.ctx }

// Limits are the bounds of the evaluation.
func (st *State) Limits() Limits { return st.limits }

// Random is the evaluation's source of random numbers.
func (st *State) Random() *rand.Rand {
	if st.random == nil {
		fixed := rand.New(rand.NewPCG(1, 1))
		st.random = func() *rand.Rand { return fixed }
	}
	return st.random()
}

// Step counts work and stops the evaluation at its limit or when its context ends.
func (st *State) Step() error {
	st.steps++
	if st.steps > st.limits.Steps {
		return Errorf("the template does too much work (limit %d steps)", st.limits.Steps)
	}
	if st.steps&127 == 0 {
		if err := context.Cause(st.ctx); err != nil {
			return &Error{Msg: "rendering was stopped: " + err.Error(), Err: err}
		}
	}
	return nil
}

// work counts n units of work at once.
func (st *State) work(n int) error {
	st.steps += n
	return st.Step()
}

// Charge counts the work of looking through texts.
func (st *State) Charge(values ...any) error {
	n := 0
	for _, v := range values {
		if s, ok := v.(string); ok {
			n += len(s) >> 6
		}
	}
	if n == 0 {
		return nil
	}
	return st.work(n)
}

// Enter goes one level deeper, into an expression, a block or a macro, and refuses beyond the limit. Leave goes back.
func (st *State) Enter() error {
	st.depth++
	if st.depth > maxDepth*4 {
		return Errorf("the template nests too deeply")
	}
	return nil
}

// Leave ends a level that Enter began.
func (st *State) Leave() { st.depth-- }

// ReserveText checks the size of a string in bytes, and counts the work, before it is made.
func (st *State) ReserveText(n int) error {
	if n > st.limits.Output {
		return Errorf("a text grows beyond %d bytes", st.limits.Output)
	}
	return st.work(n >> 6)
}

// ReserveItems checks the length of a list, and counts the work, before it is made.
func (st *State) ReserveItems(n int) error {
	if n > st.limits.Items {
		return Errorf("a list grows beyond %d items", st.limits.Items)
	}
	return st.work(n >> 2)
}

// Writer collects text up to a limit.
type Writer struct {
	strings.Builder
	max int
}

// NewWriter returns a writer that takes as much text as the evaluation may print.
func (st *State) NewWriter() *Writer { return &Writer{max: st.limits.Output} }

// Put appends a text.
func (w *Writer) Put(s string) error {
	if w.Len()+len(s) > w.max {
		return Errorf("the output grows beyond %d bytes", w.max)
	}
	w.WriteString(s)
	return nil
}
