package awsform

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/jmespath-community/go-jmespath/pkg/functions"
	"github.com/jmespath-community/go-jmespath/pkg/interpreter"
	"github.com/jmespath-community/go-jmespath/pkg/parsing"

	"gust/stepfunctions/jsonvalue"
)

// Query is a compiled JMESPath expression. The library evaluates it on Go maps, compares only numbers and takes a hash of
// null for a hash of nulls; the AWS CLI keeps the order of keys, compares texts too (dates, above all) and leaves null
// alone. So those nodes of the expression become calls of the functions below, before anything is evaluated.
type Query struct{ root parsing.ASTNode }

// QueryError is an expression that is not JMESPath.
type QueryError struct{ Expression, Problem string }

func (e *QueryError) Error() string {
	return fmt.Sprintf("--query %s is not JMESPath: %s", e.Expression, e.Problem)
}

// Names of the functions, which no expression can spell.
const (
	callHash   = "<hash>"
	callList   = "<list>"
	callOrder  = "<order>"
	callValues = "<values>"
)

// CompileQuery parses an expression.
func CompileQuery(expression string) (*Query, error) {
	root, err := parsing.NewParser().Parse(quoteLiterals(expression))
	if err != nil {
		problem := strings.TrimPrefix(err.Error(), "SyntaxError: ")
		var syntax parsing.SyntaxError
		if errors.As(err, &syntax) {
			problem += "\n" + syntax.HighlightLocation()
		}
		return nil, &QueryError{expression, problem}
	}
	return &Query{root: rewrite(root)}, nil
}

