package footprint

import (
	"bufio"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// releaseProgram unmaps the pages of the program's file. They stay in the kernel's cache: one that is needed again comes
// back without a read, together with its neighbours.
func releaseProgram() {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer f.Close()
	for _, s := range unwritten(f, self) {
		// With an address that Go's memory knows nothing of; unix.Madvise takes a slice.
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, s.from, s.to-s.from, unix.MADV_DONTNEED)
	}
}

// span is a mapping's addresses, from and up to.
type span struct{ from, to uintptr }

// unwritten finds in the text of /proc/PID/smaps the mappings of a file that cannot be written and hold nothing that was:
// code and constants. Giving up a page that was written to, by a relocation for example, would undo that.
func unwritten(smaps io.Reader, file string) []span {
	var spans []span
	var current *span
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) >= 5 && !strings.HasSuffix(fields[0], ":"):
			current = nil
			if len(fields) == 6 && fields[5] == file && !strings.Contains(fields[1], "w") {
				current = parseSpan(fields[0])
			}
		case current != nil && fields[0] == "Anonymous:":
			if fields[1] == "0" {
				spans = append(spans, *current)
			}
			current = nil
		}
	}
	return spans
}

func parseSpan(text string) *span {
	low, high, _ := strings.Cut(text, "-")
	from, err := strconv.ParseUint(low, 16, 64)
	if err != nil {
		return nil
	}
	to, err := strconv.ParseUint(high, 16, 64)
	if err != nil || to <= from {
		return nil
	}
	return &span{uintptr(from), uintptr(to)}
}
