package template

import (
	"errors"
	"fmt"
	"strings"

	"gust/dag/template/pyvalue"
)

// varObject is the variable var, with var.value and var.json.
type varObject struct{ v *Vars }

func (o *varObject) TypeName() string    { return "var" }
func (o *varObject) AttrNames() []string { return []string{"value", "json"} }

func (o *varObject) Attr(_ *pyvalue.State, name string) (any, bool, error) {
	switch name {
	case "value", "json":
		return &variables{o.v, name == "json"}, true, nil
	}
	return nil, false, nil
}

// variables is var.value and var.json: each attribute is a Variable, get takes any key and a default.
type variables struct {
	v    *Vars
	json bool
}

func (o *variables) TypeName() string {
	if o.json {
		return "var.json"
	}
	return "var.value"
}

func (o *variables) Attr(st *pyvalue.State, name string) (any, bool, error) {
	if name == "get" {
		return pyvalue.NewFunc(name, func(st *pyvalue.State, a []any) (any, error) {
			key, err := pyvalue.Text(a[0], "the key")
			if err != nil {
				return nil, err
			}
			v, found, err := o.find(st, key)
			switch {
			case found:
				return v, err
			case a[1] != pyvalue.Unset{}:
				return a[1], nil
			}
			return nil, notDefined("Variable", key, err)
		}, req("key"), opt("default", pyvalue.Unset{})), true, nil
	}
	v, found, err := o.find(st, name)
	if found {
		return v, true, err
	}
	return pyvalue.NewUndefined(asError(notDefined("Variable", name, err))), true, nil
}

func (o *variables) Item(st *pyvalue.State, key any) (any, bool, error) {
	name, ok := key.(string)
	if !ok {
		return nil, false, nil
	}
	v, found, err := o.find(st, name)
	return v, found, err
}

// find reads a Variable. When found is false, err says what is defined.
func (o *variables) find(st *pyvalue.State, key string) (v any, found bool, err error) {
	if o.v.Variable == nil {
		return nil, true, pyvalue.Errorf("Variables are not available here")
	}
	text, found, err := o.v.Variable(st.Context(), key)
	if !found || err != nil {
		if err != nil && found {
			err = fmt.Errorf("variable %q: %w", key, err)
		}
		return nil, found, err
	}
	if !o.json {
		return text, true, nil
	}
	v, err = pyvalue.DecodeJSON([]byte(text))
	if err != nil {
		return nil, true, pyvalue.Errorf("the Variable %q is not JSON: %v", key, err)
	}
	return v, true, nil
}

// notDefined is the error for a name that does not exist; why may say more.
func notDefined(what, name string, why error) error {
	if why != nil {
		return why
	}
	return pyvalue.Errorf("the %s %q isn't defined", what, name)
}

// asError makes any error an *Error, keeping its cause.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		c := *e
		return &c
	}
	return &Error{Msg: err.Error(), Err: err}
}

// connObject is the variable conn: each attribute is a connection, get takes any id and a default.
type connObject struct{ v *Vars }

func (o *connObject) TypeName() string { return "conn" }

func (o *connObject) Attr(st *pyvalue.State, name string) (any, bool, error) {
	if name == "get" {
		return pyvalue.NewFunc(name, func(st *pyvalue.State, a []any) (any, error) {
			id, err := pyvalue.Text(a[0], "the connection id")
			if err != nil {
				return nil, err
			}
			v, found, err := o.find(st, id)
			switch {
			case found:
				return v, err
			case a[1] != pyvalue.Unset{}:
				return a[1], nil
			}
			return nil, notDefined("connection", id, err)
		}, req("conn_id"), opt("default_conn", pyvalue.Unset{})), true, nil
	}
	v, found, err := o.find(st, name)
	if found {
		return v, true, err
	}
	return pyvalue.NewUndefined(asError(notDefined("connection", name, err))), true, nil
}

func (o *connObject) Item(st *pyvalue.State, key any) (any, bool, error) {
	id, ok := key.(string)
	if !ok {
		return nil, false, nil
	}
	v, ok, err := o.Attr(st, id)
	return v, ok, err
}

func (o *connObject) find(st *pyvalue.State, id string) (any, bool, error) {
	if o.v.Connection == nil {
		return nil, true, pyvalue.Errorf("connections are not available here")
	}
	c, found, err := o.v.Connection(st.Context(), id)
	if !found || err != nil {
		if found {
			err = fmt.Errorf("connection %q: %w", id, err)
		}
		return nil, found, err
	}
	return &connection{c}, true, nil
}

// connection is one connection.
type connection struct{ c Connection }

func (o *connection) TypeName() string { return "Connection" }

// Str does not print the password.
func (o *connection) Str() string { return o.c.ID }

var connectionAttrs = strings.Fields(`conn_id conn_type description host login password schema port extra extra_dejson
get_uri`)

func (o *connection) AttrNames() []string { return connectionAttrs }

func (o *connection) Attr(_ *pyvalue.State, name string) (any, bool, error) {
	c := &o.c
	switch name {
	case "conn_id":
		return c.ID, true, nil
	case "conn_type":
		return none(c.Type), true, nil
	case "description":
		return none(c.Description), true, nil
	case "host":
		return none(c.Host), true, nil
	case "login":
		return none(c.Login), true, nil
	case "password":
		return none(c.Password), true, nil
	case "schema":
		return none(c.Schema), true, nil
	case "port":
		return orNone(c.Port != 0, c.Port), true, nil
	case "extra":
		return none(string(c.Extra)), true, nil
	case "extra_dejson":
		extra, err := object(c.Extra, "the extra of connection "+c.ID)
		return extra, true, err
	case "get_uri":
		return pyvalue.Constant(name, c.URI), true, nil
	}
	return nil, false, nil
}
