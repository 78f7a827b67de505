package picture_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"gust/stepfunctions/jsonata/picture"
)

// recorded is one call and what JSONata 2.2.2 under Node.js 20 answered to it.
type recorded struct {
	Call      string
	Number    float64
	Text      string
	Radix     float64
	Picture   *string
	Timezone  *string
	Options   map[string]string
	Now       int64
	Value     any
	Error     *string
	Undefined bool
}

func TestAnswersAreJSONatas(t *testing.T) {
	t.Parallel()
	file, err := os.Open("testdata/jsonata-2.2.2.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	seen := map[string]int{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var c recorded
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		seen[c.Call]++
		value, defined, err := call(c)
		switch wrong := (*picture.Error)(nil); {
		case c.Error != nil:
			if !errors.As(err, &wrong) || wrong.Code != *c.Error {
				t.Errorf("%s\n got %v, %v", lines.Text(), value, err)
			}
		case err != nil || defined == c.Undefined:
			t.Errorf("%s\n got %v, defined %v, %v", lines.Text(), value, defined, err)
		case defined && value != c.Value:
			t.Errorf("%s\n got %v", lines.Text(), value)
		}
	}
	if len(seen) != 6 {
		t.Errorf("the file covers %v", seen)
	}
}

// call answers with a string, a float64, or nil for what is no number.
func call(c recorded) (value any, defined bool, err error) {
	number := math.NaN()
	text := ""
	defined = true
	switch c.Call {
	case "formatNumber":
		text, err = picture.FormatNumber(c.Number, *c.Picture, c.Options)
	case "formatInteger":
		text, err = picture.FormatInteger(c.Number, *c.Picture)
	case "formatBase":
		text, err = picture.FormatBase(c.Number, c.Radix)
	case "fromMillis":
		text, err = picture.FormatDateTime(c.Number, c.Picture, c.Timezone)
	case "parseInteger":
		number, err = picture.ParseInteger(c.Text, *c.Picture)
	case "toMillis":
		number, defined, err = picture.ParseDateTime(c.Text, c.Picture, time.UnixMilli(c.Now))
	}
	if c.Call != "parseInteger" && c.Call != "toMillis" {
		return text, defined, err
	}
	if math.IsNaN(number) || math.IsInf(number, 0) {
		return nil, defined, err
	}
	return number, defined, err
}

func TestMessagesNameTheValue(t *testing.T) {
	t.Parallel()
	_, _, err := picture.ParseDateTime("yesterday", nil, time.Time{})
	want := `D3110: The argument of the toMillis function must be an ISO 8601 formatted timestamp. Given "yesterday"`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	_, err = picture.FormatInteger(1, "#")
	var wrong *picture.Error
	if !errors.As(err, &wrong) || wrong.Value != "#" || !strings.Contains(wrong.Message, `"#"`) {
		t.Errorf("got %#v", err)
	}
}

// Pictures and values that would make JavaScript run out of memory or stack are refused.
func TestGrowthIsBounded(t *testing.T) {
	t.Parallel()
	if text, err := picture.FormatInteger(1e15, "I"); err == nil {
		t.Errorf("a Roman number of %d letters", len(text))
	}
	wide := "[Y,999999999]"
	if text, err := picture.FormatDateTime(0, &wide, nil); err == nil {
		t.Errorf("a year of %d digits", len(text))
	}
	if _, err := picture.FormatNumber(1, "0."+strings.Repeat("0", 101), nil); err == nil {
		t.Error("101 decimals")
	}
	if _, err := picture.FormatNumber(math.Inf(1), "0e0", nil); err == nil {
		t.Error("the exponent of infinity")
	}
	for _, value := range []float64{math.Inf(1), math.NaN()} {
		if text, err := picture.FormatInteger(value, "w"); err == nil {
			t.Errorf("%v in words is %q", value, text)
		}
	}
}

func TestIntegersRoundTrip(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"w", "W;o", "Ww", "Ww;o", "I", "i", "A", "a", "0", "#,##0", "0;o", "٠", "#,##٠"} {
		for n := 1.0; n < 4e6; n = n*3 + 1 {
			text, err := picture.FormatInteger(n, form)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := picture.ParseInteger(text, form); err != nil || back != n {
				t.Errorf("%v as %q is %q, read back as %v, %v", n, form, text, back, err)
			}
		}
	}
}

func FuzzPictures(f *testing.F) {
	for _, seed := range []string{"#,##0.00;(0)", "0e0%", "[Y0001]-[M01]-[D01]", "[MNn,*-3] [D1o] [h]:[m] [PN] [z]", "Ww;o", "#.##٠", "[[]]", "[Y,4-", "\xff[Y"} {
		f.Add(seed, "2017-11-07", 1234.5)
	}
	f.Fuzz(func(t *testing.T, form, text string, value float64) {
		if out, err := picture.FormatNumber(value, form, nil); err == nil && len(out) > 1<<20 {
			t.Errorf("%q gave %d bytes", form, len(out))
		}
		_, _ = picture.FormatNumber(value, "0", map[string]string{"decimal-separator": form, "zero-digit": text})
		_, _ = picture.FormatInteger(value, form)
		_, _ = picture.ParseInteger(text, form)
		_, _ = picture.FormatDateTime(value, &form, &text)
		_, _, _ = picture.ParseDateTime(text, &form, time.UnixMilli(0))
		_, _, _ = picture.ParseDateTime(text, nil, time.UnixMilli(0))
		_, _ = picture.FormatBase(value, value)
	})
}
