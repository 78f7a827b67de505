package connections

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
)

// HostOr returns the host, or def when it is absent or empty.
func (c *Connection) HostOr(def string) string { return or(c.Host, def) }

// LoginOr returns the login, or def when it is absent or empty.
func (c *Connection) LoginOr(def string) string { return or(c.Login, def) }

// PasswordOr returns the password, or def when it is absent or empty.
func (c *Connection) PasswordOr(def string) string { return or(c.Password, def) }

// SchemaOr returns the schema, or def when it is absent or empty.
func (c *Connection) SchemaOr(def string) string { return or(c.Schema, def) }

func or(s *string, def string) string {
	if s == nil || *s == "" {
		return def
	}
	return *s
}

// ExtraMap decodes the extra (Airflow: extra_dejson). Numbers are json.Number. Without an extra it returns an empty
// map; an extra that is no object is a *FormError.
func (c *Connection) ExtraMap() (map[string]any, error) {
	extra := map[string]any{}
	if len(bytes.TrimSpace(c.Extra)) == 0 {
		return extra, nil
	}
	if err := (&Connection{ID: c.ID}).setExtraText(string(c.Extra), ""); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(c.Extra))
	dec.UseNumber()
	if err := dec.Decode(&extra); err != nil {
		return nil, &FormError{ID: c.ID, Problem: "encountered non-JSON in `extra` field", Expected: "a JSON object"}
	}
	return extra, nil
}

// Fields returns what a template sees as conn.<id>: conn_id, conn_type, description, host, login, password, schema,
// port, extra (JSON text), extra_dejson (object) and uri. Absent values are nil, as Airflow's None.
func (c *Connection) Fields() (map[string]any, error) {
	extra, err := c.ExtraMap()
	if err != nil {
		return nil, err
	}
	fields := map[string]any{
		"conn_id": c.ID, "conn_type": c.Type, "description": nil, "host": nil, "login": nil, "password": nil,
		"schema": nil, "port": nil, "extra": nil, "extra_dejson": plainNumbers(extra), "uri": c.URI(),
	}
	for key, value := range map[string]*string{
		"host": c.Host, "login": c.Login, "password": c.Password, "schema": c.Schema,
	} {
		if value != nil {
			fields[key] = *value
		}
	}
	if c.Description != "" {
		fields["description"] = c.Description
	}
	if c.Port != 0 {
		fields["port"] = c.Port
	}
	if len(c.Extra) > 0 {
		fields["extra"] = string(c.Extra)
	}
	return fields, nil
}

// plainNumbers replaces json.Number by int64 or float64.
func plainNumbers(value any) any {
	switch v := value.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return v.String()
	case map[string]any:
		for key, item := range v {
			v[key] = plainNumbers(item)
		}
	case []any:
		for i, item := range v {
			v[i] = plainNumbers(item)
		}
	}
	return value
}

// Fingerprint identifies the content of the connection, its id included: two connections with the same fingerprint
// are the same. It does not give the secrets away.
func (c *Connection) Fingerprint() string {
	sum := sha256.Sum256([]byte(c.ID + "\x00" + c.JSON()))
	return hex.EncodeToString(sum[:])
}

// legalID is Airflow's alphabet of connection ids.
var legalID = regexp.MustCompile(`^[\w#!()\-.:/\\]+$`)

// maxID is the longest connection id, in bytes.
const maxID = 250

// CheckID reports whether id may name a connection: 1 to 250 letters, digits and any of _#!()-.:/\.
func CheckID(id string) error {
	switch {
	case id == "":
		return fmt.Errorf("a connection id is empty; expected 1 to %d letters, digits or any of _#!()-.:/\\", maxID)
	case len(id) > maxID:
		return fmt.Errorf("the connection id %.20q... is %d characters long; expected at most %d", id, len(id), maxID)
	case !legalID.MatchString(id):
		return fmt.Errorf("%q is not a legal connection id; expected letters, digits or any of _#!()-.:/\\", id)
	}
	return nil
}
