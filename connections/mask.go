package connections

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Hidden stands for a secret.
const Hidden = "***"

// sensitiveWords are the words that make a key sensitive, wherever they occur in it (Airflow's list).
var sensitiveWords = []string{
	"access_token", "api_key", "apikey", "authorization", "passphrase", "passwd", "password", "private_key", "secret",
	"token", "keyfile_dict", "keyfile_json", "service_account",
}

// SensitiveKey reports whether the value under a name must be hidden: the name of an extra key, a variable, a header.
// A name that ends in _file or _path holds the name of a file and is not sensitive
// (assume_role_with_web_identity_token_file).
func SensitiveKey(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(strings.TrimSpace(name)), "-", "_")
	if strings.HasSuffix(name, "_file") || strings.HasSuffix(name, "_path") {
		return false
	}
	return slices.ContainsFunc(sensitiveWords, func(word string) bool { return strings.Contains(name, word) })
}

// userinfo finds the password of a URL inside a text.
var userinfo = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://[^\s/?#:@]*:)([^\s/?#]+)@`)

// maskURL hides the password of every URL in s.
func maskURL(s string) string { return userinfo.ReplaceAllString(s, "${1}"+Hidden+"@") }

// Masked returns a copy whose password, sensitive extra values and passwords of URLs in other extra values are "***".
func (c *Connection) Masked() *Connection {
	m := *c
	if text(c.Password) != "" {
		m.Password = new(Hidden)
	}
	if c.Host != nil {
		m.Host = new(maskURL(*c.Host))
	}
	if len(c.Extra) > 0 {
		m.Extra = maskedExtra(c.Extra)
	}
	return &m
}

func maskedExtra(extra json.RawMessage) json.RawMessage {
	n, err := jsonNode(extra)
	if err == nil {
		hide(n.Node, false)
		if raw, err := n.json(); err == nil {
			return raw
		}
	}
	return json.RawMessage(`{"` + Hidden + `": "the extra is not a JSON object"}`)
}

// hide replaces the secrets under n; with all, every value.
func hide(n *yaml.Node, all bool) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			hide(n.Content[i+1], all || SensitiveKey(n.Content[i].Value))
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			hide(item, all)
		}
	default:
		switch {
		case n.Tag == "!!null" || n.Tag == "!!bool" || n.Value == "":
		case all:
			n.Tag, n.Value = "!!str", Hidden
		case n.Tag == "!!str":
			n.Value = maskURL(n.Value)
		}
	}
}

// Secrets lists the secret texts of the connection: the password, and the values of sensitive extra keys.
func (c *Connection) Secrets() []string {
	var found []string
	add := func(s string) {
		if s != "" && !slices.Contains(found, s) {
			found = append(found, s)
		}
	}
	add(text(c.Password))
	for _, m := range userinfo.FindAllStringSubmatch(text(c.Host), -1) {
		add(m[2])
	}
	if n, err := jsonNode(c.Extra); err == nil {
		collectSecrets(n.Node, false, add)
	}
	return found
}

func collectSecrets(n *yaml.Node, all bool, add func(string)) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			collectSecrets(n.Content[i+1], all || SensitiveKey(n.Content[i].Value), add)
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			collectSecrets(item, all, add)
		}
	default:
		if n.Tag != "!!null" && n.Tag != "!!bool" && all {
			add(n.Value)
		}
		for _, m := range userinfo.FindAllStringSubmatch(n.Value, -1) {
			add(m[2])
			add(unquote(m[2]))
		}
	}
}

// String is the connection's masked URI.
func (c Connection) String() string { return c.Masked().URI() }

// GoString is String, so that no verb of fmt prints a secret.
func (c Connection) GoString() string { return fmt.Sprintf("connections.Connection(%s)", c.String()) }

// LogValue is the id and the masked URI.
func (c Connection) LogValue() slog.Value {
	return slog.GroupValue(slog.String("conn_id", c.ID), slog.String("uri", c.String()))
}

// MarshalJSON writes the masked JSON form, so that a connection that ends up in some output shows no secret. Use JSON
// for the full form.
func (c Connection) MarshalJSON() ([]byte, error) { return []byte(c.Masked().JSON()), nil }
