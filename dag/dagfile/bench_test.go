package dagfile_test

import (
	"fmt"
	"strings"
	"testing"

	"gust/dag/dagfile"
)

// pipeline is a file with one DAG of n Bash tasks in a chain.
func pipeline(id string, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:\n  description: One of many\n  schedule: \"0 3 * * *\"\n  start_date: 2024-01-01\n", id)
	b.WriteString("  tags: [bench, chain]\n  default_args:\n    owner: data\n    retries: 2\n")
	b.WriteString("    retry_delay: {__type__: datetime.timedelta, seconds: 30}\n  tasks:\n")
	for i := range n {
		fmt.Fprintf(&b, "    - task_id: task_%d\n      operator: airflow.providers.standard.operators.bash.BashOperator\n", i)
		fmt.Fprintf(&b, "      bash_command: echo \"step %d of {{ ds }}\"\n", i)
		if i > 0 {
			fmt.Fprintf(&b, "      dependencies: [task_%d]\n", i-1)
		}
	}
	return b.String()
}

func BenchmarkParse(b *testing.B) {
	for _, tasks := range []int{10, 1000} {
		b.Run(fmt.Sprintf("tasks=%d", tasks), func(b *testing.B) {
			text := []byte(pipeline("orders", tasks))
			l := dagfile.NewLoader(options(b))
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if f := l.Parse("orders.yaml", text); len(f.DAGs) != 1 {
					b.Fatal(dagfile.Text(f.Problems))
				}
			}
		})
	}
}
