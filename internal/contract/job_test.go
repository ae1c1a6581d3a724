package contract_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"stedi-lakehouse/data"
	"stedi-lakehouse/internal/contract"
)

// table is a contract of one column with a job, as JSON.
func table(name, source, zone, job string) string {
	return `{"table": "` + name + `", "description": "Steps.", "source": "` + source + `", "zone": "` + zone + `", "format": "iceberg",
  "personal_data": true, "key": ["owner"],
  "columns": [
    {"name": "owner", "type": "string", "required": true, "personal": true, "description": "Who."},
    {"name": "subject_id", "type": "string", "pseudonym": true, "description": "Who, to nobody."}
  ],
  "job": ` + job + `}`
}

const readings = `{"name": "walk", "kind": "readings", "reads": ["boot_trusted"], "subject": "owner", "subjects": "people"}`

func shoes(job string) map[string]string {
	return map[string]string{
		"shoe_landing.json":    validLanding,
		"shoe_trusted.json":    table("shoe_trusted", "shoe", "trusted", job),
		"boot_landing.json":    strings.ReplaceAll(validLanding, "shoe", "boot"),
		"boot_consent.json":    strings.NewReplacer("shoe", "boot", "trusted", "consent").Replace(valid),
		"boot_suspension.json": strings.NewReplacer("shoe", "boot", "trusted", "suspension").Replace(valid),
		"boot_trusted.json":    table("boot_trusted", "boot", "trusted", `{"name": "boots", "kind": "customers"}`),
		"erasure_ledger.json":  strings.NewReplacer("shoe_trusted", "erasure_ledger", `"shoe"`, `"erasure"`, "trusted", "ledger").Replace(valid),
		"run_ledger.json":      strings.NewReplacer("shoe_trusted", "run_ledger", `"shoe"`, `"run"`, "trusted", "ledger").Replace(valid),
	}
}

func TestTablesFollowFromASource(t *testing.T) {
	set, err := contract.Load(folder(shoes(readings)))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"shoe_index", "shoe_quarantine"} {
		got, err := set.Get(name)
		if err != nil || got.Source != "shoe" || got.Columns[0].Description != "File, e.g. shoe/landing/a.json." {
			t.Errorf("%s = %+v, %v, want it made from contracts/each_source", name, got, err)
		}
	}
}

