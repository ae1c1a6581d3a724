package strictjson

import (
	"strings"
	"testing"
)

type document struct {
	Name  string          `json:"name"`
	Count int             `json:"count,omitempty"`
	Share float64         `json:"share,omitempty"`
	Items []item          `json:"items,omitempty"`
	Named map[string]item `json:"named,omitempty"`
	Child *item           `json:"child,omitzero"`
}

type item struct {
	On bool `json:"on"`
}

func TestUnmarshalFillsTarget(t *testing.T) {
	var got document
	text := `{"name":"a","count":3,"share":0.5,"items":[{"on":true}],"named":{"x":{"on":true}},"child":{"on":false}}`
	if err := Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if got.Name != "a" || got.Count != 3 || got.Share != 0.5 || !got.Items[0].On || !got.Named["x"].On || got.Child == nil {
		t.Errorf("Unmarshal(%s) = %+v", text, got)
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"unknown key":       {`{"name":"a","title":1}`, "title: unknown key; allowed: name, count, share, items, named, child"},
		"other case":        {`{"Name":"a"}`, "Name: unknown key"},
		"unknown inside":    {`{"name":"a","items":[{"on":true},{"on":true,"of":1}]}`, "items[1].of: unknown key; allowed: on"},
		"unknown in map":    {`{"name":"a","named":{"x":{"on":true,"of":{"a":[1]}}}}`, "named.x.of: unknown key"},
		"twice":             {`{"name":"a","name":"b"}`, "name: the key is given twice"},
		"missing":           {`{"count":1}`, "name: missing; it is required"},
		"missing in child":  {`{"name":"a","child":{}}`, "child.on: missing"},
		"text for number":   {`{"name":"a","count":"3"}`, `count: got "3", want a whole number`},
		"part of a number":  {`{"name":"a","count":1.5}`, "count: got 1.5, want a whole number"},
		"number for text":   {`{"name":7}`, "name: got 7, want a string"},
		"null":              {`{"name":null}`, "name: got null, want a string"},
		"list for object":   {`{"name":"a","child":[1]}`, "child: got a list, want an object"},
		"object for list":   {`{"name":"a","items":{"on":true}}`, "items: got an object, want a list"},
		"object for number": {`{"name":"a","count":{}}`, "count: got an object, want a whole number"},
		"more text":         {`{"name":"a"} {}`, "more text follows"},
		"cut off":           {`{"name":"a"`, "not valid JSON: unexpected EOF"},
		"empty":             {``, "not valid JSON: unexpected EOF"},
		"broken":            {`{"name":}`, "not valid JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			var got document
			err := Unmarshal([]byte(test.text), &got)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Unmarshal(%s) error = %v, want it to contain %q", test.text, err, test.want)
			}
		})
	}
}

func TestUnmarshalReportsEveryMistake(t *testing.T) {
	var got document
	err := Unmarshal([]byte(`{"count":"3","title":1}`), &got)
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("error = %v, want three lines: count, title, name", err)
	}
}
