package stepfunctions_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gust/stepfunctions/jsonvalue"
)

// replayAccount is the account in the calls of the recordings.
const replayAccount = "000000000000"

var (
	isoTime  = regexp.MustCompile(`\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)`)
	roleName = regexp.MustCompile(`arn:<partition>:iam::\d+:role/test-sfn-role-[0-9a-f]+`)
)

// normalise applies the replacements that the recordings went through and that do not depend on what AWS answered: texts
// that hold objects become objects, one level deep, and account, region and partition become placeholders.
func (p *replayer) normalise(v jsonvalue.Value) jsonvalue.Value {
	text := expand(v).String()
	text = strings.NewReplacer(replayAccount, "111111111111", "us-east-1", "<region>", "arn:aws:", "arn:<partition>:").Replace(text)
	out, err := jsonvalue.Parse(text)
	if err != nil {
		return v
	}
	return out
}

// expand replaces every string that holds a JSON object by that object, one level deep.
func expand(v jsonvalue.Value) jsonvalue.Value {
	switch v.Kind() {
	case jsonvalue.String:
		if strings.HasPrefix(v.Text(), "{") {
			if inner, err := jsonvalue.Parse(v.Text()); err == nil {
				return inner
			}
		}
	case jsonvalue.Array:
		items := make([]jsonvalue.Value, v.Len())
		for i, item := range v.Items() {
			items[i] = expand(item)
		}
		return jsonvalue.NewArray(items)
	case jsonvalue.Object:
		b := jsonvalue.NewObjectBuilder(v.Len())
		for i, item := range v.Items() {
			b.Set(v.Key(i), expand(item))
		}
		return b.Value()
	default:
	}
	return v
}

// compare matches everything recorded with what the service answered.
func (p *replayer) compare(r *recording) string {
	m := &matcher{bound: map[string]string{}, names: p.names}
	history := 0
	for i, want := range r.Recorded.Items() {
		key := r.Recorded.Key(i)
		_, isHistory := want.Get("events")
		var problem string
		switch {
		case key == "cases":
			problem = p.compareCases(m, want)
		case isHistory && history == len(p.histories):
			problem = key + ": no execution left"
		case isHistory:
			problem = m.differ(key, sortBranches(want), sortBranches(p.histories[history]))
			history++
		default:
			problem = p.compareAnswer(m, key, want)
		}
		if problem != "" {
			return problem
		}
	}
	return ""
}

// compareCases compares the outputs of many executions.
func (p *replayer) compareCases(m *matcher, want jsonvalue.Value) string {
	if want.Len() != len(p.histories) {
		return fmt.Sprintf("cases: want %d executions, got %d", want.Len(), len(p.histories))
	}
	for i, c := range want.Items() {
		events, _ := p.histories[i].Get("events")
		details, _ := events.At(events.Len() - 1).Get("executionSucceededEventDetails")
		got, _ := details.Get("output")
		output, _ := c.Get("output")
		if d := m.differ(fmt.Sprintf("cases/%d", i), output, got); d != "" {
			return d
		}
	}
	return ""
}

// compareAnswer looks for an answer that is as recorded and has not been used. Not every answer was recorded.
func (p *replayer) compareAnswer(m *matcher, key string, want jsonvalue.Value) string {
	problem := key + ": no answer left"
	for i := range p.answers {
		answer := &p.answers[i]
		if answer.used {
			continue
		}
		trial := &matcher{bound: map[string]string{}, names: m.names}
		for k, v := range m.bound {
			trial.bound[k] = v
		}
		d := trial.matchAnswer(key, want, answer.value)
		if d == "" {
			answer.used, m.bound = true, trial.bound
			return ""
		}
		// The longest path got furthest.
		if strings.Count(d[:strings.IndexByte(d, ':')], "/") >= strings.Count(problem[:strings.IndexByte(problem, ':')], "/") {
			problem = d + " (" + answer.operation + ")"
		}
	}
	return problem
}

var exceptionText = regexp.MustCompile(`(?s)^An error occurred \((\w+)\) when calling the \w+ operation: (.*)$`)

