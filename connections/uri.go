package connections

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

// extraKey is the query parameter that holds the whole extra as JSON, for values that are not plain text.
const extraKey = "__extra__"

// uriShape is shown when a text is no connection URI at all.
const uriShape = "type://login:password@host:port/schema?key=value, each part percent-encoded"

// ParseURI reads Airflow's URI form of a connection:
//
//	type://login:password@host:port/schema?key=value
//
// Every part is percent-encoded; "-" in the type is read as "_" and postgresql as postgres; the host is lower-cased.
// The query becomes the extra: an object of texts, or, with a parameter __extra__, exactly its JSON. The form
// type://protocol://host keeps the protocol as part of the host. An error is a *FormError; since a malformed URI may
// hold a secret anywhere, it shows no more of it than the type.
//
// Two texts that Airflow misreads are treated more kindly: a second "://" that stands in the query of a URI without
// credentials is read as part of the query (Airflow then loses the host), and a missing type is an error.
func ParseURI(id, text string) (*Connection, error) {
	text = strings.NewReplacer("\t", "", "\r", "", "\n", "").Replace(strings.TrimSpace(text))
	text = strings.ToValidUTF8(text, "\uFFFD")
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || !validScheme(scheme) {
		return nil, &FormError{ID: id, Problem: "invalid connection string: no connection type", Expected: uriShape}
	}
	shown := strings.ToLower(scheme) + "://***"
	invalid := func(problem, hint string) error {
		return &FormError{ID: id, Problem: "invalid connection string " + shown + ": " + problem, Hint: hint}
	}
	if n := strings.Count(rest, "://"); n > 1 {
		return nil, invalid(`"://" occurs `+strconv.Itoa(n+1)+" times", encodeHint)
	}
	c := &Connection{ID: id, Type: normalType(scheme)}
	protocol := ""
	if before, after, two := strings.Cut(rest, "://"); two {
		switch {
		case strings.ContainsAny(before, "@:"):
			return nil, invalid(`a second "://" follows "@" or ":"`, encodeHint)
		case strings.ContainsAny(before, "/?#"): // inside the query
		case !validScheme(before):
			return nil, invalid("the protocol before the host is not a word", encodeHint)
		default:
			protocol, rest = strings.ToLower(before), after
		}
	}
	authority, query := c.splitPath(rest)
	if problem, hint := c.setAuthority(authority); problem != "" {
		return nil, invalid(problem, hint)
	}
	if protocol != "" && *c.Host != "" {
		c.Host = new(protocol + "://" + *c.Host)
	}
	if err := c.setQuery(query); err != nil {
		return nil, err
	}
	return c, nil
}

const (
	encodeHint = `write "://" inside a value as %3A%2F%2F`
	portHint   = `a login and password end with "@" (aws://LOGIN:PASSWORD@), and "/", "?", "#" in them are written ` +
		"%2F, %3F, %23"
	bracketHint = `write "[" and "]" in a login or password as %5B and %5D`
)

// splitPath takes the schema out of what follows "://" and returns the authority and the query.
func (c *Connection) splitPath(rest string) (authority, query string) {
	rest, _, _ = strings.Cut(rest, "#")
	rest, query, _ = strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	c.Schema = new(unquote(path))
	return authority, query
}

// setAuthority reads login:password@host:port. It returns a problem and a hint, or "".
func (c *Connection) setAuthority(authority string) (problem, hint string) {
	if strings.Contains(authority, "[") != strings.Contains(authority, "]") {
		return "a bracket without its partner in login, password or host", bracketHint
	}
	hostinfo := authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		hostinfo = authority[at+1:]
		login, password, has := strings.Cut(authority[:at], ":")
		c.Login = new(unquote(login))
		if has {
			c.Password = new(unquote(password))
		}
	}
	host, port, _ := strings.Cut(hostinfo, ":")
	if before, inside, bracketed := strings.Cut(hostinfo, "["); bracketed {
		var after string
		host, after, _ = strings.Cut(inside, "]")
		if ip, err := netip.ParseAddr(host); err != nil || !ip.Is6() || before != "" || after != "" && after[0] != ':' {
			return "the brackets do not hold an IPv6 address", bracketHint
		}
		_, port, _ = strings.Cut(after, ":")
	}
	c.Host = new(decodeHost(host))
	if port == "" {
		return "", ""
	}
	for _, b := range []byte(port) {
		if b < '0' || b > '9' {
			return "the port could not be cast to an integer value", portHint
		}
	}
	n, err := strconv.Atoi(port)
	if err != nil || n > 65535 {
		return "the port is out of range 0-65535", portHint
	}
	c.Port = n
	return "", ""
}

