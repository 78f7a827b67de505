package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write config.yaml, docs/SETTINGS.md and the error texts under testdata anew")

// load reads a configuration text in a folder of its own.
func load(t testing.TB, text string, environ ...string) (*Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), FileName)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(path, environ)
}

func mustLoad(t testing.TB, text string, environ ...string) *Config {
	t.Helper()
	c, err := load(t, text, environ...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestFilesOfTheRepository holds config.yaml and docs/SETTINGS.md equal to the declaration.
func TestFilesOfTheRepository(t *testing.T) {
	t.Parallel()
	sample, err := Sample()
	if err != nil {
		t.Fatal(err)
	}
	page, err := Reference()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"../../config.yaml": string(sample), "../../docs/SETTINGS.md": page} {
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(file)); diff != "" {
			t.Errorf("%s is not as declared; run go test ./internal/config -update (-want +got):\n%s", path, diff)
		}
	}
}

// TestSampleSaysTheDefaults: reading the sample gives what no file gives.
func TestSampleSaysTheDefaults(t *testing.T) {
	t.Parallel()
	sample, err := Sample()
	if err != nil {
		t.Fatal(err)
	}
	full, empty := mustLoad(t, string(sample), "GUST_HOME=/h"), mustLoad(t, "", "GUST_HOME=/h")
	for i, e := range full.Entries() {
		want := empty.Entries()[i]
		if e.Source != SourceFile || want.Source != SourceDefault {
			t.Errorf("%s.%s comes from %s and %s, want file and default", e.Section, e.Key, e.Source, want.Source)
		}
		if strings.Replace(e.Value, full.Dir(), empty.Dir(), 1) != want.Value {
			t.Errorf("%s.%s is %q in the sample, %q without", e.Section, e.Key, e.Value, want.Value)
		}
	}
	for _, line := range strings.Split(string(sample), "\n") {
		if len(line) > 120 {
			t.Errorf("line of %d columns: %s", len(line), line)
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, "")
	if c.Core.Parallelism != 32 || c.Core.DefaultTaskRetryDelay != 5*time.Minute ||
		c.Core.DefaultTaskExecutionTimeout != 0 || c.Core.DefaultTimezone != "UTC" ||
		c.Core.DagsArePausedAtCreation || c.Sensors.DefaultTimeout != 7*24*time.Hour ||
		c.Operators.DefaultDeferrable != nil || c.StepFunctions.WaitTimeScale != 1 || len(c.StepFunctions.Handlers) != 0 ||
		!c.StepFunctions.Enabled || c.Core.DefaultPoolTaskSlotCount != 128 {
		t.Errorf("defaults: %+v", c)
	}
}

// nested is a file with a line in a section.
func nested(section, line string) string {
	parent, inner, deeper := strings.Cut(section, ".")
	if deeper {
		line = strings.ReplaceAll(nested(inner, line), "\n  ", "\n    ")
	}
	return parent + ":\n  " + line
}

// TestEverySettingCanBeSet sets every declared setting in a file and by variable, and sees it in the struct.
func TestEverySettingCanBeSet(t *testing.T) {
	t.Parallel()
	sections, err := schema()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sections {
		for _, one := range s.settings {
			t.Run(one.name(), func(t *testing.T) {
				t.Parallel()
				text := map[reflect.Type]string{
					reflect.TypeFor[string](): "/other/value", reflect.TypeFor[int](): "77", reflect.TypeFor[float64](): "0.5",
					reflect.TypeFor[time.Duration](): "77m", reflect.TypeFor[*bool](): "true",
					reflect.TypeFor[bool](): map[string]string{"true": "false", "false": "true"}[one.standard],
					reflect.TypeFor[Map]():  `{Name: "https://host/a"}`,
				}[one.typ]
				switch {
				case len(one.enum) > 0:
					text = one.enum[0]
				case one.kind == "timezone":
					text = "Europe/Berlin"
				case one.kind == "pattern":
					text = "^x$"
				case one.kind == "host":
					text = "::1"
				}
				literal := text
				if one.kind == "host" {
					literal = `"::1"`
				}
				file := nested(s.name, one.key+": "+literal+"\n")
				byFile := mustLoad(t, file)
				byVariable := mustLoad(t, "", one.variable()+"="+text)
				both := mustLoad(t, file, one.variable()+"="+one.standard)
				if one.standard == "null" {
					both = mustLoad(t, "")
				}
				value := func(c *Config) any {
					return reflect.ValueOf(c).Elem().Field(one.index[0]).Field(one.index[1]).Interface()
				}
				if diff := cmp.Diff(value(byFile), value(byVariable)); diff != "" {
					t.Errorf("file and variable differ:\n%s", diff)
				}
				if cmp.Equal(value(byFile), value(both)) {
					t.Errorf("the variable does not win over the file: %v", value(both))
				}
				e, err := byVariable.Entry(one.section, one.key)
				if err != nil || e.Source != SourceEnv || e.Origin != one.variable() {
					t.Errorf("entry %+v, %v", e, err)
				}
				e, err = byFile.Entry(one.section, one.key)
				if err != nil || e.Source != SourceFile || !strings.HasSuffix(e.Origin, fmt.Sprintf("%s:%d", FileName, strings.Count(file, "\n"))) {
					t.Errorf("entry %+v, %v", e, err)
				}
			})
		}
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "gust.yaml")
	text := "core:\n  dags_folder: ~/pipelines\nlogging:\n  base_log_folder: /var/log/gust\n" +
		"secrets:\n  connections_file_path: conns.json\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load("", []string{"GUST_CONFIG=" + path, "HOME=/home/ada"})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ got, want string }{
		"file":                  {c.File(), path},
		"folder":                {c.Dir(), dir},
		"home":                  {c.Home(), filepath.Join(dir, ".gust")},
		"in the home directory": {c.Core.DagsFolder, "/home/ada/pipelines"},
		"absolute":              {c.Logging.BaseLogFolder, "/var/log/gust"},
		"in the home folder":    {c.Database.Path, filepath.Join(dir, ".gust", "gust.db")},
		"beside the file":       {c.Secrets.ConnectionsFile, filepath.Join(dir, "conns.json")},
	} {
		if test.got != test.want {
			t.Errorf("%s: %q, want %q", name, test.got, test.want)
		}
	}
	c, err = Load(path, []string{"GUST_CONFIG=/nowhere", "GUST_HOME=~/state", "HOME=/home/ada"})
	if err != nil || c.Home() != "/home/ada/state" || c.StepFunctions.Database != "/home/ada/state/stepfunctions.db" {
		t.Errorf("GUST_HOME: %v, %v", c, err)
	}
	for by, call := range map[string]func() (*Config, error){
		"--config": func() (*Config, error) { return Load(filepath.Join(dir, "none.yaml"), nil) },
		"GUST_CONFIG": func() (*Config, error) {
			return Load("", []string{"GUST_CONFIG=" + filepath.Join(dir, "none.yaml")})
		},
	} {
		if _, err := call(); err == nil || !strings.Contains(err.Error(), by) || !strings.Contains(err.Error(), "none.yaml") {
			t.Errorf("a missing file named by %s: %v", by, err)
		}
	}
	if _, err := Load(dir, nil); err == nil {
		t.Error("a folder was read as configuration")
	}
}

