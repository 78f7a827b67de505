package connections

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/fernet/fernet-go"
)

// Keyring encrypts secrets at rest with Fernet (AES-128-CBC and HMAC-SHA256), as Airflow does. The first key encrypts,
// every key decrypts. It is safe for concurrent use.
type Keyring struct {
	given string
	file  string

	mu   sync.Mutex
	keys []*fernet.Key
}

// NewKeyring returns a keyring. With keys (GUST_FERNET_KEY: one or more keys, comma separated, each 32 bytes in
// URL-safe base64) those are used. Otherwise the keys are in file, which is created with a random key and mode 0600
// when something is first sealed. Nothing is read before the first use.
func NewKeyring(keys, file string) *Keyring {
	return &Keyring{given: strings.TrimSpace(keys), file: file}
}

// Seal encrypts a text.
func (k *Keyring) Seal(plain string) (string, error) {
	keys, err := k.load(true)
	if err != nil {
		return "", err
	}
	sealed, err := fernet.EncryptAndSign([]byte(plain), keys[0])
	if err != nil {
		return "", fmt.Errorf("encrypt: %w", err)
	}
	return string(sealed), nil
}

// Open decrypts what Seal returned with any of the keys.
func (k *Keyring) Open(sealed string) (string, error) {
	keys, err := k.load(false)
	if err != nil {
		return "", err
	}
	plain := fernet.VerifyAndDecrypt([]byte(sealed), 0, keys)
	if plain == nil {
		return "", fmt.Errorf("cannot be decrypted with %s; give the key it was encrypted with, after the new one and a "+
			"comma, in GUST_FERNET_KEY", k.origin())
	}
	return string(plain), nil
}

// Rotate decrypts with any key and encrypts with the first.
func (k *Keyring) Rotate(sealed string) (string, error) {
	plain, err := k.Open(sealed)
	if err != nil {
		return "", err
	}
	return k.Seal(plain)
}

func (k *Keyring) origin() string {
	if k.given != "" {
		return "the keys of GUST_FERNET_KEY"
	}
	return "the key file " + k.file
}

// load reads the keys once. Without create a missing key file is an error: what is to be opened was sealed with
// another key.
func (k *Keyring) load(create bool) ([]*fernet.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys != nil {
		return k.keys, nil
	}
	text := k.given
	if text == "" {
		var err error
		text, err = readKeyFile(k.file)
		if errors.Is(err, fs.ErrNotExist) && create {
			text, err = createKeyFile(k.file)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("the key file %s is missing, so nothing encrypted can be read; restore it, or set "+
				"GUST_FERNET_KEY", k.file)
		}
		if err != nil {
			return nil, err
		}
	}
	keys, err := parseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.origin(), err)
	}
	k.keys = keys
	return keys, nil
}

func parseKeys(text string) ([]*fernet.Key, error) {
	var keys []*fernet.Key
	for i, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }) {
		part = strings.TrimSpace(part)
		raw, err := base64.URLEncoding.DecodeString(part)
		if err != nil { // the standard alphabet is accepted too
			raw, err = base64.StdEncoding.DecodeString(part)
		}
		if err != nil || len(raw) != 32 {
			return nil, fmt.Errorf("key %d is not a Fernet key; expected 32 bytes in URL-safe base64 (44 characters), such as "+
				"`head -c 32 /dev/urandom | base64 | tr +/ -_` prints", i+1)
		}
		key := new(fernet.Key)
		copy(key[:], raw)
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("no key in it; expected a Fernet key")
	}
	return keys, nil
}

func readKeyFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return "", fmt.Errorf("the key file %s can be read by others (mode %04o); run `chmod 600 %s`", path, mode, path)
	}
	data, err := os.ReadFile(path)
	return string(data), err
}

// createKeyFile writes a new key. The file appears whole, and of several processes that create it at once all use the
// key of the one that came first.
func createKeyFile(path string) (string, error) {
	var key fernet.Key
	if err := key.Generate(); err != nil {
		return "", fmt.Errorf("generate a Fernet key: %w", err)
	}
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("key file: %w", err)
	}
	tmp, err := os.CreateTemp(folder, ".fernet-*") // mode 0600
	if err != nil {
		return "", fmt.Errorf("key file: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // the link below is the file that stays
	_, err = tmp.WriteString(key.Encode() + "\n")
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return "", fmt.Errorf("key file: %w", err)
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("key file: %w", err)
	}
	if dir, err := os.Open(folder); err == nil {
		_ = dir.Sync() // some systems cannot sync a folder
		_ = dir.Close()
	}
	return readKeyFile(path)
}
