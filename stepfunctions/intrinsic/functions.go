package intrinsic

import (
	"crypto/md5"  //nolint:gosec // States.Hash offers MD5 by name.
	"crypto/sha1" //nolint:gosec // States.Hash offers SHA-1 by name.
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"gust/stepfunctions/jsonvalue"
)

// Limits of single functions.
const (
	maxRange      = 1000
	maxEncodeText = 10_000
)

type function struct {
	minArgs, maxArgs int // maxArgs -1: any number
	call             func(*invocation) (jsonvalue.Value, error)
}

var functions = map[string]function{
	"States.Array":          {0, -1, array},
	"States.ArrayPartition": {2, 2, arrayPartition},
	"States.ArrayContains":  {2, 2, arrayContains},
	"States.ArrayRange":     {3, 3, arrayRange},
	"States.ArrayGetItem":   {2, 2, arrayGetItem},
	"States.ArrayLength":    {1, 1, arrayLength},
	"States.ArrayUnique":    {1, 1, arrayUnique},
	"States.Base64Encode":   {1, 1, base64Encode},
	"States.Base64Decode":   {1, 1, base64Decode},
	"States.Hash":           {2, 2, hash},
	"States.JsonMerge":      {3, 3, jsonMerge},
	"States.StringToJson":   {1, 1, stringToJSON},
	"States.JsonToString":   {1, 1, jsonToString},
	"States.MathRandom":     {2, 3, mathRandom},
	"States.MathAdd":        {2, 2, mathAdd},
	"States.StringSplit":    {2, 2, stringSplit},
	"States.UUID":           {0, 0, uuid},
	"States.Format":         {1, -1, format},
}

func array(in *invocation) (jsonvalue.Value, error) { return jsonvalue.NewArray(in.args), nil }

func arrayPartition(in *invocation) (jsonvalue.Value, error) {
	items, err := in.array(0)
	if err != nil {
		return jsonvalue.Value{}, err
	}
	size, err := in.integer(1)
	if err != nil {
		return jsonvalue.Value{}, err
	}
	if size <= 0 {
		return jsonvalue.Value{}, errInvalid
	}
	chunks := []jsonvalue.Value{}
	for len(items) > 0 {
		n := min(int64(len(items)), size)
		chunks = append(chunks, jsonvalue.NewArray(items[:n:n]))
		items = items[n:]
	}
	return jsonvalue.NewArray(chunks), nil
}

func arrayContains(in *invocation) (jsonvalue.Value, error) {
	items, err := in.array(0)
	if err != nil {
		return jsonvalue.Value{}, err
	}
	for _, item := range items {
		if jsonvalue.Equal(item, in.args[1]) {
			return jsonvalue.NewBool(true), nil
		}
	}
	return jsonvalue.NewBool(false), nil
}

func arrayRange(in *invocation) (jsonvalue.Value, error) {
	var n [3]int64
	for i := range n {
		var err error
		if n[i], err = in.integer(i); err != nil {
			return jsonvalue.Value{}, err
		}
	}
	first, last, step := n[0], n[1], n[2]
	if step == 0 {
		return jsonvalue.Value{}, errInvalid
	}
	items := []jsonvalue.Value{}
	for i := first; step > 0 && i <= last || step < 0 && i >= last; i += step {
		if len(items) == maxRange {
			return jsonvalue.Value{}, errInvalid
		}
		items = append(items, jsonvalue.NewInt(i))
	}
	return jsonvalue.NewArray(items), nil
}

func arrayGetItem(in *invocation) (jsonvalue.Value, error) {
	items, err := in.array(0)
	if err != nil {
		return jsonvalue.Value{}, err
	}
	i, err := in.integer(1)
	if err != nil {
		return jsonvalue.Value{}, err
	}
	if len(items) == 0 {
		// Measured at AWS.
		return jsonvalue.Value{}, nil
	}
	if i < 0 || i >= int64(len(items)) {
		return jsonvalue.Value{}, errInvalid
	}
	return items[i], nil
}

func arrayLength(in *invocation) (jsonvalue.Value, error) {
	items, err := in.array(0)
	return jsonvalue.NewInt(int64(len(items))), err
}

func (in *invocation) shortText() (string, error) {
	s, err := in.text(0)
	if err == nil && utf8.RuneCountInString(s) > maxEncodeText {
		err = errInvalid
	}
	return s, err
}

func base64Encode(in *invocation) (jsonvalue.Value, error) {
	s, err := in.shortText()
	return jsonvalue.NewString(base64.StdEncoding.EncodeToString([]byte(s))), err
}

// base64Decode is lenient, as measured at AWS: it skips what is not of the alphabet, ends at padding and needs none.
func base64Decode(in *invocation) (jsonvalue.Value, error) {
	s, err := in.shortText()
	if err != nil {
		return jsonvalue.Value{}, err
	}
	s, _, _ = strings.Cut(s, "=")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '-':
			return '+'
		case r == '_':
			return '/'
		case r >= 'A' && r <= 'Z', r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '+', r == '/':
			return r
		}
		return -1
	}, s)
	if len(s)%4 == 1 {
		// Six bits make no byte.
		s = s[:len(s)-1]
	}
	data, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil {
		return jsonvalue.Value{}, errInvalid
	}
	return jsonvalue.NewString(strings.ToValidUTF8(string(data), "\uFFFD")), nil
}

