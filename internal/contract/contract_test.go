package contract_test

import (
	"fmt"
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
    {"name": "size", "type": "int", "since": 2, "description": "Size."},
    {"name": "made", "type": "bigint", "kind": "event_time", "description": "When it was made, ms since epoch."}
  ]
}`

// follower is a table of zone <zone> that every source has.
const follower = `{
  "table": "<source>_<zone>", "description": "Beside <source>.", "source": "<source>", "zone": "<zone>", "format": "iceberg",
  "personal_data": false, "key": ["file"],
  "columns": [{"name": "file", "type": "string", "required": true, "description": "File, e.g. <source>/landing/a.json."}]
}`

// folder is a file system with contracts by file name, and with the tables that every source has.
func folder(contracts map[string]string) fstest.MapFS {
	files := fstest.MapFS{}
	for _, zone := range []string{"index", "quarantine"} {
		files["contracts/each_source/"+zone+".json"] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(follower, "<zone>", zone))}
	}
	for name, text := range contracts {
		files["contracts/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

func load(name, text string) (contract.Set, error) {
	return contract.Load(folder(map[string]string{name: text}))
}

func TestLoadRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change  []string // old, new: replaced in the valid contract
		landing bool     // start from validLanding
		want    string
	}{
		"unknown key":            {change: []string{`"source"`, `"sauce"`}, want: "shoe_trusted.json: sauce: unknown key; allowed: table, description"},
		"unknown column key":     {change: []string{`"personal": true`, `"privat": true`}, want: `shoe_trusted.json: column "owner": columns[1].privat: unknown key`},
		"key of a later issue":   {change: []string{`"zone": "trusted",`, `"zone": "trusted", "owner": {},`}, want: "owner: unknown key"},
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
		"described twice":        {change: []string{`"Size."`, `"Size.", "like": "shoe_trusted.id"`}, want: `column "size": has a description and is like shoe_trusted.id, want one of them`},
		"like no table":          {change: []string{`"description": "Size."`, `"like": "boot_trusted.size"`}, want: `column "size": like: no contract for table "boot_trusted"`},
		"like no column":         {change: []string{`"description": "Size."`, `"like": "shoe_trusted.width"`}, want: `column "size": is like "shoe_trusted.width", want <table>.<column> with a description of its own`},
		"like a table":           {change: []string{`"description": "Size."`, `"like": "shoe_trusted"`}, want: `column "size": is like "shoe_trusted", want <table>.<column>`},
		"like itself":            {change: []string{`"description": "Size."`, `"like": "shoe_trusted.size"`}, want: `column "size": is like "shoe_trusted.size", want <table>.<column> with a description of its own`},
		"like another type":      {change: []string{`"description": "Size."`, `"like": "shoe_trusted.id"`}, want: `column "size": has type int, and is like shoe_trusted.id of type string`},
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
		"bad zone":               {change: []string{`"zone": "trusted"`, `"zone": "silver"`}, want: `zone is "silver", allowed: landing, quarantine, consent, suspension, index, trusted, curated, ledger`},
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

// with puts a key into the valid contract, or into the valid landing contract.
func with(landing bool, text string) (file, contract string) {
	if landing {
		return "shoe_landing.json", strings.Replace(validLanding, `"key": ["id"],`, `"key": ["id"], `+text+`,`, 1)
	}
	return "shoe_trusted.json", strings.Replace(valid, `"key": ["id"],`, `"key": ["id"], `+text+`,`, 1)
}

func TestLoadRefusesRules(t *testing.T) {
	for name, test := range map[string]struct {
		text    string
		landing bool
		want    string
	}{
		"limits of a trusted table": {text: `"limits": {}`, want: "limits is allowed in zone landing only"},
		"unknown limit":             {landing: true, text: `"limits": {"past_ms": {}}`, want: "limits.past_ms: unknown key; allowed: future_ms, earliest_ms, optional, quarantined_share, unnamed_share"},
		"future of no column":       {landing: true, text: `"limits": {"future_ms": {"worn": 1}}`, want: `limits.future_ms: column "worn" is not declared`},
		"future of a text":          {landing: true, text: `"limits": {"future_ms": {"id": 1}}`, want: `limits.future_ms: column "id" has kind "", want a time: event_time or consent_time`},
		"future before now":         {landing: true, text: `"limits": {"future_ms": {"made": -1}}`, want: `limits.future_ms: column "made": got -1 ms, want 0 or more`},
		"future in words":           {landing: true, text: `"limits": {"future_ms": {"made": "a day"}}`, want: `limits.future_ms.made: got "a day", want a whole number`},
		"earliest of no column":     {landing: true, text: `"limits": {"earliest_ms": {"worn": 1}}`, want: `limits.earliest_ms: column "worn" is not declared`},
		"earliest of a text":        {landing: true, text: `"limits": {"earliest_ms": {"id": 1}}`, want: `limits.earliest_ms: column "id" has kind "", want a time`},
		"unnamed in percent":        {landing: true, text: `"limits": {"unnamed_share": 5}`, want: "limits.unnamed_share is 5, want a part of the rows from 0 to 1"},
		"nobody named":              {landing: true, text: `"limits": {"unnamed_share": 0}`, want: "limits.unnamed_share: no column has kind email, so no row names anybody"},
		"share in percent":          {landing: true, text: `"limits": {"quarantined_share": 5}`, want: "limits.quarantined_share is 5, want a part of the rows from 0 to 1"},
		"negative share":            {landing: true, text: `"limits": {"quarantined_share": -0.1}`, want: "limits.quarantined_share is -0.1"},

		"checks of a landing table": {landing: true, text: `"checks": []`, want: "checks is allowed in format iceberg only"},
		"unknown check":             {text: `"checks": [{"check": "not_null", "column": "id"}]`, want: `checks[0]: check is "not_null", allowed: accepted_range, accepted_values, relationships`},
		"unknown key of a check":    {text: `"checks": [{"check": "accepted_range", "column": "size", "minimum": 1}]`, want: "checks[0].minimum: unknown key; allowed: check, column, min, max"},
		"check of no column":        {text: `"checks": [{"check": "accepted_range", "column": "colour", "min": 1}]`, want: `checks[0]: column "colour" is not declared`},
		"check without a column":    {text: `"checks": [{"check": "accepted_range", "min": 1}]`, want: "checks[0].column: missing"},
		"the second check":          {text: `"checks": [{"check": "accepted_range", "column": "size", "min": 1}, {"check": "unique", "column": "id"}]`, want: `checks[1]: check is "unique"`},
		"range of a text":           {text: `"checks": [{"check": "accepted_range", "column": "id", "min": 1}]`, want: `checks[0]: accepted_range of column "id" of type string, want one of: int, bigint, double`},
		"range of nothing":          {text: `"checks": [{"check": "accepted_range", "column": "size"}]`, want: "accepted_range without min and max"},
		"range upside down":         {text: `"checks": [{"check": "accepted_range", "column": "size", "min": 2, "max": 1}]`, want: "accepted_range with a min greater than its max"},
		"range with values":         {text: `"checks": [{"check": "accepted_range", "column": "size", "min": 1, "values": []}]`, want: "accepted_range has no values; only accepted_values has"},
		"range with a table":        {text: `"checks": [{"check": "accepted_range", "column": "size", "min": 1, "to": "boots"}]`, want: "accepted_range has no to; only relationships has"},
		"values of a number":        {text: `"checks": [{"check": "accepted_values", "column": "size", "values": ["1"]}]`, want: `accepted_values of column "size" of type int, want a string`},
		"no values":                 {text: `"checks": [{"check": "accepted_values", "column": "id", "values": []}]`, want: "accepted_values without values"},
		"values that are numbers":   {text: `"checks": [{"check": "accepted_values", "column": "id", "values": [1]}]`, want: "checks[0].values[0]: got 1, want a string"},
		"value twice":               {text: `"checks": [{"check": "accepted_values", "column": "id", "values": ["a", "b", "a"]}]`, want: `accepted_values: value "a" is given twice`},
		"values with min":           {text: `"checks": [{"check": "accepted_values", "column": "id", "values": ["a"], "min": 0}]`, want: "accepted_values has no min; only accepted_range has"},
		"values with max":           {text: `"checks": [{"check": "accepted_values", "column": "id", "values": ["a"], "max": 0}]`, want: "accepted_values has no max; only accepted_range has"},
		"related to nothing":        {text: `"checks": [{"check": "relationships", "column": "id", "field": "id"}]`, want: `relationships to "", want the name of a table or of a shared SELECT`},
		"related to SQL":            {text: `"checks": [{"check": "relationships", "column": "id", "to": "select 1", "field": "id"}]`, want: `relationships to "select 1", want the name`},
		"related to no field":       {text: `"checks": [{"check": "relationships", "column": "id", "to": "boots"}]`, want: `relationships to boots with field "", want the name of a column there`},
		"related to unknown field":  {text: `"checks": [{"check": "relationships", "column": "id", "to": "shoe_trusted", "field": "number"}]`, want: `checks[0]: field "number" is not a column of table shoe_trusted`},

		"layout of a landing table": {landing: true, text: `"layout": {"sort": ["id"]}`, want: "layout is allowed in format iceberg only"},
		"layout of nothing":         {text: `"layout": {}`, want: "layout.sort: missing"},
		"sort by nothing":           {text: `"layout": {"sort": []}`, want: "layout.sort is empty"},
		"sort by no column":         {text: `"layout": {"sort": ["id", "colour"]}`, want: `layout.sort: column "colour" is not declared`},
		"sort twice":                {text: `"layout": {"sort": ["id", "id"]}`, want: `layout.sort: column "id" is given twice`},
		"unknown layout":            {text: `"layout": {"sort": ["id"], "partition": ["id"]}`, want: "layout.partition: unknown key; allowed: sort"},
	} {
		t.Run(name, func(t *testing.T) {
			file, text := with(test.landing, test.text)
			_, err := load(file, text)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), file+": ") {
				t.Errorf("Load error = %v\nwant it to begin with %s and to contain %q", err, file, test.want)
			}
		})
	}
}

func TestLoadRules(t *testing.T) {
	set, err := load(with(false, `"checks": [
	  {"check": "accepted_range", "column": "size", "min": 0, "max": 60.5},
	  {"check": "accepted_values", "column": "id", "values": ["a", "b"]},
	  {"check": "relationships", "column": "id", "to": "boots", "field": "number"},
	  {"check": "relationships", "column": "id", "to": "shoe_trusted", "field": "owner"}
	], "layout": {"sort": ["owner", "id"]}`))
	if err != nil {
		t.Fatal(err)
	}
	checks := set[0].Checks
	if len(checks) != 4 || *checks[0].Min != 0 || *checks[0].Max != 60.5 || len(checks[1].Values) != 2 || checks[2].To != "boots" || checks[3].Field != "owner" {
		t.Errorf("checks = %+v", checks)
	}
	if set[0].Limits != nil || strings.Join(set[0].Layout.Sort, " ") != "owner id" {
		t.Errorf("limits = %v, layout = %v, want none and owner, id", set[0].Limits, set[0].Layout)
	}
}

func TestFormats(t *testing.T) {
	for zone, formats := range map[string]string{
		"landing": "json", "quarantine": "iceberg", "consent": "iceberg", "index": "iceberg", "trusted": "iceberg", "curated": "iceberg",
		"ledger": "json iceberg",
	} {
		for _, format := range []string{"json", "iceberg", "parquet"} {
			text := strings.NewReplacer("shoe_trusted", "shoe_"+zone, `"trusted"`, `"`+zone+`"`, `"iceberg"`, `"`+format+`"`).Replace(valid)
			_, err := load("shoe_"+zone+".json", text)
			if allowed := strings.Contains(formats, format); allowed != (err == nil) {
				t.Errorf("zone %s in format %s: error %v, want allowed: %v", zone, format, err, allowed)
			}
			if want := `want "json" or "iceberg" in zone ledger`; zone == "ledger" && format == "parquet" && !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("zone ledger in format parquet: error %v, want it to contain %s", err, want)
			}
		}
	}
}

func TestLoadReportsEveryFile(t *testing.T) {
	_, err := contract.Load(folder(map[string]string{
		"shoe_trusted.json": strings.Replace(valid, `"int"`, `"long"`, 1),
		"shoe_landing.json": strings.Replace(validLanding, `"int"`, `"long"`, 1),
	}))
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
		"landing has every column":       {"shoe_landing.json", validLanding, "id size made"},
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

// The tables of the lakehouse: what people query, what the jobs keep for themselves, and which of them tell who somebody is.
func TestProjectContracts(t *testing.T) {
	set, err := contract.Load(data.Contracts)
	if err != nil {
		t.Fatal(err)
	}
	personal := map[string]bool{
		"customer_landing": true, "customer_quarantine": true, "customer_consent": true, "customer_suspension": true, "customer_trusted": true, "customer_curated": true,
		"accelerometer_landing": true, "accelerometer_quarantine": true, "accelerometer_index": true, "accelerometer_trusted": true,
		"step_trainer_landing": true, "step_trainer_quarantine": true, "step_trainer_index": true, "step_trainer_trusted": true,
		"machine_learning_curated": false, // R6
		"run_ledger":               false,
		"intake_ledger":            false,
	}
	for _, table := range set {
		want, known := personal[table.Table]
		if known && table.PersonalData != want { // others may come
			t.Errorf("%s: personal_data is %v, want %v", table.Table, table.PersonalData, want)
		}
		delete(personal, table.Table)
		for _, column := range table.Columns {
			if table.Zone == contract.Landing && column.Type == "bigint" && column.Kind == "" {
				t.Errorf("%s: column %q has no kind, want a time with limits: a lastUpdateDate of tomorrow would win for ever (R1, R12)",
					table.Table, column.Name)
			}
		}
	}
	if len(personal) > 0 {
		t.Errorf("no contract for %v", personal)
	}
	if _, err := set.Get("shoe_landing"); err == nil || !strings.Contains(err.Error(), `"customer_landing"`) {
		t.Errorf("Get of an unknown table: error = %v, want it to name the tables there are", err)
	}
}
