package main

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// harmless quotes what a terminal might take for an order: control characters
// and bytes that are not UTF-8.
func harmless(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && size == 1 || unicode.IsControl(r) {
			quoted := strconv.Quote(s[:size])
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteString(s[:size])
		}
		s = s[size:]
	}
	return b.String()
}
