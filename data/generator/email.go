package main

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
)

// lower makes each character lower case by itself, as Unicode's full mapping has it.
var lower = cases.Lower(language.Und, cases.HandleFinalSigma(false))

// normalise gives the one spelling under which an address is compared (R11, docs/consent-rules.md); false: it is no address.
func normalise(written string) (string, bool) {
	ends := strings.TrimFunc(norm.NFC.String(written), func(r rune) bool { return unicode.Is(unicode.White_Space, r) || invisible(r) })
	address := norm.NFC.String(lower.String(ends))
	unfit := func(r rune) bool {
		return unicode.In(r, unicode.White_Space, unicode.Z, unicode.C) || invisible(r)
	}
	return address, address != "" && strings.IndexFunc(address, unfit) < 0
}

// invisible tells of a character whether programs are not to show it: Unicode's Default_Ignorable_Code_Point with all of category Cf.
func invisible(r rune) bool {
	return unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