func TestWork(t *testing.T) {
	files := shoes(readings)
	files["walk_curated.json"] = table("walk_curated", "walk", "curated",
		`{"name": "run", "kind": "derived", "reads": ["boot_trusted"], "rows_of": "boot_trusted"}`)
	set, err := contract.Load(folder(files))
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := set.JobsInOrder()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, job := range jobs {
		got = append(got, fmt.Sprintf("%s: %s of %s, lands %q, keeps %q, puts aside %q, notes %s, writes %q",
			job.Name, job.Kind, job.Source, job.Landing, job.Keeps, job.Quarantine, job.Intake, job.Writes()))
	}
	want := []string{
		`boots: customers of boot, lands "boot_landing", keeps ["boot_suspension" "boot_consent"], puts aside "boot_quarantine", ` +
			`notes intake/ledger/boots.json, writes ["boot_trusted" "boot_consent" "boot_suspension" "boot_quarantine" "run_ledger"]`,
		`run: derived of walk, lands "", keeps [], puts aside "", notes intake/ledger/run.json, writes ["walk_curated" "run_ledger"]`,
		`walk: readings of shoe, lands "shoe_landing", keeps ["shoe_index"], puts aside "shoe_quarantine", ` +
			`notes intake/ledger/walk.json, writes ["shoe_trusted" "shoe_index" "shoe_quarantine" "run_ledger"]`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("the jobs are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestLoadRefusesJobs(t *testing.T) {
	for name, test := range map[string]struct{ change, to, want string }{
		"name":                  {`"walk"`, `"Walk"`, `shoe_trusted.json: job.name is "Walk"`},
		"kind":                  {`"readings"`, `"steps"`, `job.kind is "steps", allowed: customers, readings, derived`},
		"kind of another zone":  {`"kind": "readings"`, `"kind": "derived"`, "job.kind derived is allowed in zone curated only"},
		"nothing read":          {`["boot_trusted"]`, `[]`, "job.reads is empty"},
		"its own table":         {`["boot_trusted"]`, `["shoe_trusted"]`, `job.reads: table "shoe_trusted" is the job's own`},
		"unknown table":         {`boot_trusted`, `bot_trusted`, `shoe_trusted.json: job: no contract for table "bot_trusted"`},
		"made by no job":        {`boot_trusted`, `sock_trusted`, "job.reads: no job makes sock_trusted"},
		"a table twice":         {`["boot_trusted"]`, `["boot_trusted", "boot_trusted"]`, "is given twice"},
		"landing":               {`boot_trusted`, `sock_landing`, "sock_landing is a landing table; only the job of its own source may read it"},
		"subject not declared":  {`"subject": "owner"`, `"subject": "user"`, `job.subject: column "user" is not declared`},
		"subject not personal":  {`"subject": "owner"`, `"subject": "subject_id"`, `job.subject: column "subject_id" names whose reading it is`},
		"no subjects":           {`"people"`, `""`, "job.subjects is"},
		"derived of a reading":  {`"subject": "owner"`, `"subject": "owner", "rows_of": "boot_trusted"`, "allowed for kind derived only"},
		"two jobs of one name":  {`"walk"`, `"run"`, `job.name: "run" is also the job of`},
		"customers read tables": {`"kind": "readings"`, `"kind": "customers"`, "job.reads is not allowed for kind customers"},
	} {
		t.Run(name, func(t *testing.T) {
			files := shoes(strings.Replace(readings, test.change, test.to, 1))
			files["sock_landing.json"] = strings.ReplaceAll(validLanding, "shoe", "sock")
			files["sock_trusted.json"] = strings.ReplaceAll(valid, "shoe", "sock")
			files["walk_curated.json"] = table("walk_curated", "walk", "curated",
				`{"name": "run", "kind": "derived", "reads": ["boot_trusted"], "rows_of": "boot_trusted"}`)
			if _, err := contract.Load(folder(files)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Load error = %v, want %q in it", err, test.want)
			}
		})
	}
}

func TestLoadRefusesDerived(t *testing.T) {
	const job = `{"name": "run", "kind": "derived", "reads": ["boot_trusted"], "rows_of": "boot_trusted"}`
	for name, test := range map[string]struct{ change, to, want string }{
		"as it should be":      {"", "", ""},
		"no rows_of":           {`"rows_of": "boot_trusted"`, `"rows_of": ""`, "job.rows_of is"},
		"rows_of of other job": {`"derived"`, `"customers"`, "job.rows_of is allowed for kind derived only"},
	} {
		t.Run(name, func(t *testing.T) {
			files := shoes(readings)
			files["walk_curated.json"] = table("walk_curated", "walk", "curated", strings.Replace(job, test.change, test.to, 1))
			_, err := contract.Load(folder(files))
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("Load error = %v, want %q in it", err, test.want)
			}
		})
	}
}

func TestJobsInOrder(t *testing.T) {
	set, err := contract.Load(data.Contracts)
	if err != nil {
		t.Fatal(err)
	}
	ordered, err := set.JobsInOrder()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range ordered {
		names = append(names, c.Name)
	}
	// The design's order; jobs of other sources may stand between.
	want := []string{
		"customer_landing_to_trusted", "accelerometer_landing_to_trusted", "customer_trusted_to_curated", "step_trainer_trusted",
		"machine_learning_curated",
	}
	place := 0
	for _, name := range names {
		if place < len(want) && name == want[place] {
			place++
		}
	}
	if place < len(want) {
		t.Errorf("jobs run in the order %q, want %q in it", names, want)
	}
}

func TestJobsInACycle(t *testing.T) {
	files := shoes(strings.Replace(readings, "boot_trusted", "walk_curated", 1))
	files["walk_curated.json"] = table("walk_curated", "walk", "curated",
		`{"name": "run", "kind": "derived", "reads": ["shoe_trusted"], "rows_of": "shoe_trusted"}`)
	_, err := contract.Load(folder(files))
	if err == nil || !strings.Contains(err.Error(), "walk_curated reads shoe_trusted; shoe_trusted reads walk_curated") {
		t.Errorf("Load error = %v, want it to name the tables of the cycle", err)
	}
}
