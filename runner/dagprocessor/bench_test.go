package dagprocessor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gust/dag/dagfile"
	"gust/operators"
	"gust/runner/dagprocessor"
)

type nowhere struct{}

func (nowhere) FileLoaded(dagprocessor.FileResult) {}
func (nowhere) Scanned([]string)                   {}

// BenchmarkFolder scans 1,000 files of 10 tasks: for the first time, and with nothing changed.
func BenchmarkFolder(b *testing.B) {
	root := b.TempDir()
	for i := range 1000 {
		var text strings.Builder
		fmt.Fprintf(&text, "dag_%d:\n  schedule: \"0 3 * * *\"\n  start_date: 2024-01-01\n", i)
		text.WriteString("  default_args: {owner: data, retries: 2}\n  tasks:\n")
		for n := range 10 {
			fmt.Fprintf(&text, "    - task_id: task_%d\n      operator: BashOperator\n", n)
			fmt.Fprintf(&text, "      bash_command: echo \"step %d of {{ ds }}\"\n", n)
			if n > 0 {
				fmt.Fprintf(&text, "      dependencies: [task_%d]\n", n-1)
			}
		}
		dir := filepath.Join(root, fmt.Sprint("team_", i%20))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("dag_%d.yaml", i)), []byte(text.String()), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	reg := operators.NewRegistry()
	spec := operators.Spec{Name: "BashOperator", New: func() operators.Operator { return &bash{} }}
	if err := reg.Register(spec); err != nil {
		b.Fatal(err)
	}
	newProcessor := func() *dagprocessor.Processor {
		p, err := dagprocessor.New(dagprocessor.Options{Root: root, Load: dagfile.Options{Operators: reg}}, nowhere{})
		if err != nil {
			b.Fatal(err)
		}
		return p
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			if err := newProcessor().ScanOnce(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("unchanged", func(b *testing.B) {
		p := newProcessor()
		if err := p.ScanOnce(b.Context()); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if err := p.ScanOnce(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
