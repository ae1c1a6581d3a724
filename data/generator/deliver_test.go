package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// growing is a history with every kind of household.
var growing = options{people: 120, readings: 12, shape: shape{deliveries: 6, files: 2}, seed: 1}

// history runs the generator; it gives the ledger after each delivery, and of each the files it brought, by key.
func history(t *testing.T, opts options) ([]ledger, []map[string][]string) {
	t.Helper()
	opts.out = filepath.Join(t.TempDir(), "lake")
	totals, err := generate(opts)
	if err != nil {
		t.Fatal(err)
	}
	var brought []map[string][]string
	for delivery := 1; delivery <= opts.deliveries; delivery++ {
		files := map[string][]string{}
		for name, text := range content(t, filepath.Join(opts.out, fmt.Sprintf("%02d", delivery)), true) {
			if strings.Contains(name, "/landing/") {
				files[name] = strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
			}
		}
		brought = append(brought, files)
	}
	return totals, brought
}

// laidOver gives the files that are there after each delivery.
func laidOver(brought []map[string][]string) []map[string][]string {
	var there []map[string][]string
	now := map[string][]string{}
	for _, files := range brought {
		maps.Copy(now, files)
		there = append(there, maps.Clone(now))
	}
	return there
}

// rowsOf gives all rows of a source.
func rowsOf(files map[string][]string, source string) []string {
	var rows []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasPrefix(name, source+"/") {
			rows = append(rows, files[name]...)
		}
	}
	return rows
}

func TestAHistoryHasAFolderPerDelivery(t *testing.T) {
	_, dir := generated(t, growing)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if want := []string{"01", "02", "03", "04", "05", "06"}; !slices.Equal(got, want) {
		t.Errorf("the folder holds %v, want %v", got, want)
	}
	want := []string{
		"accelerometer/landing/accelerometer-00001.json.gz", // the first delivery's, with other content
		"accelerometer/landing/accelerometer-00003.json",
		"accelerometer/landing/accelerometer-00004.json.gz",
		"accelerometer/landing/accelerometer-00005.json", // the first delivery's accelerometer-00000, again
	}
	files := content(t, filepath.Join(dir, "02"), false)
	for _, name := range append(want, expectedFile, reasonsFile) {
		if files[name] == nil {
			t.Errorf("02/%s is missing", name)
		}
	}
}

func TestAFileIsReplayedUnderAnotherName(t *testing.T) {
	_, dir := generated(t, growing)
	for delivery := 1; delivery < growing.deliveries; delivery++ {
		for _, source := range sourceNames {
			at := func(delivery, number int) []byte {
				index := growing.index(file{delivery, number})
				name := fmt.Sprintf("%s-%05d.json", source, index)
				return content(t, landing(filepath.Join(dir, fmt.Sprintf("%02d", delivery)), source), false)[name]
			}
			original, twin := at(delivery, 0), at(delivery+1, growing.files)
			if len(original) == 0 || !bytes.Equal(original, twin) {
				t.Errorf("%s: delivery %d has %d bytes, the next one replays %d", source, delivery, len(original), len(twin))
			}
		}
	}
}

func TestAChangedFileOnlyGrowsOrIsPutRight(t *testing.T) {
	_, brought := history(t, growing)
	grown, corrected := map[string]int{}, map[string]int{}
	for i := 1; i < len(brought); i++ {
		for name, rows := range brought[i] {
			before, known := brought[i-1][name]
			if !known {
				continue
			}
			source, _, _ := strings.Cut(name, "/")
			added, removed := without(rows, before), without(before, rows)
			if len(added) > len(removed) {
				grown[source]++
			}
			corrected[source] += len(removed)
			for _, row := range removed {
				if !slices.ContainsFunc(added, func(other string) bool { return subject(t, other) == subject(t, row) }) {
					t.Errorf("delivery %d, %s: nothing takes the place of %s", i+1, name, row)
				}
			}
		}
	}
	for _, source := range sourceNames {
		if grown[source] == 0 {
			t.Errorf("no file of %s grows", source)
		}
	}
	if corrected["customer"] == 0 || corrected["step_trainer"] == 0 || corrected["accelerometer"] != 0 {
		t.Errorf("rows put right: %v, want some of customer and step_trainer", corrected)
	}
}

// without gives the rows of one list that another one does not have, by number.
func without(rows, others []string) []string {
	left := map[string]int{}
	for _, row := range others {
		left[row]++
	}
	var found []string
	for _, row := range rows {
		if left[row]--; left[row] < 0 {
			found = append(found, row)
		}
	}
	return found
}