// TestWithoutAFile is not parallel: it changes the working directory.
func TestWithoutAFile(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	c, err := Load("", []string{"GUST__CORE__PARALLELISM=4"})
	if err != nil {
		t.Fatal(err)
	}
	if c.File() != "" || c.Dir() != dir || c.Home() != filepath.Join(dir, ".gust") || c.Core.Parallelism != 4 ||
		c.Core.DagsFolder != filepath.Join(dir, "examples") {
		t.Errorf("without a file: %+v", c)
	}
	if err := os.WriteFile(FileName, []byte("core: {parallelism: 2}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err = Load("", nil); err != nil || c.Core.Parallelism != 2 || c.File() != filepath.Join(dir, FileName) {
		t.Errorf("with a file in the working directory: %+v, %v", c, err)
	}
	if err := os.WriteFile(FileName, []byte("core: {paralelism: 2}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = Load("", nil); err == nil || !strings.HasPrefix(err.Error(), "config.yaml:1:8: core.paralelism: ") {
		t.Errorf("the file is named as the user knows it: %v", err)
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]*Config{
		"file":     mustLoad(t, "core:\n  fernet_key: topsecret\n"),
		"variable": mustLoad(t, "", "GUST__CORE__FERNET_KEY=topsecret"),
		"alias":    mustLoad(t, "core:\n  fernet_key: other\n", "GUST_FERNET_KEY=topsecret"),
		"both":     mustLoad(t, "", "GUST_FERNET_KEY=other", "GUST__CORE__FERNET_KEY=topsecret"),
	} {
		e, err := c.Entry("core", "fernet_key")
		if err != nil {
			t.Fatal(err)
		}
		if e.Value != "***" || e.Reveal() != "topsecret" || !e.Secret || c.Core.FernetKey != "topsecret" {
			t.Errorf("%s: entry %+v", name, e)
		}
	}
	if e, err := mustLoad(t, "").Entry("core", "fernet_key"); err != nil || e.Value != "" {
		t.Errorf("an empty secret: %+v, %v", e, err)
	}
	_, err := load(t, "core:\n  fernet_key: [topsecret]\n")
	if err == nil || strings.Contains(err.Error(), "topsecret") {
		t.Errorf("a secret of the wrong type: %v", err)
	}
	_, err = load(t, "core:\n  fernet_key: 4711\n")
	if err == nil || strings.Contains(err.Error(), "4711") {
		t.Errorf("a secret of the wrong type: %v", err)
	}
}

func TestHandlersKeepTheirCase(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, "stepfunctions:\n  handlers:\n    ChargeCard: ./charge.sh --fast\n"+
		"    arn:aws:lambda:us-east-1:1:function:X.y: http://127.0.0.1:9/x\n")
	want := Map{"ChargeCard": "./charge.sh --fast", "arn:aws:lambda:us-east-1:1:function:X.y": "http://127.0.0.1:9/x"}
	if diff := cmp.Diff(want, c.StepFunctions.Handlers); diff != "" {
		t.Error(diff)
	}
	e, err := c.Entry("stepfunctions", "handlers")
	if err != nil {
		t.Fatal(err)
	}
	again := mustLoad(t, "", e.Variable+"="+e.Value)
	if diff := cmp.Diff(want, again.StepFunctions.Handlers); diff != "" {
		t.Errorf("the printed value %q reads as something else:\n%s", e.Value, diff)
	}
}

func TestUnknownEntry(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, "")
	for name, want := range map[[2]string]string{
		{"core", "paralelism"}:      `unknown setting "paralelism"; did you mean "parallelism"?`,
		{"cor", "parallelism"}:      `unknown section "cor"; did you mean "core"?`,
		{"sensors", "zzz"}:          `unknown setting "zzz"; there are default_timeout`,
		{"completely", "different"}: `unknown section "completely"; there are core, database,`,
	} {
		if _, err := c.Entry(name[0], name[1]); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v: %v, want %s", name, err, want)
		}
	}
}

