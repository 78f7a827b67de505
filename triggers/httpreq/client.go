package httpreq

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"gust/connections"
	"gust/internal/param"
)

// Client makes requests and shares connections between them. The assembler makes one with NewClient and closes it at
// the end. It is safe for concurrent use.
type Client struct {
	mu         sync.Mutex
	transports map[string]*http.Transport
}

// NewClient returns a client.
func NewClient() *Client { return &Client{transports: map[string]*http.Transport{}} }

// Close closes idle connections. It may be used afterwards.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.transports {
		t.CloseIdleConnections()
	}
	clear(c.transports)
}

// options are extra_options, read.
type options struct {
	timeout      time.Duration
	verify       bool
	bundle       string
	cert, key    string
	proxies      map[string]string
	redirects    bool
	maxRedirects int
	check        bool
}

// optionNames are the keys of extra_options; also in the extra of a connection, where other keys are headers.
var optionNames = []string{
	"timeout", "verify", "cert", "proxies", "allow_redirects", "max_redirects", "check_response", "stream", "trust_env",
}

// merge returns the options and headers of the connection with the request's over them.
func merge(conn *connections.Connection, r *Request) (map[string]any, map[string]string, error) {
	all, headers := map[string]any{}, map[string]string{}
	extra, err := conn.ExtraMap()
	if err != nil {
		return nil, nil, fmt.Errorf("connection %s: %w", conn.ID, err)
	}
	for key, value := range extra {
		if slices.Contains(optionNames, key) {
			all[key] = value
			continue
		}
		switch v := value.(type) {
		case string:
			headers[key] = v
		case float64, bool, json.Number:
			headers[key] = plain(v)
		}
	}
	maps.Copy(all, r.Options)
	maps.Copy(headers, r.Headers)
	return all, headers, nil
}

func readOptions(raw map[string]any) (*options, error) {
	o := &options{verify: true, redirects: true, maxRedirects: 30, check: true}
	for _, key := range slices.Sorted(maps.Keys(raw)) {
		value := raw[key]
		if value == nil {
			continue
		}
		if err := o.set(key, value); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (o *options) set(key string, value any) error {
	wrong := func(expected string) error {
		return &param.Error{Path: []string{"extra_options", key}, Problem: fmt.Sprintf("wrong type: %T", value),
			Expected: expected}
	}
	flag, isFlag := value.(bool)
	text, isText := value.(string)
	number, isNumber := param.Float(value)
	switch key {
	case "timeout":
		if !isNumber || number < 0 {
			return wrong("seconds")
		}
		o.timeout = time.Duration(number * float64(time.Second))
	case "verify":
		if !isFlag && !isText {
			return wrong("true, false or the path of a CA bundle")
		}
		o.verify, o.bundle = flag || isText, text
	case "cert":
		return o.setCert(value, wrong)
	case "proxies":
		proxies, ok := value.(map[string]any)
		if !ok {
			return wrong("a mapping from scheme to URL")
		}
		o.proxies = map[string]string{}
		for scheme, address := range proxies {
			if o.proxies[scheme], ok = address.(string); !ok {
				return wrong("a mapping from scheme to URL")
			}
		}
	case "max_redirects":
		if !isNumber || number < 0 {
			return wrong("a number")
		}
		o.maxRedirects = int(number)
	case "allow_redirects", "check_response", "stream", "trust_env":
		if !isFlag {
			return wrong("true or false")
		}
		switch key {
		case "allow_redirects":
			o.redirects = flag
		case "check_response":
			o.check = flag
		}
	default:
		return &param.Error{Path: []string{"extra_options", key}, Problem: "unknown option",
			Expected: "one of " + strings.Join(optionNames, ", "), Nearest: param.Nearest(key, optionNames)}
	}
	return nil
}

func (o *options) setCert(value any, wrong func(string) error) error {
	const expected = "the path of a PEM file, or a list of certificate and key"
	switch v := value.(type) {
	case string:
		o.cert, o.key = v, v
		return nil
	case []any:
		if len(v) == 2 {
			cert, first := v[0].(string)
			key, second := v[1].(string)
			if first && second {
				o.cert, o.key = cert, key
				return nil
			}
		}
	}
	return wrong(expected)
}

// maxTransports bounds the transports kept; options that are templated can make any number of them.
const maxTransports = 128

func (c *Client) client(o *options) (*http.Client, error) {
	t, err := c.transport(o)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: t, Timeout: o.timeout, CheckRedirect: func(_ *http.Request, via []*http.Request) error {
		switch {
		case !o.redirects:
			return http.ErrUseLastResponse
		case len(via) > o.maxRedirects:
			return fmt.Errorf("stopped after %d redirects", o.maxRedirects)
		}
		return nil
	}}, nil
}

func (c *Client) transport(o *options) (*http.Transport, error) {
	key := fmt.Sprintf("%v|%q|%q|%q|%v", o.verify, o.bundle, o.cert, o.key, o.proxies)
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.transports[key]; ok {
		return t, nil
	}
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, errors.New("net/http's default transport was replaced")
	}
	t = t.Clone()
	t.MaxIdleConnsPerHost = 16
	t.TLSClientConfig = &tls.Config{InsecureSkipVerify: !o.verify} // verify: false asks for it
	if o.bundle != "" {
		pem, err := os.ReadFile(o.bundle)
		if err != nil {
			return nil, fmt.Errorf("verify: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("verify: %s holds no certificate", o.bundle)
		}
	}
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return nil, fmt.Errorf("cert: %w", err)
		}
		t.TLSClientConfig.Certificates = []tls.Certificate{pair}
	}
	if o.proxies != nil {
		t.Proxy = func(r *http.Request) (*url.URL, error) {
			address, ok := o.proxies[r.URL.Scheme]
			if !ok {
				return nil, nil
			}
			return url.Parse(address)
		}
	}
	if len(c.transports) >= maxTransports {
		for old, idle := range c.transports {
			idle.CloseIdleConnections()
			delete(c.transports, old)
			break
		}
	}
	c.transports[key] = t
	return t, nil
}
