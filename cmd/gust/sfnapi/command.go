package sfnapi

import (
	"context"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gust/cmd/gust/awsform"
	"gust/internal/param"
	"gust/stepfunctions/jsonvalue"
)

// Env is what the commands need of the program.
type Env struct {
	In  io.Reader
	Out io.Writer
	// Colour and Width describe the terminal that Out is.
	Colour bool
	Width  func() int
	// Client opens the client that the command line asks for; release it afterwards. An answer may take as long as patience.
	Client func(cmd *cobra.Command, patience time.Duration) (client *sfn.Client, release func(), err error)
}

// Shared marks flags that many commands have in common, in pflag's annotations.
const Shared = "gust_shared"

// Output are the flags about what is printed, shared by all commands of the API.
type Output struct {
	flags  *pflag.FlagSet
	format string
	query  string
	color  string
	input  string
	skel   string
	single bool
}

// OutputFlags makes the shared flags.
func OutputFlags() *Output {
	o := &Output{flags: pflag.NewFlagSet("output", pflag.ContinueOnError)}
	o.flags.StringVarP(&o.format, "output", "o", "", "the output `FORM`: json, table, text or yaml (default: AWS_DEFAULT_OUTPUT, then json)")
	o.flags.StringVar(&o.query, "query", "", "narrow the answer with a JMESPath `EXPRESSION`")
	o.flags.StringVar(&o.color, "color", "auto", "`WHEN` a table is coloured: auto, on or off")
	o.flags.StringVar(&o.input, "cli-input-json", "", "take parameters from this `JSON`, mostly file://FILE; flags win")
	o.flags.StringVar(&o.skel, "generate-cli-skeleton", "", "print an `input` for --cli-input-json and call nothing")
	o.flags.BoolVar(&o.single, "no-paginate", false, "make one call only and print what it answers")
	o.flags.Lookup("generate-cli-skeleton").NoOptDefVal = "input"
	o.flags.VisitAll(func(f *pflag.Flag) { f.Annotations = map[string][]string{Shared: {"true"}} })
	return o
}

