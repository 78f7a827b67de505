package jsonatatest

import "strings"

// pattern writes a regular expression literal.
func (g *generator) pattern() string {
	return pick(g, `/a/`, `/o/`, `/[aeiou]+/`, `/\s+/`, `/(\w+) (\w+)/`, `/^t/i`, `/[A-Z]/`, `/\d+/`, `/(a)|(b)/`, `/e$/m`, `/./`, `/x*/`, `/\bthe\b/i`, `/(?:qu|br)\w+/`, `/([a-z])\1/`, `/(?=o)/`, `/o(?!x)/`, `/[^a-z]/`, `/\w{3,}/`, `/a|e|i/`,
		`/(.)(.)(.)/`, `/,/`, `/\./`, `/[\/\\]/`, `/^.*$/`, `/\u00e9/`, `/[é漢]/`, `/(o+)(.)?/`, `/h(?<n>e)/`, `/\S+/`, `/l{2}/`, `/.*?o/`, `/B/i`, `/\$/`, `/(x)?b/`, `/a.c/`, `/^/`, `/$/`)
}

// expression uses regular expressions in every way there is.
func (g *generator) expression() string {
	p, s := g.pattern(), g.of(str, 1)
	return pick(g, "$match("+s+", "+p+")", "$match("+s+", "+p+", "+g.argument('l', 0)+")", "$replace("+s+", "+p+", "+g.argument('h', 0)+")", "$replace("+s+", "+p+", "+g.argument('y', 0)+")", "$split("+s+", "+p+")", "$contains("+s+", "+p+")",
		p+"("+s+")", "("+p+"("+s+")).match", "("+p+"("+s+")).next().match", s+" ~> "+p, "$match("+s+", "+p+").groups", "$match("+s+", "+p+")[0].index", "words["+p+"($)]", "words[$contains("+p+")]", "$replace("+s+", "+p+", "+g.argument('h', 0)+", "+g.argument('l', 0)+")",
		"$split("+s+", "+p+", "+g.argument('l', 0)+")", "$type("+p+")", "$map(words, "+p+").match", "$filter(words, "+p+")", "$exists("+p+"("+s+"))", "$boolean("+p+")", "$string("+p+")", "("+p+")", "["+p+"]")
}

func (g *generator) numberPictureText() string {
	if g.chance(25) {
		return g.join(g.some(1, 8), "", func() string { return pick(g, "0", "0", "#", "#", ".", ",", "%", "‰", "e", ";", "x", "-", " ") })
	}
	text := pick(g, "", "", "$", "(", "£ ") + pick(g, "#", "##", "#,##", "", "#,#") + pick(g, "0", "00", "#,##0", "", "0,000")
	if g.chance(60) {
		text += "." + pick(g, "0", "00", "", "000") + pick(g, "", "#", "##", "#,#")
	}
	return text + pick(g, "", "", "", "%", "‰", "e0", "e00", ")", " x") + pick(g, "", "", "", ";(0)", ";-#,##0.00")
}

func (g *generator) numberPicture() string {
	text := "$formatNumber(" + g.of(number, 1) + ", " + quote(g.numberPictureText())
	if g.chance(25) {
		text += ", {" + g.join(g.some(0, 2), ", ", func() string {
			return pick(g, `"decimal-separator": ","`, `"grouping-separator": "."`, `"exponent-separator": "E"`, `"minus-sign": "~"`, `"percent": "pc"`, `"per-mille": "pm"`, `"zero-digit": "٠"`, `"digit": "@"`, `"pattern-separator": "|"`, `"infinity": "oo"`, `"other": "x"`)
		}) + "}"
	}
	return text + ")"
}

func (g *generator) integerPictureText() string {
	if g.chance(40) {
		return g.join(g.some(1, 6), "", func() string { return pick(g, "0", "0", "#", ",", ".", "1", "٠", "a", "-", ";", "o") })
	}
	return pick(g, "A", "a", "I", "i", "W", "w", "Ww", "0", "1", "01", "001", "#,##0", "#,###,##0", "٠", "０", "#.##0") + pick(g, "", "", ";o", ";c", ";", ";o(x)")
}

func (g *generator) integerPicture() string {
	picture := quote(g.integerPictureText())
	if g.chance(40) {
		return "$parseInteger(" + pick(g, `"twelve thousand, three hundred and forty-fifth"`, `"MCMXCIX"`, `"xiv"`, `"12,345"`, `"1.234"`, `"42nd"`, `"zz"`, `"١٢"`, `""`, `"one"`, `"x"`, g.of(str, 0), "$formatInteger("+g.leaf(number)+", "+picture+")") + ", " + picture + ")"
	}
	return "$formatInteger(" + pick(g, g.of(number, 1), "12345", "-7", "1999", "0", "21", "1000000", "112") + ", " + picture + ")"
}

func (g *generator) datePictureText() string {
	if g.chance(30) {
		return pick(g, "[Y0001]-[M01]-[D01]", "[M01]/[D01]/[Y0001] [h#1]:[m01][P]", "[Y]-[M]-[D]T[H]:[m]:[s].[f001][Z]", "[FNn], [D1o] [MNn] [Y]", "[Dwo] of [MNn], [YWw]", "[X]-W[W01]-[F1]", "[H01]:[m01] [z]", "[Y0001][M01][D01]", "[h]:[m] [PN]", "[Y] [d]", "plain", "[[x]]", "[Y", "")
	}
	return g.join(g.some(1, 4), "", func() string {
		return "[" + pick(g, "Y", "M", "D", "d", "F", "W", "w", "X", "x", "H", "h", "P", "m", "s", "f", "Z", "z", "C", "Q") + pick(g, "", "", "", "1", "01", "0001", "N", "n", "Nn", "I", "i", "w", "Ww", "A", "1o", "01:01", "0", "#0") + pick(g, "", "", "", ",2", ",2-2", ",*-3", ",3-3") + "]" + pick(g, "-", ":", " ", "/", "")
	})
}

func (g *generator) dateWrite() string {
	return "$fromMillis(" + g.argument('u', 0) + pick(g, "", ", "+quote(g.datePictureText()), ", "+quote(g.datePictureText())+", "+g.argument('z', 0), ", nothing, "+g.argument('z', 0)) + ")"
}

func (g *generator) dateRead() string {
	if g.chance(30) {
		return "$toMillis(" + g.argument('t', 0) + ")"
	}
	picture := quote(g.datePictureText())
	if strings.Contains(picture, "P") && g.chance(50) {
		return `$toMillis("2017-11-07 3:12 pm", "[Y]-[M]-[D] [h]:[m] [P]")`
	}
	return "$toMillis($fromMillis(" + g.argument('u', 0) + ", " + picture + "), " + picture + ")"
}