// subject is the person of a customer record, and the device and time of a step reading.
func subject(t *testing.T, line string) string {
	row := decode[map[string]any](t, line)
	if email, ok := row["email"].(string); ok {
		person, _ := normalise(email)
		return person
	}
	return fmt.Sprint(row["serialNumber"], row["sensorReadingTime"])
}

func TestRowsComeAgainInOtherFiles(t *testing.T) {
	_, brought := history(t, growing)
	for _, source := range sourceNames {
		seen, again := map[string]bool{}, 0
		for _, files := range brought {
			rows := rowsOf(files, source)
			for _, row := range rows {
				if seen[row] {
					again++
				}
			}
			for _, row := range rows {
				seen[row] = true
			}
		}
		if again == 0 {
			t.Errorf("no row of %s comes again in a later delivery", source)
		}
	}
}

func TestTheExpectedCountsAddUpAfterEachDelivery(t *testing.T) {
	for _, files := range []int{1, 2, 5} {
		opts := growing
		opts.files = files
		totals, brought := history(t, opts)
		for i, there := range laidOver(brought) {
			for source, table := range []table{customerLanding, accelerometerLanding, stepTrainerLanding} {
				if got, want := len(rowsOf(there, sourceNames[source])), totals[i].rows(table); got != want {
					t.Errorf("%d files, delivery %d: %s has %d rows, %d expected", files, i+1, tableNames[table], got, want)
				}
			}
		}
	}
}

// customerRow is what decides about a person.
type customerRow struct {
	SerialNumber              string
	LastUpdateDate            int64
	ShareWithResearchAsOfDate int64
}

func TestPeopleComeAndChangeTheirMind(t *testing.T) {
	_, brought := history(t, growing)
	happened := map[string]int{}
	consented := map[string]bool{}
	var before map[string]customerRow
	for _, there := range laidOver(brought) {
		now := map[string]customerRow{}
		for _, line := range rowsOf(there, "customer") {
			row := decodeSome[customerRow](t, line)
			if known, found := now[subject(t, line)]; !found || known.LastUpdateDate < row.LastUpdateDate {
				now[subject(t, line)] = row
			}
		}
		for who, row := range now {
			was, known := before[who]
			had, has := was.ShareWithResearchAsOfDate, row.ShareWithResearchAsOfDate
			for what, it := range map[string]bool{
				"new person":        !known && before != nil,
				"new serial":        known && was.SerialNumber != row.SerialNumber,
				"given":             known && had == 0 && has > 0 && !consented[who],
				"given again":       known && had == 0 && has > 0 && consented[who],
				"withdrawn":         had > 0 && has == 0,
				"shared earlier":    had > 0 && has > 0 && has < had,
				"shared from later": had > 0 && has > had,
			} {
				if it {
					happened[what]++
				}
			}
			consented[who] = consented[who] || has > 0
		}
		before = now
	}
	for _, what := range []string{"new person", "new serial", "given", "given again", "withdrawn", "shared earlier", "shared from later"} {
		if happened[what] == 0 {
			t.Errorf("nobody: %s", what)
		}
	}
}

func TestOldRecordsAndReadingsComeLate(t *testing.T) {
	_, brought := history(t, growing)
	times := map[string]string{"customer": "lastUpdateDate", "accelerometer": "timestamp", "step_trainer": "sensorReadingTime"}
	for source, field := range times {
		latest, late := map[any]float64{}, 0
		for _, files := range brought {
			arrived := map[any]float64{}
			for _, line := range rowsOf(files, source) {
				row := decode[map[string]any](t, line)
				whose, at := row["email"], row[field].(float64)
				if whose == nil {
					whose = fmt.Sprint(row["user"], row["serialNumber"])
				}
				if at < latest[whose] {
					late++
				}
				arrived[whose] = max(arrived[whose], at)
			}
			for whose, at := range arrived {
				latest[whose] = max(latest[whose], at)
			}
		}
		if late == 0 {
			t.Errorf("%s: no row comes after a newer one", source)
		}
	}
}

func TestForceReplacesAHistory(t *testing.T) {
	_, dir := generated(t, growing)
	_, fresh := generated(t, small)
	again := small
	again.out, again.force = dir, true
	foreign := filepath.Join(dir, "03", "customer", "landing", "mine.json")
	if err := os.WriteFile(foreign, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := generate(again); err == nil || !strings.Contains(err.Error(), "mine.json is not from this generator") {
		t.Errorf("a foreign file: error %v", err)
	}
	if err := os.Remove(foreign); err != nil {
		t.Fatal(err)
	}
	if _, err := generate(again); err != nil {
		t.Fatal(err)
	}
	if got, want := content(t, dir, false), content(t, fresh, false); !maps.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("files are %v, want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}
