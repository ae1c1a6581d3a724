package contract_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"stedi-lakehouse/data"
	"stedi-lakehouse/internal/contract"
)

var update = flag.Bool("update", false, "write what the jobs go by anew")

// implied is what a set of contracts implies about the table shoe_landing.
func implied(t *testing.T, files map[string]string) contract.Table {
	t.Helper()
	set, err := contract.Load(folder(files))
	if err != nil {
		t.Fatal(err)
	}
	all, err := set.Implied()
	if err != nil {
		t.Fatal(err)
	}
	place := slices.IndexFunc(all.Tables, func(one contract.Table) bool { return one.Table == "shoe_landing" })
	return all.Tables[place]
}

func TestLikeHasTheDescriptionOfAnother(t *testing.T) {
	table := implied(t, map[string]string{
		"shoe_landing.json": strings.Replace(validLanding, `"description": "Number of the shoe."`, `"like": "shoe_trusted.id"`, 1),
		"shoe_trusted.json": strings.Replace(valid, "Number of the shoe.", "The one in it.", 1),
	})
	id := table.Columns[0]
	if id.Description != "The one in it." || id.Like != "" || id.Field != "" || id.JSONKey != "shoeId" || table.Columns[1].JSONKey != "size" {
		t.Errorf("columns = %+v, want the description of shoe_trusted.id, and each its JSON key", table.Columns)
	}
	// Else it would depend on the order in which they are read.
	_, err := contract.Load(folder(map[string]string{
		"shoe_landing.json": strings.Replace(validLanding, `"description": "Number of the shoe."`, `"like": "shoe_trusted.owner"`, 1),
		"shoe_trusted.json": strings.Replace(valid, `"description": "Who wears it."`, `"like": "shoe_trusted.id"`, 1),
	}))
	if want := `column "id": is like "shoe_trusted.owner", want <table>.<column> with a description of its own`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Load error = %v, want %q in it", err, want)
	}
}

// What is plausible where a contract says nothing: from 2000 on, and a day ahead (R12).
func TestTimes(t *testing.T) {
	for text, want := range map[string]contract.Time{
		`"kind": "event_time", "limits": {}`:                                                             {Earliest: 946_684_800_000, Ahead: 86_400_000},
		`"kind": "consent_time", "limits": {}`:                                                           {Earliest: 946_684_800_000, Ahead: 86_400_000, Given: true},
		`"kind": "event_time", "limits": {"future_ms": {"made": 0}, "earliest_ms": {"made": 5}}`:         {Earliest: 5},
		`"kind": "consent_time", "limits": {"earliest_ms": {"made": 0}, "future_ms": {"made": 3600000}}`: {Ahead: 3_600_000, Given: true},
	} {
		kind, limits, _ := strings.Cut(text, ", ")
		file, text := with(true, limits)
		want.Column = "made"
		table := implied(t, map[string]string{file: strings.Replace(text, `"kind": "event_time"`, kind, 1)})
		if !slices.Equal(table.Times, []contract.Time{want}) {
			t.Errorf("%s: times = %+v, want %+v", limits, table.Times, want)
		}
	}
}

func TestLimits(t *testing.T) {
	for text, want := range map[string]string{
		`"limits": {}`:                         `{"quarantined_share":0.01}`,
		`"limits": {"future_ms": {"made": 0}}`: `{"quarantined_share":0.01}`,
		`"limits": {"quarantined_share": 0}`:   `{"quarantined_share":0}`, // not the default: no row may be quarantined
		`"limits": {"quarantined_share": 1}`:   `{"quarantined_share":1}`,
		`"limits": {"quarantined_share": 0.5}`: `{"quarantined_share":0.5}`,
		`"limits": {"optional": true}`:         `{"optional":true,"quarantined_share":0.01}`,
	} {
		file, contract := with(true, text)
		if got, err := json.Marshal(implied(t, map[string]string{file: contract}).Limits); string(got) != want || err != nil {
			t.Errorf("%s: limits = %s, want %s (error %v)", text, got, want, err)
		}
	}
	if got := implied(t, map[string]string{"shoe_landing.json": validLanding}); *got.Limits.QuarantinedShare != contract.DefaultQuarantinedShare || got.Address != "" {
		t.Errorf("limits = %+v, address = %q, want the usual limits, and no address", got.Limits, got.Address)
	}
}

func TestAddress(t *testing.T) {
	text := strings.NewReplacer(`"personal_data": false`, `"personal_data": true`, `"field": "shoeId",`, `"kind": "email", "personal": true,`).Replace(validLanding)
	table := implied(t, map[string]string{"shoe_landing.json": text})
	if len(table.Times) != 1 || table.Address != "id" || table.Prefix != "shoe/landing/" {
		t.Errorf("%+v, want one time, the address id, and the place shoe/landing/", table)
	}
}

// What the jobs go by is what the contracts say now.
func TestJobsFile(t *testing.T) {
	set, err := contract.Load(data.Contracts)
	if err != nil {
		t.Fatal(err)
	}
	text, err := set.JobsText()
	if err != nil {
		t.Fatal(err)
	}
	scripts := filepath.Join("..", "..", "glue-scripts")
	if *update {
		if err := os.WriteFile(filepath.Join(scripts, contract.JobsFile), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := set.CheckJobsFile(os.DirFS(scripts)); err != nil {
		t.Error(err)
	}
	old := fstest.MapFS{contract.JobsFile: {Data: append(text, '\n')}}
	for name, scripts := range map[string]fstest.MapFS{"another one": old, "none": {}} {
		if err := set.CheckJobsFile(scripts); err == nil || !strings.Contains(err.Error(), "glue-scripts/lakehouse/contracts.json") ||
			!strings.Contains(err.Error(), "run `make contracts`") {
			t.Errorf("%s: error %v, want the file and what to do", name, err)
		}
	}
}
