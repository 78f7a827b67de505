package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gust/cmd/gust/sfnapi"
)

var update = flag.Bool("update", false, "write docs/cli.md anew")

const reference = "../../docs/cli.md"

// TestReference holds docs/cli.md to the commands. `go test ./cmd/gust -run TestReference -update` writes it.
func TestReference(t *testing.T) {
	t.Parallel()
	root := newRoot(streams{in: strings.NewReader(""), out: io.Discard, err: io.Discard})
	var b strings.Builder
	b.WriteString("# Command line\n\n" + wrapped("This page is generated from the commands: "+
		"`go test ./cmd/gust -run TestReference -update` writes it. `gust COMMAND --help` prints the same in a terminal.") +
		"\n\n" + prose(root.Long))
	b.WriteString(wrapped("Every command also has `--config FILE`. List commands have `-o table|json|yaml|plain`: "+
		"`table` for people, `plain` for `awk`, `json` and `yaml` for programs. Colours and the live view are "+
		"used on a terminal only; `NO_COLOR` switches the colours off, `TERM=dumb` both.") + "\n\n")
	for _, c := range root.Commands() {
		if c.Name() != "help" && c.Name() != "completion" {
			writeCommand(&b, c, "##")
		}
	}
	b.WriteString("## gust completion\n\n" +
		"Print a script that completes commands, DAG ids, run ids, connections and so on in your shell.\n\n" +
		"```sh\nsource <(gust completion bash)      # also zsh, fish, powershell\n```\n")
	if *update {
		if err := os.WriteFile(reference, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != b.String() {
		t.Error("docs/cli.md is not what the commands say now; run `go test ./cmd/gust -run TestReference -update`")
	}
}

// prose is a help text as Markdown: what is indented in it is a block of code.
func prose(text string) string {
	var b strings.Builder
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		if strings.HasPrefix(paragraph, "  ") {
			paragraph = "```text\n" + paragraph + "\n```"
		} else {
			paragraph = wrapped(paragraph)
		}
		b.WriteString(paragraph + "\n\n")
	}
	return b.String()
}

// wrapped breaks a paragraph into lines of at most 120 columns.
func wrapped(text string) string {
	const columns = 120
	var b strings.Builder
	width := 0
	for _, word := range words(text) {
		n := len([]rune(word))
		switch {
		case width == 0:
		case width+1+n > columns:
			b.WriteString("\n")
			width = 0
		default:
			b.WriteString(" ")
			width++
		}
		b.WriteString(word)
		width += n
	}
	return b.String()
}

func writeCommand(b *strings.Builder, c *cobra.Command, heading string) {
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	fmt.Fprintf(b, "%s %s\n\n%s", heading, c.CommandPath(), prose(text))
	if c.HasSubCommands() {
		writeFlags(b, c)
		for _, sub := range c.Commands() {
			writeCommand(b, sub, heading+"#")
		}
		return
	}
	usage := c.UseLine()
	if c.HasAvailableLocalFlags() && !strings.Contains(usage, "[flags]") {
		usage += " [flags]"
	}
	fmt.Fprintf(b, "```text\n%s\n```\n\n", usage)
	writeFlags(b, c)
	if c.Example != "" {
		fmt.Fprintf(b, "```sh\n%s\n```\n\n", strings.TrimPrefix(strings.ReplaceAll("\n"+c.Example, "\n  ", "\n"), "\n"))
	}
}

// shared reports the flags that all commands of the Step Functions API have; their group's text tells them once.
func shared(f *pflag.Flag) bool { return f.Annotations[sfnapi.Shared] != nil }

func writeFlags(b *strings.Builder, c *cobra.Command) {
	rows := ""
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" || shared(f) || c.InheritedFlags().Lookup(f.Name) != nil {
			return
		}
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name = "`-" + f.Shorthand + "`, " + name
		}
		typ, usage := pflag.UnquoteUsage(f)
		def := ""
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0" {
			def = "`" + f.DefValue + "`"
		}
		usage = strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(usage)
		rows += fmt.Sprintf("| %s | %s | %s | %s |\n", name, typ, def, usage)
	})
	if rows != "" {
		b.WriteString("| flag | value | default | meaning |\n|---|---|---|---|\n" + rows + "\n")
	}
}

// words are what a line must not be broken in: a span of code is one.
func words(text string) []string {
	var all []string
	open := false
	for _, word := range strings.Fields(text) {
		if open {
			all[len(all)-1] += " " + word
		} else {
			all = append(all, word)
		}
		open = open != (strings.Count(word, "`")%2 == 1)
	}
	return all
}
