// Package docs keeps the documentation true. Its tests run the commands that README.md and the pages in docs show and
// compare what they print, load every pipeline in them, write the generated pages, and look for names and links that
// lead nowhere:
//
//	go test ./internal/docs -run TestOperatorsPage -update   # write docs/operators.md anew
//	go test ./cmd/gust -run TestReference -update            # write docs/cli.md anew
//
// What a page may contain:
//
//   - A fence marked console is run: lines that begin with "$ " are commands, what follows is what they print. The
//     fences of one page run one after the other in one shell, in a fresh copy of the examples. A line "..." stands for
//     any number of lines, and "..." at the end of a line for the rest of it; times, ids, durations and the width of
//     columns do not count. A command that only looks is repeated until it prints what is shown.
//   - A fence marked yaml that defines a DAG is loaded and must be free of problems. One that begins with a comment
//     that is a file name ("# examples/hello.yaml") is that file from then on.
//   - A fence marked sh, text or anything else is only shown.
package docs
