package interp_test

import (
	"fmt"
	"testing"

	"gust/stepfunctions/interp"
)

// TestChoiceOperators evaluates every operator against values of its own and of other types.
func TestChoiceOperators(t *testing.T) {
	t.Parallel()
	const day1, day2 = `"2024-01-01T00:00:00Z"`, `"2024-01-02T00:00:00+00:00"`
	for _, c := range []struct {
		op, operand, value string
		want               bool
	}{
		{"IsNull", "true", "null", true}, {"IsNull", "false", "null", false}, {"IsNull", "false", "0", true},
		{"IsPresent", "true", "null", true}, {"IsPresent", "false", "1", false},
		{"IsNumeric", "true", "1.5", true}, {"IsNumeric", "true", `"1"`, false}, {"IsNumeric", "false", `"1"`, true},
		{"IsString", "true", `""`, true}, {"IsString", "true", "1", false},
		{"IsBoolean", "true", "false", true}, {"IsBoolean", "true", `"true"`, false},
		{"IsTimestamp", "true", day1, true}, {"IsTimestamp", "true", `"2024-01-01"`, false},
		{"IsTimestamp", "true", `"2024-01-01t00:00:00z"`, false}, {"IsTimestamp", "false", "1", true},
		{"BooleanEquals", "true", "true", true}, {"BooleanEquals", "true", "false", false},
		{"BooleanEquals", "true", `"true"`, false}, {"BooleanEqualsPath", "true", "true", true},
		{"StringEquals", `"a"`, `"a"`, true}, {"StringEquals", `"a"`, `"A"`, false}, {"StringEquals", `"1"`, "1", false},
		{"StringEqualsPath", `"a"`, `"a"`, true}, {"StringEqualsPath", "1", `"1"`, false},
		{"StringLessThan", `"b"`, `"a"`, true}, {"StringLessThan", `"a"`, `"a"`, false},
		{"StringLessThan", `"b"`, `"B"`, true}, {"StringLessThanPath", `"b"`, `"ab"`, true},
		// Java orders by UTF-16 units: a surrogate comes before U+FFFD.
		{"StringLessThan", `"\ufffd"`, `"😀"`, true},
		{"StringLessThanEquals", `"a"`, `"a"`, true}, {"StringLessThanEquals", `"a"`, `"b"`, false},
		{"StringGreaterThan", `"a"`, `"ab"`, true}, {"StringGreaterThan", `"ab"`, `"a"`, false},
		{"StringGreaterThanEquals", `"a"`, `"a"`, true}, {"StringGreaterThanEqualsPath", `"b"`, `"a"`, false},
		{"StringMatches", `"log-*.txt"`, `"log-1.txt"`, true}, {"StringMatches", `"*.log"`, `"a.log.log"`, true},
		{"StringMatches", `"foo*.log"`, `"foo.log"`, true}, {"StringMatches", `"foo*.log"`, `"fo.log"`, false},
		{"StringMatches", `"a\\*b"`, `"a*b"`, true}, {"StringMatches", `"a\\*b"`, `"axb"`, false},
		{"StringMatches", `"a\\\\b"`, `"a\\b"`, true}, {"StringMatches", `"*"`, `""`, true}, {"StringMatches", `""`, `"a"`, false},
		{"StringMatches", `"a*b*c"`, `"axxbyyc"`, true}, {"StringMatches", `"a*b*c"`, `"acb"`, false},
		{"StringMatches", `"*"`, "1", false},
		{"NumericEquals", "1", "1.0", true}, {"NumericEquals", "1", "2", false}, {"NumericEquals", "1", `"1"`, false},
		{"NumericEquals", "12345678901234567890", "12345678901234567891", false},
		{"NumericEqualsPath", "1e2", "100", true},
		{"NumericLessThan", "2", "1", true}, {"NumericLessThan", "1", "1", false}, {"NumericLessThanPath", "2", "1", true},
		{"NumericLessThanEquals", "1", "1", true}, {"NumericGreaterThan", "1", "1.5", true}, {"NumericGreaterThan", "1", "null", false},
		{"NumericGreaterThanEquals", "2", "1.999", false}, {"NumericGreaterThanEqualsPath", "-1", "-1", true},
		{"TimestampEquals", day1, `"2023-12-31T23:00:00-01:00"`, true}, {"TimestampEquals", day1, day2, false},
		{"TimestampEquals", day1, `"yesterday"`, false}, {"TimestampEquals", day1, "1", false},
		{"TimestampEqualsPath", day1, day1, true}, {"TimestampEqualsPath", `"x"`, `"x"`, false},
		{"TimestampLessThan", day2, day1, true}, {"TimestampLessThanPath", day1, day1, false},
		{"TimestampGreaterThan", day1, day2, true}, {"TimestampLessThanEquals", day1, day1, true},
		{"TimestampGreaterThanEquals", day2, day1, false}, {"TimestampGreaterThanEqualsPath", day1, day2, true},
	} {
		operand := c.operand
		if len(c.op) > 4 && c.op[len(c.op)-4:] == "Path" {
			operand = `"$.operand"`
		}
		definition := fmt.Sprintf(`{"StartAt":"C","States":{
			"C":{"Type":"Choice","Choices":[{"Variable":"$.value","%s":%s,"Next":"Yes"}],"Default":"No"},
			"Yes":{"Type":"Succeed"},"No":{"Type":"Fail"}}}`, c.op, operand)
		x, _ := start(t, definition, fmt.Sprintf(`{"value":%s,"operand":%s}`, c.value, c.operand))
		if got := x.Status() == interp.Succeeded; got != c.want {
			t.Errorf("%s %s with %s: %v", c.op, c.operand, c.value, got)
		}
	}
}

func TestChoiceCombinations(t *testing.T) {
	t.Parallel()
	yes, no := `{"Variable":"$.a","NumericEquals":1}`, `{"Variable":"$.a","NumericEquals":2}`
	broken := `{"Variable":"$.missing","NumericEquals":2}`
	for _, c := range []struct {
		rule string
		want interp.Status
	}{
		{`"And":[` + yes + `,` + yes + `]`, interp.Succeeded}, {`"And":[` + yes + `,` + no + `]`, interp.Failed},
		{`"Or":[` + no + `,` + yes + `]`, interp.Succeeded}, {`"Or":[` + no + `]`, interp.Failed},
		{`"Not":` + no, interp.Succeeded}, {`"Not":{"And":[` + yes + `,{"Or":[` + no + `,` + yes + `]}]}`, interp.Failed},
		// What need not be looked at does no harm.
		{`"And":[{"Variable":"$.missing","IsPresent":true},` + broken + `]`, interp.Failed},
		{`"Or":[` + yes + `,` + broken + `]`, interp.Succeeded},
		{`"Or":[{"Variable":"$.missing","IsPresent":false},` + broken + `]`, interp.Succeeded},
	} {
		x, _ := start(t, `{"StartAt":"C","States":{"C":{"Type":"Choice","Choices":[{`+c.rule+`,"Next":"Yes"}],"Default":"No"},
			"Yes":{"Type":"Succeed"},"No":{"Type":"Fail","Error":"No"}}}`, `{"a":1,"list":[1,2]}`)
		name, _ := x.Failure()
		if x.Status() != c.want || c.want == interp.Failed && show(name) != "No" {
			t.Errorf("%s: %s %s", c.rule, x.Status(), show(name))
		}
	}
}