// Add adds the shared flags to a command.
func (o *Output) Add(cmd *cobra.Command) {
	cmd.Flags().AddFlagSet(o.flags)
	// These fail only for flags that do not exist.
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(awsform.Formats, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("color", cobra.FixedCompletions([]string{"auto", "on", "off"}, cobra.ShellCompDirectiveNoFileComp))
}

// command is one command that is being run.
type command struct {
	*Operation
	env    *Env
	output *Output
	// given are what the flags of the input's members were given, by member.
	given map[string]*words
	paging
}

// NewCommand makes the command of an operation.
func (o *Operation) NewCommand(env *Env, output *Output) *cobra.Command {
	c := &command{Operation: o, env: env, output: output, given: map[string]*words{}}
	cmd := &cobra.Command{
		Use: o.Command(), Aliases: o.Aliases, Short: o.Short, Args: c.arguments,
		Example: "  gust sfn " + o.Example,
		RunE:    func(cmd *cobra.Command, args []string) error { return c.run(cmd, args) },
	}
	var required []string
	for _, m := range members(o.in) {
		f, _ := o.in.FieldByName(m.field())
		c.flag(cmd, m, f.Type)
		if m.required {
			name, _ := pflag.UnquoteUsage(cmd.Flags().Lookup(m.flag(o.in)))
			required = append(required, "--"+m.flag(o.in)+" "+name)
		}
	}
	if len(required) > 0 {
		cmd.Use += " " + strings.Join(required, " ")
	}
	if o.Items != "" {
		flags := cmd.Flags()
		flags.IntVar(&c.maxItems, "max-items", 0, "print at most `N` items and a NextToken to go on with")
		flags.IntVar(&c.pageSize, "page-size", 0, "fetch `N` items with each call; what is printed stays the same")
		flags.StringVar(&c.start, "starting-token", "", "go on from the NextToken, a `TOKEN`, of an earlier listing")
		for _, name := range []string{"next-token", "max-results"} {
			_ = flags.MarkHidden(name) // it fails only for a flag that does not exist
		}
	}
	output.Add(cmd)
	return cmd
}

// words are what a flag was given. Flags of lists may be given several.
type words struct {
	list   []string
	set    bool
	many   bool
	number bool
}

func (w *words) String() string { return "" }

// Type is what pflag shows for a flag without a name for its value.
func (w *words) Type() string {
	if w.number {
		return "number"
	}
	return "string"
}

// Set takes a word.
func (w *words) Set(text string) error {
	if !w.many || !w.set {
		w.list = nil
	}
	w.list, w.set = append(w.list, text), true
	return nil
}

// negation is the --no- flag of a boolean.
type negation struct{ of *words }

func (n *negation) String() string { return "" }
func (n *negation) Type() string   { return "bool" }

// Set takes true or false.
func (n *negation) Set(text string) error {
	if text == "true" {
		return n.of.Set("false")
	}
	return n.of.Set("true")
}

// flag adds the flag of a member of the input.
func (c *command) flag(cmd *cobra.Command, m member, t reflect.Type) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name := m.flag(c.in)
	w := &words{many: t.Kind() == reflect.Slice, number: t.Kind() != reflect.String}
	c.given[m.name] = w
	text := usage(c.Command(), name)
	if m.required {
		text += " (required)"
	}
	f := cmd.Flags().VarPF(w, name, "", text)
	if t.Kind() == reflect.Bool {
		f.NoOptDefVal = "true"
		no := cmd.Flags().VarPF(&negation{w}, "no-"+name, "", "the opposite of --"+name)
		no.NoOptDefVal = "true"
	}
	if values := enumeration(t); len(values) > 0 {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

// enumeration lists the values of a type of the SDK that has some.
func enumeration(t reflect.Type) []string {
	if t.Kind() != reflect.String {
		return nil
	}
	method, ok := t.MethodByName("Values")
	if !ok {
		return nil
	}
	var values []string
	list := method.Func.Call([]reflect.Value{reflect.Zero(t)})[0]
	for i := range list.Len() {
		values = append(values, list.Index(i).String())
	}
	return values
}

// list is the member that takes several words, or "".
func (c *command) list() string {
	for _, m := range members(c.in) {
		if c.given[m.name].many {
			return m.name
		}
	}
	return ""
}

// arguments accepts what follows the flag of a list, and one argument that stands for the command's subject.
func (c *command) arguments(cmd *cobra.Command, args []string) error {
	if list := c.list(); list != "" && c.given[list].set || len(args) == 0 {
		return nil
	}
	extra := args[0]
	if c.Subject != "" && !cmd.Flags().Changed(c.Subject) {
		if len(args) == 1 {
			return nil
		}
		extra = args[1]
	}
	text := fmt.Sprintf("sfn %s: unexpected argument %q", c.Command(), extra)
	if near := c.nearest(cmd, "--"+extra); near != "" {
		text += fmt.Sprintf("; did you mean %q?", near)
	}
	return &usageError{text + "\nusage: " + cmd.UseLine()}
}

func (c *command) nearest(cmd *cobra.Command, name string) string {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	return param.Nearest(name, names)
}

type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// ExitCode is that of wrong usage.
func (*usageError) ExitCode() int { return codeUsage }

func (c *command) run(cmd *cobra.Command, args []string) error {
	show, err := c.output.printer(c.env, c.Name())
	if err != nil {
		return err
	}
	if c.output.skel != "" {
		return c.printSkeleton()
	}
	in, err := c.input(args)
	if err != nil {
		return err
	}
	if err := c.missing(cmd, in.Elem()); err != nil {
		return err
	}
	client, release, err := c.env.Client(cmd, c.Patience)
	if err != nil {
		return err
	}
	defer release()
	if c.Items != "" && c.paginated(in.Elem()) {
		return c.printPages(cmd.Context(), client, in.Interface(), show)
	}
	answer, err := c.Invoke(cmd.Context(), client, in.Interface())
	if err != nil {
		return err
	}
	return show(answer)
}

// input makes the operation's input of --cli-input-json, the flags and the arguments.
func (c *command) input(args []string) (reflect.Value, error) {
	in := reflect.New(c.in)
	if c.output.input != "" {
		text, err := content(c.env.In, c.output.input, "--cli-input-json", true)
		if err != nil {
			return in, err
		}
		v, err := jsonvalue.Parse(text)
		if err != nil {
			return in, wrongParameter("--cli-input-json", "%v", err)
		}
		if err := set(in.Elem(), v, "--cli-input-json"); err != nil {
			return in, err
		}
	}
	for _, m := range members(c.in) {
		flag := "--" + m.flag(c.in)
		w := c.given[m.name]
		texts := slices.Clone(w.list)
		switch {
		case w.set && w.many:
			texts = append(texts, args...)
		case !w.set && m.flag(c.in) == c.Subject && len(args) == 1:
			texts = args
		case !w.set:
			continue
		}
		for i := range texts {
			var err error
			if texts[i], err = content(c.env.In, texts[i], flag, !w.many); err != nil {
				return in, err
			}
		}
		if err := assign(in.Elem().FieldByName(m.field()), texts, flag); err != nil {
			return in, err
		}
	}
	return in, nil
}

// content is the text that a value stands for: that of a file after file://, standard input for - where that may be meant.
func content(in io.Reader, text, place string, whole bool) (string, error) {
	if text == "-" && whole {
		raw, err := io.ReadAll(in)
		if err != nil {
			return "", fmt.Errorf("%s: standard input: %w", place, err)
		}
		return string(raw), nil
	}
	for _, prefix := range []string{"file://", "fileb://"} {
		path, ok := strings.CutPrefix(text, prefix)
		if !ok {
			continue
		}
		if rest, home := strings.CutPrefix(path, "~/"); home {
			path = os.Getenv("HOME") + "/" + rest
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return "", wrongParameter(place, "%s cannot be read: %v", text, err)
		}
		return string(raw), nil
	}
	return text, nil
}

// missing names the required flags that were not given. A flag that is nearly right is known as unknown before.
func (c *command) missing(cmd *cobra.Command, in reflect.Value) error {
	var lacking []string
	for _, m := range members(c.in) {
		if field := in.FieldByName(m.field()); m.required && field.IsZero() && !c.given[m.name].set {
			name, _ := pflag.UnquoteUsage(cmd.Flags().Lookup(m.flag(c.in)))
			lacking = append(lacking, "--"+m.flag(c.in)+" "+name)
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	return &usageError{fmt.Sprintf("sfn %s: missing %s\nusage: %s\nfor example:\n%s", c.Command(), strings.Join(lacking, " and "),
		cmd.UseLine(), cmd.Example)}
}

// paginated reports whether pages are to be gathered: not when the service's own paging is used.
func (c *command) paginated(in reflect.Value) bool {
	return !c.output.single && in.FieldByName("NextToken").IsZero() && in.FieldByName("MaxResults").IsZero()
}

// printPages prints a listing: as a whole, or, as text, page by page while they come in.
func (c *command) printPages(ctx context.Context, client *sfn.Client, in any, show func(jsonvalue.Value) error) error {
	object := func(key string, v jsonvalue.Value) jsonvalue.Value {
		return jsonvalue.NewObjectBuilder(2).Set(key, v).Value()
	}
	var all []jsonvalue.Value
	next := ""
	for page, err := range c.pages(ctx, client, in, c.paging) {
		if err != nil {
			return err
		}
		next = page.next
		if c.output.form() != "text" {
			all = append(all, page.items...)
			continue
		}
		if err := show(object(c.Items, jsonvalue.NewArray(page.items))); err != nil {
			return err
		}
	}
	token := jsonvalue.NewString(next)
	if c.output.form() != "text" {
		whole := object(c.Items, jsonvalue.NewArray(all))
		if next != "" {
			whole = whole.With("NextToken", token)
		}
		return show(whole)
	}
	if next == "" {
		return nil
	}
	return show(object("NextToken", object("NextToken", token)))
}

func (o *Output) form() string {
	if o.format != "" {
		return o.format
	}
	if form := os.Getenv("AWS_DEFAULT_OUTPUT"); form != "" {
		return form
	}
	return awsform.Formats[0]
}

// printer checks the flags about output and returns what prints an answer.
func (o *Output) printer(env *Env, title string) (func(jsonvalue.Value) error, error) {
	p := awsform.Printer{Format: o.form(), Title: title, Colour: env.Colour, Width: env.Width()}
	if !slices.Contains(awsform.Formats, p.Format) {
		text := fmt.Sprintf("--output is %q; expected one of %s", p.Format, strings.Join(awsform.Formats, ", "))
		return nil, &usageError{text}
	}
	switch o.color {
	case "on", "off":
		p.Colour = o.color == "on"
	case "auto":
	default:
		return nil, &usageError{fmt.Sprintf("--color is %q; expected one of auto, on, off", o.color)}
	}
	var query *awsform.Query
	if o.query != "" {
		var err error
		if query, err = awsform.CompileQuery(o.query); err != nil {
			return nil, &usageError{err.Error()}
		}
	}
	return func(v jsonvalue.Value) error {
		if query != nil {
			var err error
			if v, err = query.Search(v); err != nil {
				return err
			}
		}
		return p.Print(env.Out, v)
	}, nil
}