// TestBadFiles compares the exact error texts with testdata/bad/*.txt. A first line "# env: A=b C=d" sets variables.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d case files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var environ []string
			if line, _, _ := strings.Cut(string(text), "\n"); strings.HasPrefix(line, "# env: ") {
				environ = strings.Fields(strings.TrimPrefix(line, "# env: "))
			}
			_, err = Load(file, environ)
			var problems LoadErrors
			if !errors.As(err, &problems) {
				t.Fatalf("error %v, want problems", err)
			}
			got := strings.ReplaceAll(err.Error(), "testdata/bad/", "") + "\n"
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReferenceNamesEverySetting(t *testing.T) {
	t.Parallel()
	page, err := Reference()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range mustLoad(t, "").Entries() {
		if !strings.Contains(page, "| `"+e.Key+"` |") || !strings.Contains(page, "## "+e.Section+"\n") {
			t.Errorf("the reference lacks %s.%s", e.Section, e.Key)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("core:\n  parallelism: 3\n", "CORE__PARALLELISM", "7")
	f.Add("core: &a {dags_folder: x}\nsensors: *a\n", "STEPFUNCTIONS__HANDLERS", "{a: b}")
	f.Add("stepfunctions:\n  handlers: {a: b, <<: c}\n", "OPERATORS__DEFAULT_DEFERRABLE", "null")
	f.Add("stepfunctions: {events: {queue_url: x}}\n", "STEPFUNCTIONS__EVENTS__QUEUE_URL", "y")
	f.Add("- a\n", "X", "")
	f.Add("--- 1\n--- 2\n", "CORE__DEFAULT_TIMEZONE", "Local")
	f.Add("\"\\xff\"", "SCHEDULER__ALLOWED_RUN_ID_PATTERN", "(")
	f.Fuzz(func(t *testing.T, text, variable, value string) {
		c, err := load(t, text, "GUST__"+variable+"="+value)
		if err != nil {
			var problems LoadErrors
			if !errors.As(err, &problems) || err.Error() == "" {
				t.Fatalf("error %v is not a list of problems", err)
			}
			return
		}
		if c.Core.Parallelism < 1 || c.Core.DefaultTimezone == "" || len(c.Entries()) == 0 {
			t.Fatalf("an unusable configuration: %+v", c)
		}
	})
}
