package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// identity is who a person is. The domains and the 555-01xx numbers are reserved for examples.
type identity struct {
	name       string
	email      string // as the person writes it
	phone      string
	birthday   string // yyyy-mm-dd
	registered int64  // ms since epoch
	spelled    [spellings]string
}

var (
	firstNames = []string{
		"Ada", "Amir", "Åsa", "Beatriz", "Bo", "Carmen", "Chidi", "Dana", "Emeka", "Fatima", "Felix", "Greta", "Hana", "Ivo",
		"Jamila", "Jonas", "Kenji", "Lea", "Luca", "Mei", "Milan", "Nadia", "Noor", "Olga", "Pablo", "Priya", "Quinn", "Rosa",
		"Sami", "Tariq", "Uma", "Viktor", "Wanda", "Xavi", "Yara", "Zoë",
	}
	lastNames = []string{
		"Adeyemi", "Becker", "Castro", "Dubois", "Eriksen", "Ferrari", "García", "Haddad", "Ito", "Jansen", "Kaya", "Lindqvist",
		"Moreau", "Novak", "O'Brien", "Petrov", "Quist", "Rossi", "Sato", "Tran", "Ueda", "Vargas", "Weiss", "Xu", "Yilmaz", "Zhou",
	}
	toASCII   = strings.NewReplacer("Å", "A", "ë", "e", "í", "i", "'", "")
	toLetters = strings.NewReplacer("'", "")

	// ends are what an address may have around it beside spaces, all of it taken off (R11).
	ends = []string{"\u00a0", "\t", "\u200b", "\ufeff", "\u3000", "\r\n"}
)

// newIdentity makes a person. With unicode, letters of the address are not those of ASCII only, and its spellings are of every kind.
func newIdentity(rng *rand.Rand, number int, unknown, unicode bool) identity {
	first, last := firstNames[rng.IntN(len(firstNames))], lastNames[rng.IntN(len(lastNames))]
	domain := []string{"example.com", "example.org"}[rng.IntN(2)]
	tag := "" // a stranger's number is a household's and must not meet a customer's
	if unknown {
		tag = "x"
	}
	letters, end, form := toASCII, " ", norm.NFC
	if unicode {
		letters, end, form = toLetters, ends[number%len(ends)], norm.NFD
	}
	id := identity{
		name:     first + " " + last,
		email:    fmt.Sprintf("%s.%s.%s%d@%s", letters.Replace(first), letters.Replace(last), tag, number, domain),
		phone:    newPhone(rng),
		birthday: fmt.Sprintf("%d-%02d-%02d", 1930+rng.IntN(76), 1+rng.IntN(12), 1+rng.IntN(28)),
	}
	for s := range spellings {
		id.spelled[s] = quote(s.of(id.email, end, form))
	}
	return id
}

func newPhone(rng *rand.Rand) string {
	return fmt.Sprintf("%d55501%02d", 201+rng.IntN(789), rng.IntN(100))
}

// newSerial has the form of a random UUID.
func newSerial(rng *rand.Rand) string {
	a, b := rng.Uint64(), rng.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", uint32(a), uint16(a>>32), uint16(a>>48)&0xfff, uint16(b)&0x3fff|0x8000, b>>16)
}

// spelling is one of the ways in which an e-mail is written; all of them name the same person (R11).
type spelling uint8

const (
	plain spelling = iota
	lowerCase
	upperCase
	endBefore
	endAfter
	spellings
)

func newSpelling(rng *rand.Rand) spelling {
	if !chance(rng, chanceOddSpelling) {
		return plain
	}
	return lowerCase + spelling(rng.IntN(int(spellings-lowerCase)))
}

// of spells an address with what may be around it, and in lower case in a form of Unicode.
func (s spelling) of(email, end string, form norm.Form) string {
	normal, _ := normalise(email)
	switch s {
	case lowerCase:
		return form.String(normal)
	case upperCase:
		return strings.ToUpper(email)
	case endBefore:
		return end + email
	case endAfter:
		return normal + end + end
	}
	return email
}

// share is a share flag of a customer record: a date, or one of the ways of not giving one.
type share struct {
	form shareForm
	date int64
}

type shareForm uint8

const (
	shareAbsent shareForm = iota
	shareNull
	shareZero
	shareGiven
)

func given(date int64) share { return share{shareGiven, date} }

// refused is absent as a rule; null and 0 mean the same (R2).
func refused(rng *rand.Rand) share {
	return share{form: []shareForm{shareAbsent, shareAbsent, shareAbsent, shareNull, shareZero}[rng.IntN(5)]}
}

func perhaps(rng *rand.Rand, date int64) share {
	if chance(rng, 500) {
		return given(date)
	}
	return share{}
}

// quote encodes a string as JSON.
func quote(s string) string {
	encoded, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always encodes
	}
	return string(encoded)
}