// matchAnswer compares an answer with one of the forms in which answers were recorded.
func (m *matcher) matchAnswer(key string, want, got jsonvalue.Value) string {
	failed := func(code, message string) string {
		return m.differ(key, jsonvalue.NewObjectBuilder(2).Set("code", jsonvalue.NewString(code)).
			Set("message", jsonvalue.NewString(message)).Value(), got)
	}
	if e, ok := want.Get("Error"); ok {
		code, _ := e.Get("Code")
		message, _ := e.Get("Message")
		return failed(code.Text(), message.Text())
	}
	text := want
	if v, ok := want.Get("exception_value"); ok {
		text = v
	}
	if match := exceptionText.FindStringSubmatch(text.Text()); match != nil {
		return failed(match[1], match[2])
	}
	if text.Kind() == jsonvalue.String && strings.HasPrefix(text.Text(), "Parameter validation failed") {
		return "" // refused by the recording client itself
	}
	if want.Kind() == jsonvalue.Array {
		// A list was recorded without what is around it, and without the machines of others.
		for i := range got.Len() {
			if got.At(i).Kind() == jsonvalue.Array {
				return m.differ(key, want, got.At(i))
			}
		}
	}
	return m.differ(key, want, got)
}

// sortBranches makes the events of parallel branches comparable, as the recordings did.
func sortBranches(v jsonvalue.Value) jsonvalue.Value {
	events, ok := v.Get("events")
	if !ok {
		return v
	}
	var out, branch []jsonvalue.Value
	inside, parallel := false, false
	for _, e := range events.Items() {
		typ, _ := e.Get("type")
		if typ.Text() == "ParallelStateSucceeded" {
			continue
		}
		if inside && typ.Text() == "ParallelStateExited" {
			inside = false
			slices.SortFunc(branch, func(a, b jsonvalue.Value) int { return strings.Compare(eventKey(a), eventKey(b)) })
			out = append(out, branch...)
		}
		if inside {
			branch = append(branch, e.With("id", jsonvalue.NewInt(0)).With("previousEventId", jsonvalue.NewInt(0)))
			continue
		}
		if typ.Text() == "ParallelStateStarted" {
			inside, parallel = true, true
		}
		out = append(out, e)
	}
	if !parallel {
		return v
	}
	return v.With("events", jsonvalue.NewArray(out))
}

func eventKey(e jsonvalue.Value) string {
	typ, _ := e.Get("type")
	key := typ.Text()
	for i, f := range e.Items() {
		if strings.HasSuffix(e.Key(i), "EventDetails") {
			name, _ := f.Get("name")
			key += " " + name.Text()
		}
	}
	return key
}

// matcher compares recorded values with values of the service. A placeholder of the recording stands for the same text
// wherever it appears.
type matcher struct {
	bound map[string]string
	// names are the state machines' names.
	names []string
}

// typed are the placeholders that stand for any value of a kind.
var typed = map[string]func(jsonvalue.Value) bool{
	// Any value of a field whose name tells of a timestamp, unless it is in ISO 8601.
	"timestamp": func(v jsonvalue.Value) bool { return !isISO(v) },
	"datetime":  isEpoch, "creation-date": isEpoch,
	"date":       func(v jsonvalue.Value) bool { return v.Kind() == jsonvalue.String || v.Kind() == jsonvalue.Array },
	"start-time": isISO, "entered-time": isISO,
	"start-date":            isEpoch,
	"x-amzn-RequestId":      func(jsonvalue.Value) bool { return true },
	"RequestId":             func(v jsonvalue.Value) bool { return v.Kind() == jsonvalue.String },
	"RandomNumberGenerated": func(v jsonvalue.Value) bool { return v.Kind() == jsonvalue.Number },
}

func isEpoch(v jsonvalue.Value) bool { return v.Kind() == jsonvalue.Number }

func isISO(v jsonvalue.Value) bool {
	return v.Kind() == jsonvalue.String && isoTime.MatchString(v.Text())
}

// named are the placeholders without angle brackets.
const named = `snf_role_arn_t\d|s[nf]{2}_role_arn|ss?m_nonexistent_arn|invalid_execution_arn|activity_arn|activity_name|map_run_arn|` +
	`state_machine_arn|state_machine_alias_name`

var placeholder = regexp.MustCompile(`<(?:ArnPart_\d+idx|ExecArnPart_\d+idx|ExpressExecArn_Part\d_\d+idx|SyncExecArn_Part\d_\d+idx|` +
	`MapRunArnPart\d_\d+idx|uuid:\d+|json-input:\d+|random_arn_part|request_id|omitted|[a-z_-]+:\d+)>|` + named)

