package contract_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"stedi-lakehouse/data"
	"stedi-lakehouse/internal/contract"
)

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
func TestTimesAndLimits(t *testing.T) {
	for name, test := range map[string]struct {
		kind, limits string
		want         contract.Time
		share        float64
		optional     bool
	}{
		"usual":   {"event_time", `{}`, contract.Time{Column: "made", Earliest: 946_684_800_000, Ahead: 86_400_000}, 0.01, false},
		"consent": {"consent_time", `{}`, contract.Time{Column: "made", Earliest: 946_684_800_000, Ahead: 86_400_000, Given: true}, 0.01, false},
		"limited": {"event_time", `{"future_ms": {"made": 0}, "earliest_ms": {"made": 5}, "quarantined_share": 0, "optional": true}`,
			contract.Time{Column: "made", Earliest: 5}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			file, text := with(true, `"limits": `+test.limits)
			table := implied(t, map[string]string{file: strings.Replace(text, "event_time", test.kind, 1)})
			if !slices.Equal(table.Times, []contract.Time{test.want}) {
				t.Errorf("times = %+v, want %+v", table.Times, test.want)
			}
			if got := *table.Limits; got.QuarantinedShare != test.share || got.Optional != test.optional || got.UnnamedShare != nil {
				t.Errorf("limits = %+v, want a share of %v, optional %v, and none of unnamed rows", got, test.share, test.optional)
			}
		})
	}
	table := implied(t, map[string]string{"shoe_landing.json": validLanding})
	if table.Limits == nil || table.Limits.QuarantinedShare != contract.DefaultQuarantinedShare || table.Address != "" {
		t.Errorf("limits = %+v, address = %q, want the usual limits, and no address", table.Limits, table.Address)
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
	if err := set.CheckJobsFile(os.DirFS(filepath.Join("..", "..", "glue-scripts"))); err != nil {
		t.Error(err)
	}
	text, err := set.JobsText()
	if err != nil {
		t.Fatal(err)
	}
	old := fstest.MapFS{contract.JobsFile: {Data: append(text, '\n')}}
	for name, scripts := range map[string]fstest.MapFS{"another one": old, "none": {}} {
		if err := set.CheckJobsFile(scripts); err == nil || !strings.Contains(err.Error(), "glue-scripts/lakehouse/contracts.json") ||
			!strings.Contains(err.Error(), "run `make contracts`") {
			t.Errorf("%s: error %v, want the file and what to do", name, err)
		}
	}
}
