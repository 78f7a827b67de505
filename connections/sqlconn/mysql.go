package sqlconn

import (
	"crypto/tls"
	"crypto/x509"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"gust/connections"
	"gust/internal/param"
)

// mysqlConnector reads a connection of type mysql: host, port, login, password, schema (the database), and in extra
// charset, unix_socket, ssl (ca, cert, key), ssl_mode, local_infile and the timeouts connect_timeout, read_timeout,
// write_timeout (seconds).
func mysqlConnector(conn *connections.Connection, t Target) (driver.Connector, error) {
	extra, err := conn.ExtraMap()
	if err != nil {
		return nil, err
	}
	if truthy(extra["iam"]) {
		return nil, errors.New("extra.iam is not supported; give the connection a password")
	}
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.DBName = conn.LoginOr(""), conn.PasswordOr(""), conn.SchemaOr("")
	if t.Database != "" {
		cfg.DBName = t.Database
	}
	if t.Options != "" {
		return nil, errors.New("hook_params.options is PostgreSQL's; MySQL has none")
	}
	cfg.Net, cfg.Addr = "tcp", net.JoinHostPort(conn.HostOr("localhost"), "3306")
	if conn.Port != 0 {
		cfg.Addr = net.JoinHostPort(conn.HostOr("localhost"), strconv.Itoa(conn.Port))
	}
	if socket, ok := extra["unix_socket"].(string); ok && socket != "" {
		cfg.Net, cfg.Addr = "unix", socket
	}
	cfg.AllowAllFiles = truthy(extra["local_infile"])
	charset := "utf8mb4"
	if name, ok := extra["charset"].(string); ok && name != "" {
		charset = name
	}
	cfg.Timeout = connectTimeout * time.Second
	for key, field := range map[string]*time.Duration{
		"connect_timeout": &cfg.Timeout, "read_timeout": &cfg.ReadTimeout, "write_timeout": &cfg.WriteTimeout,
	} {
		if value, ok := extra[key]; ok && value != nil {
			seconds, err := strconv.ParseFloat(plainText(value), 64)
			if err != nil || seconds < 0 {
				return nil, fmt.Errorf("extra.%s is %v; expected seconds", key, value)
			}
			*field = time.Duration(seconds * float64(time.Second))
		}
	}
	if cfg.TLS, cfg.AllowFallbackToPlaintext, err = mysqlTLS(extra, conn.HostOr("localhost")); err != nil {
		return nil, err
	}
	cfg.Logger = silent{} // its errors are returned as well
	if err := cfg.Apply(mysql.Charset(charset, "")); err != nil {
		return nil, err
	}
	return mysql.NewConnector(cfg)
}

type silent struct{}

// Print drops the line.
func (silent) Print(...any) {}

// sslModes are MySQL's, from none to all checks.
var sslModes = []string{"DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"}

// mysqlTLS reads ssl and ssl_mode. nil is no TLS; fallback allows a server without it.
func mysqlTLS(extra map[string]any, host string) (cfg *tls.Config, fallback bool, err error) {
	files, err := sslFiles(extra["ssl"])
	if err != nil {
		return nil, false, err
	}
	mode, _ := extra["ssl_mode"].(string)
	mode = strings.ToUpper(strings.ReplaceAll(mode, "-", "_"))
	if mode == "" {
		switch {
		case files["ca"] != "":
			mode = "VERIFY_CA"
		case files != nil:
			mode = "REQUIRED"
		default:
			mode = "PREFERRED"
		}
	}
	cfg = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	switch mode {
	case "DISABLED":
		return nil, false, nil
	case "PREFERRED", "REQUIRED":
		cfg.InsecureSkipVerify = true
	case "VERIFY_CA", "VERIFY_IDENTITY":
	default:
		return nil, false, &param.Error{
			Path: []string{"extra", "ssl_mode"}, Problem: fmt.Sprintf("%q is not a legal value", mode),
			Expected: "one of " + strings.Join(sslModes, ", "), Nearest: param.Nearest(mode, sslModes),
		}
	}
	if path := files["ca"]; path != "" {
		pem, err := os.ReadFile(path)
		if err != nil {
			return nil, false, fmt.Errorf("extra.ssl.ca: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, false, fmt.Errorf("extra.ssl.ca: %s holds no certificate", path)
		}
	}
	if files["cert"] != "" || files["key"] != "" {
		pair, err := tls.LoadX509KeyPair(files["cert"], files["key"])
		if err != nil {
			return nil, false, fmt.Errorf("extra.ssl.cert and key: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	if mode == "VERIFY_CA" {
		verifyChainOnly(cfg)
	}
	return cfg, mode == "PREFERRED", nil
}

// verifyChainOnly checks who signed the server's certificate, but not for which name.
func verifyChainOnly(cfg *tls.Config) {
	roots := cfg.RootCAs
	cfg.InsecureSkipVerify = true
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, c := range state.PeerCertificates[1:] {
			opts.Intermediates.AddCert(c)
		}
		_, err := state.PeerCertificates[0].Verify(opts)
		return err
	}
}

// sslFiles reads extra.ssl: an object, or a text that holds one.
func sslFiles(value any) (map[string]string, error) {
	if text, ok := value.(string); ok {
		var object map[string]any
		if err := json.Unmarshal([]byte(text), &object); err != nil {
			return nil, fmt.Errorf("extra.ssl is %q; expected an object with ca, cert and key", text)
		}
		value = object
	}
	object, ok := value.(map[string]any)
	switch {
	case value == nil:
		return nil, nil
	case !ok:
		return nil, fmt.Errorf("extra.ssl is %v; expected an object with ca, cert and key", value)
	}
	files := map[string]string{}
	for key, path := range object {
		files[key] = plainText(path)
	}
	return files, nil
}
