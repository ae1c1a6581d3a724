package contract_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"stedi-lakehouse/data"
	"stedi-lakehouse/internal/contract"
)

const columns = `"columns": [
    {"name": "id", "type": "string", "required": true, "description": "Number of the shoe."},
    {"name": "owner", "type": "string", "personal": true, "description": "Who wears it."},
    {"name": "size", "type": "int", "since": 2, "description": "Size."}
  ]`

const valid = `{
  "table": "shoe_trusted", "description": "Shoes.", "source": "shoe", "zone": "trusted", "format": "iceberg",
  "personal_data": true, "key": ["id"],
  ` + columns + `
}`

const validLanding = `{
  "table": "shoe_landing", "description": "Shoes.", "source": "shoe", "zone": "landing", "format": "json",
  "personal_data": false, "key": ["id"],
  "columns": [
    {"name": "id", "type": "string", "field": "shoeId", "required": true, "description": "Number of the shoe."},
    {"name": "size", "type": "int", "since": 2, "description": "Size."}
  ]
}`

func load(name, text string) (contract.Set, error) {
	return contract.Load(fstest.MapFS{"contracts/" + name: {Data: []byte(text)}})
}

func TestLoadRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change  []string // old, new: replaced in the valid contract
		landing bool     // start from validLanding
		want    string
	}{
		"unknown key":            {change: []string{`"source"`, `"sauce"`}, want: "shoe_trusted.json: sauce: unknown key; allowed: table, description"},
		"unknown column key":     {change: []string{`"personal": true`, `"privat": true`}, want: `shoe_trusted.json: column "owner": columns[1].privat: unknown key`},
		"key of a later issue":   {change: []string{`"zone": "trusted",`, `"zone": "trusted", "limits": {},`}, want: "limits: unknown key"},
		"missing personal_data":  {change: []string{`"personal_data": true,`, ``}, want: "personal_data: missing"},
		"not JSON":               {change: []string{`"key": [`, `"key": `}, want: "shoe_trusted.json: not valid JSON"},
		"since as text":          {change: []string{`"since": 2`, `"since": "2"`}, want: `column "size": columns[2].since: got "2", want a whole number`},
		"since 0":                {change: []string{`"since": 2`, `"since": 0`}, want: `shoe_trusted.json: column "size": since is 0`},
		"since negative":         {change: []string{`"since": 2`, `"since": -1`}, want: `column "size": since is -1`},
		"later and required":     {change: []string{`"since": 2`, `"since": 2, "required": true`}, want: `column "size": is added later (since 2), so it cannot be required`},
		"unknown type":           {change: []string{`"type": "int"`, `"type": "integer"`}, want: `column "size": type is "integer", allowed: string, int, bigint, double, boolean`},
		"duplicate column":       {change: []string{`"name": "size"`, `"name": "id"`}, want: `column "id": declared twice`},
		"upper-case column":      {change: []string{`"name": "size"`, `"name": "Size"`}, want: `column "Size": want lower-case`},
		"column described not":   {change: []string{`"Size."`, `""`}, want: `column "size": description is empty`},
		"key not declared":       {change: []string{`["id"]`, `["ident"]`}, want: `key: column "ident" is not declared`},
		"key twice":              {change: []string{`["id"]`, `["id", "id"]`}, want: `key: column "id" is given twice`},
		"no key":                 {change: []string{`["id"]`, `[]`}, want: "key is empty"},
		"key not required":       {change: []string{`"required": true, `, ``}, want: `column "id": is part of the key, so it must be required`},
		"key added later":        {change: []string{`"required": true,`, `"required": true, "since": 3,`}, want: `column "id": is part of the key, so it cannot be added later (since 3)`},
		"no columns":             {change: []string{columns, `"columns": []`}, want: "columns is empty"},
		"personal in clean":      {change: []string{`"personal_data": true`, `"personal_data": false`}, want: `column "owner": is personal, but the table is declared free of personal data`},
		"nothing personal":       {change: []string{`"personal": true, `, ``}, want: "personal_data is true, but no column is marked personal"},
		"name is not the file's": {change: []string{`"table": "shoe_trusted"`, `"table": "shoes_trusted"`}, want: `table is "shoes_trusted", want the file's name`},
		"table of other source":  {change: []string{`"source": "shoe"`, `"source": "boot"`}, want: `want <source>_<zone>: "boot_trusted"`},
		"bad source":             {change: []string{`"source": "shoe"`, `"source": "../shoe"`}, want: `source is "../shoe"`},
		"bad zone":               {change: []string{`"zone": "trusted"`, `"zone": "silver"`}, want: `zone is "silver", allowed: landing, trusted, curated`},
		"bad format":             {change: []string{`"iceberg"`, `"parquet"`}, want: `format is "parquet", want "iceberg" in zone trusted`},
		"landing in iceberg":     {landing: true, change: []string{`"json"`, `"iceberg"`}, want: `format is "iceberg", want "json" in zone landing`},
		"described not":          {change: []string{`"Shoes."`, `""`}, want: "description is empty"},
		"field without a file":   {change: []string{`"name": "size"`, `"name": "size", "field": "Size"`}, want: `column "size": field is allowed in format json only`},
		"JSON key twice":         {landing: true, change: []string{`"name": "size"`, `"name": "size", "field": "SHOEID"`}, want: `column "size": JSON key "SHOEID" already belongs to another column`},
	} {
		t.Run(name, func(t *testing.T) {
			file, text := "shoe_trusted.json", valid
			if test.landing {
				file, text = "shoe_landing.json", validLanding
			}
			changed := strings.Replace(text, test.change[0], test.change[1], 1)
			if changed == text {
				t.Fatalf("the contract does not contain %q", test.change[0])
			}
			_, err := load(file, changed)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Load error = %v\nwant it to contain %q", err, test.want)
			}
			if err != nil && !strings.HasPrefix(err.Error(), file+": ") {
				t.Errorf("Load error = %v, want it to begin with the file's name", err)
			}
		})
	}
}