// decodeHost unquotes and lower-cases a host the way Python's urlsplit does: letters after the first "%" keep their
// case, and so does a host that decodes to a path (a socket).
func decodeHost(host string) string {
	decoded := unquote(host)
	if strings.Contains(decoded, "/") {
		return decoded
	}
	if i := strings.IndexByte(host, '%'); i >= 0 {
		return unquote(strings.ToLower(host[:i]) + host[i:])
	}
	return strings.ToLower(decoded)
}

func (c *Connection) setQuery(query string) error {
	var keys []string
	values := map[string]string{}
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		k, v, _ := strings.Cut(strings.ReplaceAll(pair, "+", " "), "=")
		k = unquote(k)
		if _, seen := values[k]; !seen {
			keys = append(keys, k)
		}
		values[k] = unquote(v)
	}
	if raw, ok := values[extraKey]; ok {
		return c.setExtraText(raw, "")
	}
	if query == "" {
		return nil
	}
	var b strings.Builder
	b.WriteByte('{')
	for i, k := range keys {
		if i > 0 {
			b.WriteString(", ")
		}
		writeString(&b, k)
		b.WriteString(": ")
		writeString(&b, values[k])
	}
	b.WriteByte('}')
	c.Extra = []byte(b.String())
	return nil
}

// validScheme says whether a text can be a connection type: a letter, then letters, digits and "+-._". ("_" is not
// legal in a URI scheme but people write it; it means the same as "-".)
func validScheme(s string) bool {
	for i, r := range s {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || !(r >= '0' && r <= '9') && !strings.ContainsRune("+-._", r)) {
			return false
		}
	}
	return s != ""
}

func normalType(t string) string {
	t = strings.ReplaceAll(strings.ToLower(t), "-", "_")
	if t == "postgresql" {
		return "postgres"
	}
	return t
}

// URI returns the connection in Airflow's URI form, secrets included. An extra whose values are all texts becomes the
// query, any other extra the parameter __extra__. ParseURI reads it back, except that the form cannot say some
// absences: a nil host or schema comes back empty, an empty login without a password comes back nil, and a connection
// of only a type and a port comes back with an empty login.
func (c *Connection) URI() string {
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(strings.ToLower(c.Type), "_", "-"))
	b.WriteString("://")
	host := text(c.Host)
	if protocol, bare, ok := strings.Cut(host, "://"); ok {
		b.WriteString(protocol + "://")
		host = bare
	}
	authority := quote(text(c.Login))
	if c.Password != nil {
		authority += ":" + quote(*c.Password)
	}
	if authority != "" {
		b.WriteString(authority + "@")
	}
	b.WriteString(quote(host))
	if c.Port != 0 {
		if host == "" && authority == "" {
			b.WriteByte('@')
		}
		b.WriteString(":" + strconv.Itoa(c.Port))
	}
	schema := text(c.Schema)
	if schema != "" {
		b.WriteString("/" + quote(schema))
	}
	if len(c.Extra) > 0 {
		if schema == "" {
			b.WriteByte('/')
		}
		b.WriteString("?" + c.extraQuery())
	}
	return b.String()
}

func (c *Connection) extraQuery() string {
	whole := extraKey + "=" + quotePlus(string(c.Extra))
	pairs, err := objectOf(c.Extra)
	if err != nil || len(pairs) == 0 {
		return whole
	}
	var parts []string
	for _, p := range pairs {
		if !p.value.isText() || p.key == extraKey || !utf8.ValidString(p.value.Value) || !utf8.ValidString(p.key) {
			return whole
		}
		parts = append(parts, quotePlus(p.key)+"="+quotePlus(p.value.Value))
	}
	return strings.Join(parts, "&")
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

const upperHex = "0123456789ABCDEF"

// quote percent-encodes everything but letters, digits and "_.-~".
func quote(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_.-~", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		}
	}
	return b.String()
}

func quotePlus(s string) string { return strings.ReplaceAll(quote(s), "%20", "+") }

// unquote decodes %XX; a "%" that two hex digits do not follow stays, and bytes that are not UTF-8 become U+FFFD.
func unquote(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				out = append(out, byte(n))
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return strings.ToValidUTF8(string(out), "\uFFFD")
}