// differ returns the first difference, "" when got is what was recorded.
func (m *matcher) differ(path string, want, got jsonvalue.Value) string {
	mismatch := func() string { return fmt.Sprintf("%s: want %.300s got %.300s", path, want, got) }
	if want.Kind() == jsonvalue.String {
		return m.differText(want.Text(), got, mismatch)
	}
	if want.Kind() == jsonvalue.Array && got.Kind() == jsonvalue.String {
		// Some recordings hold arrays where the service's answer holds their text.
		if inner, err := jsonvalue.Parse(got.Text()); err == nil {
			got = inner
		}
	}
	if want.Kind() != got.Kind() {
		return mismatch()
	}
	switch want.Kind() {
	case jsonvalue.Object:
		return m.differObject(path, want, got)
	case jsonvalue.Array:
		for i := range min(want.Len(), got.Len()) {
			if d := m.differ(fmt.Sprintf("%s/%d", path, i), want.At(i), got.At(i)); d != "" {
				return d
			}
		}
		if want.Len() != got.Len() {
			return fmt.Sprintf("%s: want %d items, got %d", path, want.Len(), got.Len())
		}
	case jsonvalue.Number:
		if want.IsIntLiteral() != got.IsIntLiteral() || jsonvalue.CompareNumbers(want, got) != 0 {
			return mismatch()
		}
	default:
		if !jsonvalue.Equal(want, got) {
			return mismatch()
		}
	}
	return ""
}

func (m *matcher) differObject(path string, want, got jsonvalue.Value) string {
	_, machine := want.Get("loggingConfiguration")
	for i, w := range want.Items() {
		key := want.Key(i)
		// AWS began to show the encryption of state machines in between the recordings: some have it, some do not.
		if key == "ResponseMetadata" || machine && key == "encryptionConfiguration" {
			continue
		}
		g, ok := got.Get(key)
		if !ok {
			return fmt.Sprintf("%s/%s: want %.200s, is missing", path, key, w)
		}
		if d := m.differ(path+"/"+key, w, g); d != "" {
			return d
		}
	}
	for i := range got.Len() {
		if _, ok := want.Get(got.Key(i)); !ok {
			return fmt.Sprintf("%s/%s: want nothing, got %.200s", path, got.Key(i), got.At(i))
		}
	}
	return ""
}

// differText compares a recorded text.
func (m *matcher) differText(want string, got jsonvalue.Value, mismatch func() string) string {
	if check := typed[want]; check != nil && check(got) || got.Kind() == jsonvalue.String && got.Text() == want {
		return ""
	}
	if got.Kind() != jsonvalue.String {
		return mismatch()
	}
	pattern, last := "", 0
	var holes []string
	for _, at := range placeholder.FindAllStringIndex(want, -1) {
		hole := want[at[0]:at[1]]
		pattern += regexp.QuoteMeta(want[last:at[0]]) + m.hole(hole)
		holes = append(holes, hole)
		last = at[1]
	}
	pattern += regexp.QuoteMeta(want[last:])
	// A date inside a JSON text has become "date".
	pattern = strings.NewReplacer(`"date"`, `"(?:date|`+isoTime.String()+`)"`, `\\"date\\"`, `\\"[^"]*\\"`).Replace(pattern)
	re, err := regexp.Compile("^" + pattern + "$")
	if err != nil {
		return mismatch()
	}
	found := re.FindStringSubmatch(got.Text())
	if found == nil {
		return mismatch()
	}
	for i, hole := range holes {
		if !m.bind(hole, found[i+1]) {
			return mismatch() + " (" + hole + " was " + m.bound[hole] + ")"
		}
	}
	return ""
}

// hole is the pattern of what a placeholder stands for.
func (m *matcher) hole(name string) string {
	if !strings.HasPrefix(name, "<ArnPart_") {
		return "((?s:.+?))"
	}
	names := make([]string, len(m.names))
	for i, n := range m.names {
		names[i] = regexp.QuoteMeta(n)
	}
	return "(" + strings.Join(names, "|") + ")"
}

// bind lets a placeholder stand for a text, unless it stands for another one.
func (m *matcher) bind(hole, text string) bool {
	if old, ok := m.bound[hole]; ok {
		// One name was given to the role of each machine, and to all map runs and requests.
		return old == text || strings.HasSuffix(hole, "_arn") && roleName.MatchString(text) || hole == "<request_id>" ||
			hole == "map_run_arn"
	}
	m.bound[hole] = text
	return true
}
