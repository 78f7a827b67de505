package server

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// algorithm is the only one that is accepted.
const algorithm = "AWS4-HMAC-SHA256"

// amzDate is the form of the header X-Amz-Date.
const amzDate = "20060102T150405Z"

// maxSkew is how far the date of a signature may be from the server's clock.
const maxSkew = 15 * time.Minute

// signature is a parsed Authorization header of Signature Version 4.
type signature struct {
	key, scope, day, region, service string
	headers                          []string
	value                            []byte
}

// RequireSignature lets only requests through that are signed with one of the keys.
func RequireSignature(keys map[string]string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxDefinitionBytes))
		if err != nil {
			writeError(w, &Error{Code: "RequestEntityTooLargeException", Status: http.StatusRequestEntityTooLarge,
				Message: fmt.Sprintf("Request body is larger than the maximum of %d bytes", maxDefinitionBytes)})
			return
		}
		if refused := verify(r, body, keys, time.Now()); refused != nil {
			writeError(w, refused)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// verify checks that a request is signed with one of the keys, by Signature Version 4. The error is AWS's answer.
func verify(r *http.Request, body []byte, keys map[string]string, now time.Time) *Error {
	s, refused := parseSignature(r.Header.Get("Authorization"))
	if refused != nil {
		return refused
	}
	secret, ok := keys[s.key]
	if !ok {
		return Errorf("UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	date := r.Header.Get("X-Amz-Date")
	at, err := time.Parse(amzDate, date)
	switch {
	case err != nil:
		return Errorf("IncompleteSignatureException", "Date must be in ISO-8601 'basic format'. Got '%s'.", date)
	case !strings.HasPrefix(date, s.day):
		return Errorf("SignatureDoesNotMatch", "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s'",
			s.day, date[:8])
	case now.Sub(at) > maxSkew:
		return Errorf("InvalidSignatureException", "Signature expired: %s is now earlier than %s (%s - 15 min.)", date,
			now.UTC().Add(-maxSkew).Format(amzDate), now.UTC().Format(amzDate))
	case at.Sub(now) > maxSkew:
		return Errorf("InvalidSignatureException", "Signature not yet current: %s is still later than %s (%s + 15 min.)", date,
			now.UTC().Add(maxSkew).Format(amzDate), now.UTC().Format(amzDate))
	}
	hash := sha256.Sum256([]byte(canonical(r, s.headers, body)))
	text := strings.Join([]string{algorithm, date, s.scope, hex.EncodeToString(hash[:])}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.day, s.region, s.service, "aws4_request"} {
		key = mac(key, part)
	}
	if !hmac.Equal(mac(key, text), s.value) {
		return Errorf("InvalidSignatureException", "The request signature we calculated does not match the signature you provided. "+
			"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	}
	return nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(text)) // a hash never fails to write
	return h.Sum(nil)
}

// parseSignature reads an Authorization header.
func parseSignature(header string) (*signature, *Error) {
	if header == "" {
		return nil, Errorf("MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	incomplete := func(what string) *Error {
		return Errorf("IncompleteSignatureException", "%s Authorization=%s", what, strings.TrimSpace(strings.SplitN(header, " ", 2)[0]))
	}
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return nil, incomplete(fmt.Sprintf("The Authorization header must start with '%s'.", algorithm))
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		fields[name] = value
	}
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if fields[name] == "" {
			return nil, incomplete(fmt.Sprintf("Authorization header requires '%s' parameter.", name))
		}
	}
	parts := strings.Split(fields["Credential"], "/")
	if len(parts) < 5 || parts[len(parts)-1] != "aws4_request" {
		return nil, incomplete("Credential should be scoped to a valid region and service, and end with 'aws4_request'.")
	}
	scope := parts[len(parts)-4:]
	s := &signature{key: strings.Join(parts[:len(parts)-4], "/"), scope: strings.Join(scope, "/"), day: scope[0], region: scope[1],
		service: scope[2], headers: strings.Split(fields["SignedHeaders"], ";")}
	if !slices.Contains(s.headers, "host") {
		return nil, Errorf("InvalidSignatureException", "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	var err error
	if s.value, err = hex.DecodeString(fields["Signature"]); err != nil {
		return nil, incomplete("Signature must be written in hexadecimal digits.")
	}
	return s, nil
}

// canonical is the canonical request: what is signed of it.
func canonical(r *http.Request, signed []string, body []byte) string {
	var b strings.Builder
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	fmt.Fprintf(&b, "%s\n%s\n%s\n", r.Method, path, canonicalQuery(r.URL.Query()))
	for _, name := range signed {
		values := r.Header.Values(name)
		switch name {
		case "host":
			values = []string{r.Host}
		case "content-length":
			values = []string{fmt.Sprint(r.ContentLength)}
		}
		trimmed := make([]string, len(values))
		for i, v := range values {
			trimmed[i] = strings.Join(strings.Fields(v), " ")
		}
		fmt.Fprintf(&b, "%s:%s\n", name, strings.Join(trimmed, ","))
	}
	// The hash is always that of the body as it came, so that nobody can sign another one.
	hash := sha256.Sum256(body)
	fmt.Fprintf(&b, "\n%s\n%s", strings.Join(signed, ";"), hex.EncodeToString(hash[:]))
	return b.String()
}

func canonicalQuery(q url.Values) string {
	// Encode sorts by name; AWS wants spaces as %20.
	return strings.ReplaceAll(q.Encode(), "+", "%20")
}
