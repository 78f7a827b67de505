package jsonata

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"math"
	"math/rand/v2"

	"gust/stepfunctions/jsonvalue"
)

// stepFunctions are what AWS Step Functions adds to the language, and the functions of JSONata it extends. Parameters that
// must be integers are rounded down. The words of their errors are AWS's.
func stepFunctions(add adder) {
	add("partition", "<xn?:a>", 1, partition)
	add("range", "<nnn?:a>", 2, rangeFunction)
	add("hash", "<s-s:s>", 2, hashFunction)
	add("random", "<n?:n>", 0, randomFunction)
	add("uuid", "<:s>", 0, uuid)
	add("parse", "<s-:x>", 1, onText(parseFunction))
}

// random draws 64 random bits.
func (ev *evaluator) random() uint64 {
	if ev.env.Random != nil {
		return ev.env.Random()
	}
	if ev.fallback == nil {
		ev.fallback = rand.NewPCG(1, 2)
	}
	return ev.fallback.Uint64()
}

// unit turns random bits into a number from 0 up to but without 1.
func unit(bits uint64) float64 { return float64(bits>>11) / (1 << 53) }

// randomFunction gives the same number for the same seed.
func randomFunction(c call) (value, error) {
	seed := c.arg(0)
	if !seed.defined() {
		return numberValue(unit(c.ev.random())), nil
	}
	return numberValue(unit(rand.NewPCG(uint64(int64(math.Floor(seed.num))), 0).Uint64())), nil
}

func uuid(c call) (value, error) {
	var b [16]byte
	for i := range 2 {
		bits := c.ev.random()
		for k := range 8 {
			b[i*8+k] = byte(bits >> (8 * k))
		}
	}
	b[6] = b[6]&0x0F | 0x40
	b[8] = b[8]&0x3F | 0x80
	return stringValue(fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])), nil
}

// partition makes a single chunk of everything when no size is given, as AWS does.
func partition(c call) (value, error) {
	v, size := c.arg(0), math.Floor(c.arg(1).num)
	switch {
	case !v.defined():
		return value{}, nil
	case v.kind != kindArray:
		return value{}, failure("T0412", 0, "partition", "1", "undefined")
	case !c.arg(1).defined():
		size = math.Inf(1)
	case size < 0:
		return value{}, failure("D3137", 0, "partition", "Second argument must be zero or greater")
	case size == 0:
		return value{}, nil
	}
	items := v.items()
	if err := c.ev.spend(2 * len(items)); err != nil {
		return value{}, err
	}
	var out []value
	for len(items) > 0 {
		n := len(items)
		if size < float64(n) {
			n = int(size)
		}
		out = append(out, arrayValue(items[:n:n]))
		items = items[n:]
	}
	return arrayValue(out), nil
}

func rangeFunction(c call) (value, error) {
	for i := range 3 {
		if !c.arg(i).defined() {
			return value{}, nil
		}
	}
	from, to, by := math.Floor(c.arg(0).num), math.Floor(c.arg(1).num), math.Floor(c.arg(2).num)
	if by == 0 {
		return value{}, nil
	}
	size := math.Floor((to-from)/by) + 1
	if size > maxItems {
		return value{}, bound(tooBig, 0)
	}
	size = max(0, size)
	if err := c.ev.spend(int(size)); err != nil {
		return value{}, err
	}
	out := make([]value, int(size))
	for i := range out {
		out[i] = numberValue(from + float64(i)*by)
	}
	// A range of one number is that number at AWS.
	return sequenceValue(out), nil
}

// algorithms are those that AWS's $hash knows, weak ones included.
var algorithms = map[string]func() hash.Hash{
	"MD5": md5.New, "SHA-1": sha1.New, "SHA-256": sha256.New, "SHA-384": sha512.New384, "SHA-512": sha512.New,
}

func hashFunction(c call) (value, error) {
	if !c.arg(0).defined() || !c.arg(1).defined() {
		return value{}, nil
	}
	name := c.arg(1).str
	algorithm := algorithms[name]
	if algorithm == nil {
		return value{}, failure("D3137", 0, "hash",
			fmt.Sprintf("Hash algorithm '%s' must be one of SHA-1, SHA-384, SHA-256, SHA-512, MD5", name))
	}
	if err := c.ev.work(len(c.arg(0).str)); err != nil {
		return value{}, err
	}
	h := algorithm()
	h.Write([]byte(valid(c.arg(0).str)))
	return stringValue(hex.EncodeToString(h.Sum(nil))), nil
}

// parseFunction reads JSON text.
func parseFunction(c call, s string) (value, error) {
	if err := c.ev.write(8 * len(s)); err != nil {
		return value{}, err
	}
	v, err := jsonvalue.Parse(s)
	if err != nil {
		return value{}, failure("D3137", 0, "parse", "Invalid JSON")
	}
	return fromJSON(v), nil
}
