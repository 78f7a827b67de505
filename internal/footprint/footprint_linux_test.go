package footprint

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Only mappings of the program that were never written to are given up.
func TestUnwritten(t *testing.T) {
	t.Parallel()
	const smaps = `00400000-01200000 r-xp 00000000 08:01 42                         /opt/gust
Size:              14336 kB
Rss:                9000 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
01200000-01300000 r--p 00e00000 08:01 42                         /opt/gust
Rss:                 100 kB
Anonymous:             4 kB
01300000-01400000 r--p 00f00000 08:01 42                         /opt/gust
Rss:                   0 kB
Anonymous:             0 kB
01400000-01500000 rw-p 01000000 08:01 42                         /opt/gust
Anonymous:             0 kB
7f0000000000-7f0000100000 r-xp 00000000 08:01 43                 /lib/other
Anonymous:             0 kB
7f0000200000-7f0000300000 r--p 00000000 00:00 0
Anonymous:             0 kB
zz-10 r-xp 00000000 08:01 42                         /opt/gust
Anonymous:             0 kB
`
	want := []span{{0x400000, 0x1200000}, {0x1300000, 0x1400000}}
	if d := cmp.Diff(want, unwritten(strings.NewReader(smaps), "/opt/gust"), cmp.AllowUnexported(span{})); d != "" {
		t.Error(d)
	}
}

// Not parallel: it looks at the process's own memory.
func TestReleaseUnmapsTheProgram(t *testing.T) { //nolint:paralleltest // see above
	before := fileKB(t)
	Release()
	after := fileKB(t)
	t.Logf("%d kB of files before, %d kB after", before, after)
	if after >= before {
		t.Errorf("%d kB of files are mapped after the release, %d kB before", after, before)
	}
}

func fileKB(t *testing.T) int {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(raw), "RssFile:")
	if !found {
		t.Skip("the kernel does not tell RssFile")
	}
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