func TestLoadReportsEveryFile(t *testing.T) {
	_, err := contract.Load(fstest.MapFS{
		"contracts/shoe_trusted.json": {Data: []byte(strings.Replace(valid, `"int"`, `"long"`, 1))},
		"contracts/shoe_landing.json": {Data: []byte(strings.Replace(validLanding, `"int"`, `"long"`, 1))},
	})
	if err == nil || !strings.Contains(err.Error(), "shoe_trusted.json") || !strings.Contains(err.Error(), "shoe_landing.json") {
		t.Errorf("Load error = %v, want both files", err)
	}
}

func TestLoadNeedsFiles(t *testing.T) {
	if _, err := contract.Load(fstest.MapFS{}); err == nil || !strings.Contains(err.Error(), "no *.json file") {
		t.Errorf("Load of an empty folder: error = %v, want it to say that there is none", err)
	}
}

func TestTemplateColumns(t *testing.T) {
	for name, test := range map[string]struct {
		file, text string
		want       string
	}{
		"iceberg is frozen at version 1": {"shoe_trusted.json", valid, "id owner"},
		"landing has every column":       {"shoe_landing.json", validLanding, "id size"},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := load(test.file, test.text)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, column := range set[0].TemplateColumns() {
				got = append(got, column.Name)
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("TemplateColumns = %q, want %q", got, test.want)
			}
		})
	}
}

func TestColumnDefaults(t *testing.T) {
	set, err := load("shoe_landing.json", validLanding)
	if err != nil {
		t.Fatal(err)
	}
	columns := set[0].Columns
	if columns[0].Since != 1 || columns[1].Since != 2 {
		t.Errorf("since = %d, %d, want 1 (default), 2", columns[0].Since, columns[1].Since)
	}
	if columns[0].JSONKey() != "shoeId" || columns[1].JSONKey() != "size" {
		t.Errorf("JSON keys = %q, %q, want shoeId, size (default: the name)", columns[0].JSONKey(), columns[1].JSONKey())
	}
	if got := set[0].Prefix(); got != "shoe/landing" {
		t.Errorf("Prefix = %q, want shoe/landing", got)
	}
}

func TestProjectContracts(t *testing.T) {
	set, err := contract.Load(data.Contracts)
	if err != nil {
		t.Fatal(err)
	}
	if len(set) < 8 {
		t.Errorf("got %d contracts, want at least the eight tables of the design", len(set))
	}
	machineLearning, err := set.Get("machine_learning_curated")
	if err != nil {
		t.Fatal(err)
	}
	if machineLearning.PersonalData {
		t.Error("machine_learning_curated must be declared free of personal data (R6)")
	}
	if _, err := set.Get("shoe_landing"); err == nil || !strings.Contains(err.Error(), `"customer_landing"`) {
		t.Errorf("Get of an unknown table: error = %v, want it to name the tables there are", err)
	}
}