func hash(in *invocation) (jsonvalue.Value, error) {
	data := in.args[0].Text()
	if in.args[0].Kind() != jsonvalue.String {
		data = in.args[0].String()
	}
	if utf8.RuneCountInString(data) > maxEncodeText {
		return jsonvalue.Value{}, errInvalid
	}
	algorithm, err := in.text(1)
	if err != nil {
		return jsonvalue.Value{}, err
	}
	var sum []byte
	switch b := []byte(data); algorithm {
	case "MD5":
		s := md5.Sum(b) //nolint:gosec // asked for by name
		sum = s[:]
	case "SHA-1":
		s := sha1.Sum(b) //nolint:gosec // asked for by name
		sum = s[:]
	case "SHA-256":
		s := sha256.Sum256(b)
		sum = s[:]
	case "SHA-384":
		s := sha512.Sum384(b)
		sum = s[:]
	case "SHA-512":
		s := sha512.Sum512(b)
		sum = s[:]
	default:
		return jsonvalue.Value{}, errInvalid
	}
	return jsonvalue.NewString(hex.EncodeToString(sum)), nil
}

func jsonMerge(in *invocation) (jsonvalue.Value, error) {
	a, b, deep := in.args[0], in.args[1], in.args[2]
	if a.Kind() != jsonvalue.Object || b.Kind() != jsonvalue.Object {
		return jsonvalue.Value{}, errInvalid
	}
	// AWS merges shallowly whatever the third argument is, unless it asks for more.
	if deep.Kind() == jsonvalue.Bool && deep.Bool() {
		return jsonvalue.Value{}, errInvalid
	}
	merged := jsonvalue.NewObjectBuilder(a.Len() + b.Len())
	for _, v := range []jsonvalue.Value{a, b} {
		for i, item := range v.Items() {
			merged.Set(v.Key(i), item)
		}
	}
	return merged.Value(), nil
}

func stringToJSON(in *invocation) (jsonvalue.Value, error) {
	s, err := in.text(0)
	if err != nil {
		return jsonvalue.Value{}, err
	}
	if strings.TrimSpace(s) == "" {
		return jsonvalue.Value{}, nil
	}
	v, err := jsonvalue.Parse(s)
	var syntax *jsonvalue.SyntaxError
	if errors.As(err, &syntax) {
		return v, &parseError{syntax}
	}
	return v, err
}

// parseError is text that is no JSON, as AWS's parser reports it.
type parseError struct{ syntax *jsonvalue.SyntaxError }

func (e *parseError) Error() string {
	const source = "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: "
	message, column := e.syntax.Message, e.syntax.Column
	if before, marker, ok := strings.Cut(message, "(start marker at line: "); ok {
		message = before + "(start marker at " + source + strings.TrimSuffix(marker, ")") + "])"
	}
	if strings.HasPrefix(message, "Unexpected character ") {
		// The parser has not read the character that it does not expect.
		column--
	}
	return fmt.Sprintf("%s\n at %s%d, column: %d]", message, source, e.syntax.Line, column)
}

func jsonToString(in *invocation) (jsonvalue.Value, error) {
	return jsonvalue.NewString(in.args[0].String()), nil
}

// mathRandom draws from [start, end). With a seed it is the first draw of Java's generator, so that it repeats.
func mathRandom(in *invocation) (jsonvalue.Value, error) {
	start, err := in.integer(0)
	if err != nil {
		return jsonvalue.Value{}, err
	}
	end, err := in.integer(1)
	if err != nil {
		return jsonvalue.Value{}, err
	}
	if start >= end || end-start > math.MaxInt32 {
		return jsonvalue.Value{}, errInvalid
	}
	if len(in.args) < 3 {
		return jsonvalue.NewInt(start + int64(in.env.Random()%uint64(end-start))), nil
	}
	seed, err := in.number(2)
	if err != nil || math.Abs(seed) >= 1<<62 {
		return jsonvalue.Value{}, errInvalid
	}
	return jsonvalue.NewInt(start + javaRandom(int64(seed), end-start)), nil
}

// javaRandom returns the first number from 0 to below bound of java.util.Random seeded with seed.
func javaRandom(seed, bound int64) int64 {
	const multiplier, mask = 0x5DEECE66D, 1<<48 - 1
	state := (uint64(seed) ^ multiplier) & mask
	for {
		state = (state*multiplier + 0xB) & mask
		bits := int64(state >> 17) // 31 of them
		if bound&-bound == bound {
			return bound * bits >> 31
		}
		// The numbers at the end, too few to be fair, are drawn again.
		if n := bits % bound; bits-n+bound-1 <= math.MaxInt32 {
			return n
		}
	}
}

func mathAdd(in *invocation) (jsonvalue.Value, error) {
	a, err := in.rounded(0)
	if err != nil {
		return jsonvalue.Value{}, err
	}
	b, err := in.rounded(1)
	if err != nil {
		return jsonvalue.Value{}, err
	}
	if sum := a + b; sum >= math.MinInt32 && sum <= math.MaxInt32 {
		return jsonvalue.NewInt(sum), nil
	}
	return jsonvalue.Value{}, errInvalid
}

func stringSplit(in *invocation) (jsonvalue.Value, error) {
	s, err := in.text(0)
	if err != nil {
		return jsonvalue.Value{}, err
	}
	delimiters, err := in.text(1)
	if err != nil {
		return jsonvalue.Value{}, err
	}
	parts := []jsonvalue.Value{}
	for _, part := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(delimiters, r) }) {
		parts = append(parts, jsonvalue.NewString(part))
	}
	return jsonvalue.NewArray(parts), nil
}

func uuid(in *invocation) (jsonvalue.Value, error) {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], in.env.Random())
	binary.BigEndian.PutUint64(b[8:], in.env.Random())
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return jsonvalue.NewString(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])), nil
}
