package jsonata

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

func encodingFunctions(add adder) {
	add("base64encode", "<s-:s>", 1, onText(base64encode))
	add("base64decode", "<s-:s>", 1, onText(base64decode))
	add("encodeUrl", "<s-:s>", 1, encodeURL("encodeUrl", unreserved+reserved))
	add("encodeUrlComponent", "<s-:s>", 1, encodeURL("encodeUrlComponent", unreserved))
	add("decodeUrl", "<s-:s>", 1, decodeURL("decodeUrl", reserved))
	add("decodeUrlComponent", "<s-:s>", 1, decodeURL("decodeUrlComponent", ""))
}

// base64encode takes every character as one byte, as the function is documented.
func base64encode(c call, s string) (value, error) {
	data := make([]byte, 0, len(s))
	for len(s) > 0 {
		r, size := decode(s)
		if r > 0xFFFF {
			data = append(data, byte((r-0x10000)>>10), byte(r))
		} else {
			data = append(data, byte(r))
		}
		s = s[size:]
	}
	return c.ev.text(base64.StdEncoding.EncodeToString(data))
}

// base64decode is lenient: it passes over what is no digit, takes both alphabets and needs no padding.
func base64decode(c call, s string) (value, error) {
	digits := make([]byte, 0, len(s))
	for i := range len(s) {
		switch b := s[i]; {
		case b == '-':
			digits = append(digits, '+')
		case b == '_':
			digits = append(digits, '/')
		case b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '+' || b == '/':
			digits = append(digits, b)
		}
		if s[i] == '=' {
			break
		}
	}
	if len(digits)%4 == 1 {
		digits = digits[:len(digits)-1]
	}
	data := make([]byte, base64.RawStdEncoding.DecodedLen(len(digits)))
	n, err := base64.RawStdEncoding.Decode(data, digits)
	if err != nil {
		n = 0
	}
	text := make([]byte, 0, n)
	for _, b := range data[:n] {
		text = utf8.AppendRune(text, rune(b))
	}
	return c.ev.text(string(text))
}

// What JavaScript's encodeURIComponent leaves alone, and what encodeURI leaves alone beyond that.
const (
	unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()"
	reserved   = ";/?:@&=+$,#"
)

const upperHex = "0123456789ABCDEF"

func encodeURL(name, keep string) func(call) (value, error) {
	return onText(func(c call, s string) (value, error) {
		if !wellFormed(s) {
			return value{}, failure("D3140", 0, name, name, showJSON(stringValue(s)))
		}
		var b strings.Builder
		for i := range len(s) {
			if strings.IndexByte(keep, s[i]) >= 0 {
				b.WriteByte(s[i])
			} else {
				b.Write([]byte{'%', upperHex[s[i]>>4], upperHex[s[i]&15]})
			}
		}
		return c.ev.text(b.String())
	})
}

// decodeURL decodes %XX, except for the characters in keep, which stay as written.
func decodeURL(name, keep string) func(call) (value, error) {
	return onText(func(c call, s string) (value, error) {
		var b strings.Builder
		for i := 0; i < len(s); {
			if s[i] != '%' {
				b.WriteByte(s[i])
				i++
				continue
			}
			char, size := escapedChar(s[i:])
			if size == 0 {
				return value{}, failure("D3140", 0, name, name, showJSON(stringValue(s)))
			}
			if len(char) == 1 && strings.Contains(keep, char) {
				char = s[i : i+size]
			}
			b.WriteString(char)
			i += size
		}
		return c.ev.text(b.String())
	})
}

// escapedChar reads the one character that a run of %XX stands for; size 0 means that it stands for none.
func escapedChar(s string) (char string, size int) {
	var data []byte
	for size+2 < len(s) && s[size] == '%' && len(data) < utf8.UTFMax {
		high, low := strings.IndexByte(hexDigits, s[size+1]|0x20), strings.IndexByte(hexDigits, s[size+2]|0x20)
		if s[size+1] <= '9' {
			high = strings.IndexByte(hexDigits, s[size+1])
		}
		if s[size+2] <= '9' {
			low = strings.IndexByte(hexDigits, s[size+2])
		}
		if high < 0 || low < 0 {
			return "", 0
		}
		data = append(data, byte(high<<4|low))
		size += 3
		if utf8.FullRune(data) {
			if r, n := utf8.DecodeRune(data); r == utf8.RuneError && n <= 1 {
				return "", 0
			}
			return string(data), size
		}
	}
	return "", 0
}
