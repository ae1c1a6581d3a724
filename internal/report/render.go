package report

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"stedi-lakehouse/internal/contract"
)

//go:embed page
var page embed.FS

// Library is where `make setup` puts the chart library, below the project's top folder.
const Library = "node_modules/echarts/dist/echarts.min.js"

// Write writes report.json and report.html into a folder and returns the path of the page. library is the file of the chart library,
// which the page carries in itself.
func Write(report Report, folder, library string) (string, error) {
	charts, err := os.ReadFile(library)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("the chart library %s is missing: run `make setup`", library)
	}
	if err != nil {
		return "", err
	}
	html, err := render(report, charts)
	if err != nil {
		return "", err
	}
	document, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(folder, "report.json"), append(document, '\n'), 0o644); err != nil {
		return "", err
	}
	path := filepath.Join(folder, "report.html")
	return path, os.WriteFile(path, html, 0o644)
}

// Read reads a report.json that Write has written.
func Read(file string) (Report, error) {
	content, err := os.Open(file)
	if err != nil {
		return Report{}, err
	}
	defer content.Close()
	decoder := json.NewDecoder(content)
	decoder.DisallowUnknownFields()
	var report Report
	if err := decoder.Decode(&report); err != nil {
		return Report{}, fmt.Errorf("%s: %w", file, err)
	}
	return report, nil
}

// view is what the template sees.
type view struct {
	Report
	Zones   []string
	Checked []checkedTable
	Totals  totals
	Style   template.CSS
	Library template.JS
	Script  template.JS
	// ScriptHashes let exactly the two scripts of the page run.
	ScriptHashes string
}

// SourceRow is a line of the zone flow: a source's tables by zone.
type SourceRow struct {
	Source string
	Cells  []Cell // one for each of Zones
}

// Cell is a table in the zone flow. Share is how long its bar is, 0 to 100, of the source's fullest table; 0 when one could not be counted.
type Cell struct {
	Zone  string
	Table *Table // nil: the source has none there
	Share int
}

// checkedTable is a table with its checks.
type checkedTable struct {
	Table  string
	State  string // the worst of its checks
	Checks []Check
}

type totals struct {
	Landing, Curated, Quarantined zoneTotal
	Excluded                      int64
}

// zoneTotal is how many rows the tables of a zone hold.
type zoneTotal struct {
	Rows      int64
	Counted   int64 // tables
	Uncounted int64 // tables that could not be counted: Rows is without them
}

func render(report Report, charts []byte) ([]byte, error) {
	style, err := page.ReadFile("page/report.css")
	if err != nil {
		return nil, err
	}
	script, err := page.ReadFile("page/report.js")
	if err != nil {
		return nil, err
	}
	parsed, err := template.New("report.gohtml").Funcs(template.FuncMap{
		"count": Thousands, "duration": duration, "when": when, "usd": dollars, "words": words, "breakable": breakable, "plural": Plural,
		"done": func(state string) string { return strings.ToLower(strings.ReplaceAll(state, "_", " ")) },
	}).ParseFS(page, "page/report.gohtml")
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	err = parsed.Execute(&out, view{
		Report: report, Zones: Zones, Checked: byTable(report.Checks), Totals: total(report),
		// All three are files of this project or of the pinned library, none is input.
		Style: template.CSS(style), Library: template.JS(charts), Script: template.JS(script),
		ScriptHashes: hash(charts) + " " + hash(script),
	})
	return []byte(out.String()), err
}

