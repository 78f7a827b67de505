package filters

import (
	"strings"

	"gust/dag/template/pyvalue"
)

var htmlEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&#39;", `"`, "&#34;")

// htmlFilters are the filters for HTML and XML. There is no automatic escaping, so safe changes nothing.
var htmlFilters = []*pyvalue.Func{
	plainFilter("escape", htmlEscapes.Replace),
	plainFilter("safe", func(s string) string { return s }),
	plainFilter("striptags", stripTags),
}

// stripTags removes tags and comments and joins runs of blanks.
func stripTags(s string) string {
	var b strings.Builder
	for s != "" {
		i := strings.IndexByte(s, '<')
		if i < 0 {
			break
		}
		end := "-->"
		if !strings.HasPrefix(s[i:], "<!--") {
			end = ">"
		}
		j := strings.Index(s[i:], end)
		if j < 0 {
			break
		}
		b.WriteString(s[:i])
		s = s[i+j+len(end):]
	}
	b.WriteString(s)
	return strings.Join(strings.Fields(b.String()), " ")
}
