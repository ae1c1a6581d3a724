package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNormalisedAddresses(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "emails.json"))
	if err != nil {
		t.Fatal(err)
	}
	var examples []struct {
		Written    string
		Normalised *string
		Why        string
	}
	if err := json.Unmarshal(content, &examples); err != nil || len(examples) == 0 {
		t.Fatalf("data/emails.json has %d examples: %v", len(examples), err)
	}
	for _, example := range examples {
		got, fit := normalise(example.Written)
		switch {
		case fit != (example.Normalised != nil):
			t.Errorf("%s: %+q is an address: %t", example.Why, example.Written, fit)
		case fit && got != *example.Normalised:
			t.Errorf("%s: %+q becomes %+q, want %+q", example.Why, example.Written, got, *example.Normalised)
		}
	}
}

// Whatever the flag, all spellings of an address are one person, and with it they are not only those that case and spaces make.
func TestAllSpellingsAreOnePerson(t *testing.T) {
	for _, wide := range []bool{false, true} {
		written := map[string]string{} // by normalised address
		others, decomposed := 0, 0
		for number := range 200 {
			id := newIdentity(random(1, number, streamPlanting), number, false, wide)
			person, _ := normalise(id.email)
			for s, quoted := range id.spelled {
				var text string
				if err := json.Unmarshal([]byte(quoted), &text); err != nil {
					t.Fatal(err)
				}
				if got, fit := normalise(text); !fit || got != person {
					t.Errorf("spelling %d: %+q becomes %+q, want %+q", s, text, got, person)
				}
				if other, found := written[person]; found && other != id.email {
					t.Errorf("%+q and %+q are one person", other, id.email)
				}
				if !strings.Contains(strings.ToLower(text), strings.ToLower(id.email)) {
					decomposed++
				}
				if strings.Trim(text, " ") != strings.TrimFunc(text, isEnd) {
					others++
				}
			}
			written[person] = id.email
		}
		if (others > 0) != wide || (decomposed > 0) != wide {
			t.Errorf("unicode %t: %d ends other than spaces, %d decomposed addresses", wide, others, decomposed)
		}
	}
}

func isEnd(r rune) bool { return strings.ContainsRune(" "+strings.Join(ends, ""), r) }