// hash is how a content security policy names an inline script.
func hash(script []byte) string {
	sum := sha256.Sum256(script)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Sources are the tables by source and zone.
func (r Report) Sources() []SourceRow {
	var names []string
	for _, table := range r.Tables {
		if !slices.Contains(names, table.Source) {
			names = append(names, table.Source)
		}
	}
	var rows []SourceRow
	for _, name := range names {
		var fullest int64
		counted := true
		row := SourceRow{Source: name, Cells: make([]Cell, len(Zones))}
		for i, zone := range Zones {
			row.Cells[i].Zone = zone
			for t, table := range r.Tables {
				if table.Source == name && table.Zone == zone {
					row.Cells[i].Table = &r.Tables[t]
					counted = counted && table.Rows != nil
					if table.Rows != nil {
						fullest = max(fullest, *table.Rows)
					}
				}
			}
		}
		for i, cell := range row.Cells {
			if counted && cell.Table != nil && *cell.Table.Rows > 0 {
				row.Cells[i].Share = max(1, int(100**cell.Table.Rows/fullest))
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func byTable(checks []Check) []checkedTable {
	var tables []checkedTable
	for _, check := range checks {
		if len(tables) == 0 || tables[len(tables)-1].Table != check.Table {
			tables = append(tables, checkedTable{Table: check.Table, State: check.State})
		}
		last := &tables[len(tables)-1]
		last.Checks = append(last.Checks, check)
		if check.State == Failed {
			last.State = Failed
		}
	}
	return tables
}

func total(report Report) totals {
	var all totals
	zones := map[string]*zoneTotal{contract.Landing: &all.Landing, contract.Curated: &all.Curated, contract.Quarantine: &all.Quarantined}
	for _, table := range report.Tables {
		switch zone := zones[table.Zone]; {
		case zone == nil:
		case table.Rows == nil:
			zone.Uncounted++
		default:
			zone.Rows += *table.Rows
			zone.Counted++
		}
	}
	for _, funnel := range report.Funnels {
		all.Excluded += sum(funnel.Excluded)
	}
	return all
}

// Thousands writes 81273 as 81,273.
func Thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// duration writes seconds as 9.4 s, 1:05 min or 2:03 h.
func duration(seconds float64) string {
	whole := int(seconds + 0.5)
	switch {
	case seconds < 60:
		return strconv.FormatFloat(seconds, 'f', 1, 64) + " s"
	case whole < 3600:
		return fmt.Sprintf("%d:%02d min", whole/60, whole%60)
	}
	return fmt.Sprintf("%d:%02d h", whole/3600, whole%3600/60)
}

func when(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04:05 UTC") }

func dollars(usd float64) string { return "$" + strconv.FormatFloat(usd, 'f', 3, 64) }

// words writes a name of the catalog as words: machine_learning as "machine learning".
func words(name string) string { return strings.ReplaceAll(name, "_", " ") }

// breakable lets a long name of the catalog wrap after its underscores.
func breakable(name string) template.HTML {
	return template.HTML(strings.ReplaceAll(template.HTMLEscapeString(name), "_", "_<wbr>"))
}

// Plural writes a number of something that takes an s.
func Plural(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return Thousands(n) + " " + one + "s"
}

// Seconds is how long the execution took, or has taken until the report was made.
func (r Report) Seconds() float64 {
	end := r.Generated
	if r.Execution.Stopped != nil {
		end = *r.Execution.Stopped
	}
	return max(0, end.Sub(r.Execution.Started).Seconds())
}

// Funnel is the ledger's entry of a job's last run; false when it made none.
func (r Report) Funnel(job Job) (Funnel, bool) {
	at := slices.IndexFunc(r.Funnels, func(funnel Funnel) bool { return funnel.RunID == job.RunID })
	if at < 0 {
		return Funnel{}, false
	}
	return r.Funnels[at], true
}

// Engine is what computed in a job's last run, as its ledger says; empty when it does not.
func (r Report) Engine(job Job) string {
	funnel, _ := r.Funnel(job)
	return funnel.Engine
}

// SuspendedPeople says how many people are suspended after the run (R13); empty when no job said so.
func (r Report) SuspendedPeople() string {
	for _, funnel := range r.Funnels {
		if funnel.Suspended != nil {
			return People(*funnel.Suspended)
		}
	}
	return ""
}

// People writes a number of people in words.
func People(n int64) string {
	switch n {
	case 0:
		return "nobody"
	case 1:
		return "1 person"
	}
	return Thousands(n) + " people"
}

// IgnoresObjects tells whether some table has objects that no job reads (R15).
func (r Report) IgnoresObjects() bool {
	return slices.ContainsFunc(r.Funnels, func(funnel Funnel) bool { return len(funnel.Ignored) > 0 })
}

// FunnelCount is how many tables recorded their numbers.
func (r Report) FunnelCount() int64 { return int64(len(r.Funnels)) }

// AllAddUp tells whether the numbers of all of them add up (R7).
func (r Report) AllAddUp() bool {
	return !slices.ContainsFunc(r.Funnels, func(funnel Funnel) bool { return !funnel.AddsUp() })
}

// NotSucceeded are the jobs that did not succeed, those that never began included.
func (r Report) NotSucceeded() []Job {
	return slices.DeleteFunc(slices.Clone(r.Jobs), func(job Job) bool { return job.State == "SUCCEEDED" })
}

// VersionCount is how many versions the report shows.
func (r Report) VersionCount() int64 { return int64(len(r.Versions)) }

// VersionedTables is how many tables these belong to.
func (r Report) VersionedTables() int64 {
	tables := map[string]bool{}
	for _, version := range r.Versions {
		tables[version.Table] = true
	}
	return int64(len(tables))
}