// quoteLiterals makes JSON strings of backtick literals that are no JSON: `text` is an old spelling that the AWS CLI takes.
func quoteLiterals(expression string) string {
	var b strings.Builder
	for rest := expression; rest != ""; {
		end := 1
		if q := rest[0]; q == '`' || q == '\'' || q == '"' {
			for end < len(rest) && rest[end] != q {
				if rest[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end+1, len(rest))
		}
		part := rest[:end]
		if inner := strings.Trim(part, "`"); part[0] == '`' && len(part) > 1 && !json.Valid([]byte(inner)) {
			part = "`" + string(jsonvalue.AppendString(nil, strings.TrimLeft(inner, " "))) + "`"
		}
		b.WriteString(part)
		rest = rest[end:]
	}
	return b.String()
}

var orderings = map[parsing.TokType]string{parsing.TOKLT: "<", parsing.TOKLTE: "<=", parsing.TOKGT: ">", parsing.TOKGTE: ">="}

func rewrite(n parsing.ASTNode) parsing.ASTNode {
	children := make([]parsing.ASTNode, len(n.Children))
	for i, c := range n.Children {
		children[i] = rewrite(c)
	}
	n.Children = children
	current := parsing.ASTNode{NodeType: parsing.ASTCurrentNode}
	call := func(name string, arguments ...parsing.ASTNode) parsing.ASTNode {
		return parsing.ASTNode{NodeType: parsing.ASTFunctionExpression, Value: name, Children: arguments}
	}
	literal := func(value any) parsing.ASTNode { return parsing.ASTNode{NodeType: parsing.ASTLiteral, Value: value} }
	switch n.NodeType {
	case parsing.ASTMultiSelectHash:
		arguments := []parsing.ASTNode{current}
		for _, pair := range children {
			arguments = append(arguments, literal(pair.Value))
			arguments = append(arguments, pair.Children...)
		}
		return call(callHash, arguments...)
	case parsing.ASTMultiSelectList:
		return call(callList, append([]parsing.ASTNode{current}, children...)...)
	case parsing.ASTValueProjection:
		n.NodeType, n.Children = parsing.ASTProjection, []parsing.ASTNode{call(callValues, children[0]), children[1]}
	case parsing.ASTComparator:
		token, _ := n.Value.(parsing.TokType)
		if op, ok := orderings[token]; ok {
			return call(callOrder, literal(op), children[0], children[1])
		}
	}
	return n
}

// Search evaluates the expression.
func (q *Query) Search(v jsonvalue.Value) (jsonvalue.Value, error) {
	s := &search{order: map[uintptr][]string{}}
	data := s.toGo(v)
	found, err := interpreter.NewInterpreter(data, interpreter.NewFunctionCaller(s.functions()...), nil).Execute(q.root, data)
	if err != nil {
		return jsonvalue.Value{}, fmt.Errorf("--query: %w", err)
	}
	return s.fromGo(found), nil
}

// search is one evaluation: it knows the order of the keys of every map, by the map's address, and keeps the maps alive so
// that no address is used twice.
type search struct {
	order map[uintptr][]string
	maps  []map[string]any
}

func (s *search) remember(m map[string]any, keys []string) map[string]any {
	s.order[reflect.ValueOf(m).Pointer()] = keys
	s.maps = append(s.maps, m)
	return m
}

// keys are the keys of a map in order; a map that the library has made has none.
func (s *search) keys(m map[string]any) []string {
	if keys, ok := s.order[reflect.ValueOf(m).Pointer()]; ok {
		return keys
	}
	var object jsonvalue.Value
	raw, err := json.Marshal(m) // sorts
	if err != nil || object.UnmarshalJSON(raw) != nil {
		return nil
	}
	return keysOf(object)
}

func (s *search) toGo(v jsonvalue.Value) any {
	switch v.Kind() {
	case jsonvalue.Object:
		m := make(map[string]any, v.Len())
		for i, item := range v.Items() {
			m[v.Key(i)] = s.toGo(item)
		}
		return s.remember(m, keysOf(v))
	case jsonvalue.Array:
		items := make([]any, v.Len())
		for i, item := range v.Items() {
			items[i] = s.toGo(item)
		}
		return items
	case jsonvalue.Number:
		f, _ := v.Float()
		return f
	case jsonvalue.String:
		return v.Text()
	case jsonvalue.Bool:
		return v.Bool()
	}
	return nil
}

func (s *search) fromGo(v any) jsonvalue.Value {
	switch v := v.(type) {
	case map[string]any:
		b := jsonvalue.NewObjectBuilder(len(v))
		for _, key := range s.keys(v) {
			b.Set(key, s.fromGo(v[key]))
		}
		return b.Value()
	case float64:
		return jsonvalue.NewFloat(v)
	case string:
		return jsonvalue.NewString(v)
	case bool:
		return jsonvalue.NewBool(v)
	}
	if list := reflect.ValueOf(v); v != nil && list.Kind() == reflect.Slice { // the library makes []string and []float64 too
		items := make([]jsonvalue.Value, list.Len())
		for i := range items {
			items[i] = s.fromGo(list.Index(i).Interface())
		}
		return jsonvalue.NewArray(items)
	}
	return jsonvalue.Value{}
}

// functions are those of JMESPath, over them those that depend on the order of keys.
func (s *search) functions() []functions.FunctionEntry {
	object := []functions.ArgSpec{{Types: []functions.JpType{functions.JpObject}}}
	variadic := []functions.ArgSpec{{Types: object[0].Types, Variadic: true}}
	anything := []functions.ArgSpec{{Types: []functions.JpType{functions.JpAny}}}
	return append(functions.GetDefaultFunctions(),
		functions.FunctionEntry{Name: callHash, Handler: s.hash},
		functions.FunctionEntry{Name: callList, Handler: func(a []any) (any, error) {
			if a[0] == nil {
				return nil, nil //nolint:nilnil // null is a value of JMESPath
			}
			return a[1:], nil
		}},
		functions.FunctionEntry{Name: callOrder, Handler: order},
		functions.FunctionEntry{Name: callValues, Handler: s.values},
		functions.FunctionEntry{Name: "values", Arguments: object, Handler: s.values},
		functions.FunctionEntry{Name: "keys", Arguments: object, Handler: func(a []any) (any, error) {
			m, _ := a[0].(map[string]any)
			names := []any{}
			for _, key := range s.keys(m) {
				names = append(names, key)
			}
			return names, nil
		}},
		functions.FunctionEntry{Name: "merge", Arguments: variadic, Handler: s.merge},
		functions.FunctionEntry{Name: "to_string", Arguments: anything, Handler: func(a []any) (any, error) {
			if text, ok := a[0].(string); ok {
				return text, nil
			}
			return s.fromGo(a[0]).String(), nil
		}},
	)
}

func (s *search) hash(a []any) (any, error) {
	if a[0] == nil {
		return nil, nil //nolint:nilnil // null is a value of JMESPath
	}
	m := make(map[string]any, len(a)/2)
	keys := make([]string, 0, len(a)/2)
	for i := 1; i+1 < len(a); i += 2 {
		key, _ := a[i].(string)
		if _, twice := m[key]; !twice {
			keys = append(keys, key)
		}
		m[key] = a[i+1]
	}
	return s.remember(m, keys), nil
}

func (s *search) merge(a []any) (any, error) {
	arguments := []any{true}
	for _, one := range a {
		m, _ := one.(map[string]any)
		for _, key := range s.keys(m) {
			arguments = append(arguments, key, m[key])
		}
	}
	return s.hash(arguments)
}

func (s *search) values(a []any) (any, error) {
	m, ok := a[0].(map[string]any)
	if !ok {
		return nil, nil //nolint:nilnil // null is a value of JMESPath
	}
	values := []any{}
	for _, key := range s.keys(m) {
		values = append(values, m[key])
	}
	return values, nil
}

// order compares two numbers or two texts; anything else is null.
func order(a []any) (any, error) {
	op, _ := a[0].(string)
	if x, ok := a[1].(float64); ok {
		if y, ok := a[2].(float64); ok {
			return decide(op, x, y), nil
		}
	}
	if x, ok := a[1].(string); ok {
		if y, ok := a[2].(string); ok {
			return decide(op, x, y), nil
		}
	}
	return nil, nil //nolint:nilnil // null is a value of JMESPath
}

func decide[T float64 | string](op string, x, y T) bool {
	switch op {
	case "<":
		return x < y
	case "<=":
		return x <= y
	case ">":
		return x > y
	}
	return x >= y
}
