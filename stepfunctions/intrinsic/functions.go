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

func (f function) wants() string {
	switch {
	case f.maxArgs < 0:
		return fmt.Sprintf("at least %d", f.minArgs)
	case f.minArgs != f.maxArgs:
		return fmt.Sprintf("%d to %d", f.minArgs, f.maxArgs)
	}
	return fmt.Sprint(f.minArgs)
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

// roundHalfUp rounds like Java's Math.round.
func roundHalfUp(f float64) int64 { return int64(math.Floor(f + 0.5)) }

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
		return jsonvalue.Value{}, fmt.Errorf("chunk size must be positive but was: %d", size)
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
		return jsonvalue.Value{}, errors.New("step size cannot be 0")
	}
	items := []jsonvalue.Value{}
	for i := first; step > 0 && i <= last || step < 0 && i >= last; i += step {
		if len(items) == maxRange {
			return jsonvalue.Value{}, fmt.Errorf("the range has more than %d items", maxRange)
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
	if i < 0 || i >= int64(len(items)) {
		return jsonvalue.Value{}, fmt.Errorf("index %d is out of bounds for an array of length %d", i, len(items))
	}
	return items[i], nil
}

func arrayLength(in *invocation) (jsonvalue.Value, error) {
	items, err := in.array(0)
	return jsonvalue.NewInt(int64(len(items))), err
}

func arrayUnique(in *invocation) (jsonvalue.Value, error) {
	items, err := in.array(0)
	if err != nil {
		return jsonvalue.Value{}, err
	}
	seen := map[string][]jsonvalue.Value{}
	unique := []jsonvalue.Value{}
next:
	for _, item := range items {
		// Values of one bucket may be equal; values of different buckets never are.
		bucket := item.Kind().String()
		if item.Kind() == jsonvalue.String {
			bucket += item.Text()
		}
		for _, other := range seen[bucket] {
			if jsonvalue.Equal(item, other) {
				continue next
			}
		}
		seen[bucket] = append(seen[bucket], item)
		unique = append(unique, item)
	}
	return jsonvalue.NewArray(unique), nil
}

func (in *invocation) shortText() (string, error) {
	s, err := in.text(0)
	if err == nil && utf8.RuneCountInString(s) > maxEncodeText {
		err = fmt.Errorf("the string is longer than %d characters", maxEncodeText)
	}
	return s, err
}

func base64Encode(in *invocation) (jsonvalue.Value, error) {
	s, err := in.shortText()
	return jsonvalue.NewString(base64.StdEncoding.EncodeToString([]byte(s))), err
}

func base64Decode(in *invocation) (jsonvalue.Value, error) {
	s, err := in.shortText()
	if err != nil {
		return jsonvalue.Value{}, err
	}
	data, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return jsonvalue.Value{}, fmt.Errorf("the string is not valid Base64: %w", err)
	}
	return jsonvalue.NewString(strings.ToValidUTF8(string(data), "\uFFFD")), nil
}

func hash(in *invocation) (jsonvalue.Value, error) {
	data := in.args[0].Text()
	if in.args[0].Kind() != jsonvalue.String {
		data = in.args[0].String()
	}
	if utf8.RuneCountInString(data) > maxEncodeText {
		return jsonvalue.Value{}, fmt.Errorf("the data is longer than %d characters", maxEncodeText)
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
		return jsonvalue.Value{}, fmt.Errorf("%q is not one of MD5, SHA-1, SHA-256, SHA-384, SHA-512", algorithm)
	}
	return jsonvalue.NewString(hex.EncodeToString(sum)), nil
}

func jsonMerge(in *invocation) (jsonvalue.Value, error) {
	a, b, deep := in.args[0], in.args[1], in.args[2]
	if a.Kind() != jsonvalue.Object || b.Kind() != jsonvalue.Object {
		return jsonvalue.Value{}, errors.New("the first two arguments must be objects")
	}
	if deep.Kind() != jsonvalue.Bool {
		return jsonvalue.Value{}, errors.New("the third argument must be a boolean")
	}
	if deep.Bool() {
		return jsonvalue.Value{}, errors.New("deep merging is not supported: the third argument must be false")
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
	if err != nil {
		return v, fmt.Errorf("the string is not JSON: %w", err)
	}
	return v, nil
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
		return jsonvalue.Value{}, fmt.Errorf("the range from %d to %d is empty or too large", start, end)
	}
	span := uint64(end - start)
	bits := in.env.Random()
	if len(in.args) == 3 {
		seed, err := in.integer(2)
		if err != nil {
			return jsonvalue.Value{}, err
		}
		bits = javaRandom31(seed)
	}
	return jsonvalue.NewInt(start + int64(bits%span)), nil
}

// javaRandom31 returns the first 31 bits of java.util.Random seeded with seed.
func javaRandom31(seed int64) uint64 {
	const multiplier, mask = 0x5DEECE66D, 1<<48 - 1
	state := (uint64(seed) ^ multiplier) & mask
	state = (state*multiplier + 0xB) & mask
	return state >> 17
}

func mathAdd(in *invocation) (jsonvalue.Value, error) {
	a, err := in.integer(0)
	if err != nil {
		return jsonvalue.Value{}, err
	}
	b, err := in.integer(1)
	if err != nil {
		return jsonvalue.Value{}, err
	}
	sum := a + b
	if (sum > a) != (b > 0) && b != 0 {
		return jsonvalue.Value{}, errors.New("the sum overflows")
	}
	return jsonvalue.NewInt(sum), nil
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

// format replaces each {} by the next argument. In a literal template \{ and \} are braces.
func format(in *invocation) (jsonvalue.Value, error) {
	template, err := in.text(0)
	if err != nil {
		return jsonvalue.Value{}, err
	}
	literal := in.raw[0] != ""
	if literal {
		template = in.raw[0]
	}
	var b strings.Builder
	next := 1
	for i := 0; i < len(template); i++ {
		switch c := template[i]; {
		case literal && c == '\\' && i+1 < len(template) && strings.IndexByte(`'{}\`, template[i+1]) >= 0:
			i++
			b.WriteByte(template[i])
		case c == '{' && i+1 < len(template) && template[i+1] == '}':
			i++
			if next == len(in.args) {
				return jsonvalue.Value{}, errors.New("the template has more {} than there are arguments")
			}
			if in.args[next].Kind() == jsonvalue.String {
				b.WriteString(in.args[next].Text())
			} else {
				b.WriteString(in.args[next].String())
			}
			next++
		default:
			b.WriteByte(c)
		}
	}
	if next != len(in.args) {
		return jsonvalue.Value{}, fmt.Errorf("the template has %d {} but there are %d arguments", next-1, len(in.args)-1)
	}
	return jsonvalue.NewString(b.String()), nil
}
