package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// small holds every kind of household and at least one of every disturbance.
var small = options{people: 60, readings: 20, shape: single(3), seed: 1}

// single is the shape of one delivery.
func single(files int) shape { return shape{deliveries: 1, files: files} }

// generated runs the generator and gives the ledger after the last delivery, and the folder.
func generated(t *testing.T, opts options) (*ledger, string) {
	t.Helper()
	opts.out = filepath.Join(t.TempDir(), "lake")
	totals, err := generate(opts)
	if err != nil {
		t.Fatal(err)
	}
	return &totals[len(totals)-1], opts.out
}

// content gives the bytes of every file below dir by its relative path; unpacked says whether .gz files are unpacked.
func content(t *testing.T, dir string, unpacked bool) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if unpacked && strings.HasSuffix(name, ".gz") {
			text = unpack(t, text)
		}
		files[filepath.ToSlash(name)] = text
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func unpack(t *testing.T, packed []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// lines gives the rows of a source, over all its files, sorted.
func lines(t *testing.T, dir, source string) []string {
	t.Helper()
	var rows []string
	for name, text := range content(t, dir, true) {
		if strings.HasPrefix(name, source+"/landing/") {
			rows = append(rows, strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")...)
		}
	}
	slices.Sort(rows)
	return rows
}

func TestSameFlagsGiveTheSameBytes(t *testing.T) {
	for _, opts := range []options{small, growing} {
		_, one := generated(t, opts)
		_, two := generated(t, opts)
		first, second := content(t, one, false), content(t, two, false)
		if !slices.Equal(slices.Sorted(maps.Keys(first)), slices.Sorted(maps.Keys(second))) {
			t.Fatalf("files differ: %v and %v", slices.Sorted(maps.Keys(first)), slices.Sorted(maps.Keys(second)))
		}
		for name, text := range first {
			if !bytes.Equal(text, second[name]) {
				t.Errorf("%s differs between two runs", name)
			}
		}
	}
}

// The golden checksum is over unpacked content: Go's compressor may change. It moves only when the generator is meant to
// plant something else; data/sample has to be made again then.
func TestContentIsTheSameOnEveryMachine(t *testing.T) {
	const golden = "a93b589bb99d618c339da7e0a3cf22b687a12338ac27b39872fef925bb52d9e4"
	_, dir := generated(t, small)
	files := content(t, dir, true)
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		_, _ = fmt.Fprintf(sum, "%s %d\n%s", name, len(files[name]), files[name])
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != golden {
		t.Errorf("content has checksum %s, want %s", got, golden)
	}
}

func TestAnotherSeedIsAnotherPopulation(t *testing.T) {
	other := small
	other.seed++
	_, one := generated(t, small)
	_, two := generated(t, other)
	seen := map[string]bool{}
	for _, row := range lines(t, one, "customer") {
		seen[row] = true
	}
	for _, row := range lines(t, two, "customer") {
		if seen[row] {
			t.Errorf("both populations have %s", row)
		}
	}
}

func TestTheNumberOfFilesChangesNoRow(t *testing.T) {
	whole := small
	whole.files = 1
	want, one := generated(t, whole)
	for _, files := range []int{2, 7, maxFiles} {
		several := small
		several.files = files
		got, dir := generated(t, several)
		if *got != *want {
			t.Errorf("%d files: other counts than with one", files)
		}
		for _, source := range sourceNames {
			if !slices.Equal(lines(t, dir, source), lines(t, one, source)) {
				t.Errorf("%d files: other %s rows than with one", files, source)
			}
		}
	}
}

func TestFilesAreNamedInOrderAndTheLastIsCompressed(t *testing.T) {
	_, dir := generated(t, small)
	want := []string{
		"accelerometer/landing/accelerometer-00000.json",
		"accelerometer/landing/accelerometer-00001.json",
		"accelerometer/landing/accelerometer-00002.json.gz",
		"customer/landing/customer-00000.json",
		"customer/landing/customer-00001.json",
		"customer/landing/customer-00002.json.gz",
		"expected.json",
		"expected_reasons.json",
		"step_trainer/landing/step_trainer-00000.json",
		"step_trainer/landing/step_trainer-00001.json",
		"step_trainer/landing/step_trainer-00002.json.gz",
	}
	files := content(t, dir, false)
	if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
		t.Errorf("files are %v, want %v", got, want)
	}
	for name, text := range files {
		if len(text) == 0 {
			t.Errorf("%s is empty", name)
		}
	}

	whole := small
	whole.files = 1
	_, dir = generated(t, whole)
	if _, err := os.Stat(filepath.Join(dir, "customer", "landing", "customer-00000.json")); err != nil {
		t.Errorf("one file a source stays uncompressed: %v", err)
	}
}

func TestSizesFollowTheFlags(t *testing.T) {
	for _, people := range []int{1, 2, 60, 1000} {
		total, _ := generated(t, options{people: people, readings: 30, shape: single(3), seed: 1})
		trusted := total[asOf][customerTrusted]
		if got := trusted[accepted] + trusted[noConsentGiven]; got != people {
			t.Errorf("%d people asked for, %d have a current record", people, got)
		}
	}
	few, _ := generated(t, options{people: 500, readings: 10, shape: single(1), seed: 1})
	many, _ := generated(t, options{people: 500, readings: 40, shape: single(1), seed: 1})
	for _, table := range []table{accelerometerLanding, stepTrainerLanding} {
		if ratio := float64(many.rows(table)) / float64(few.rows(table)); math.Abs(ratio-4) > 0.4 {
			t.Errorf("%s: four times the readings gave %.2f times the rows", tableNames[table], ratio)
		}
	}
}

func TestTheShapeIsThatOfARealPopulation(t *testing.T) {
	total, _ := generated(t, options{people: 4000, readings: 30, shape: single(1), seed: 7})
	share := func(part, whole int) float64 { return float64(part) / float64(whole) }
	people := 4000
	for _, c := range []struct {
		what      string
		got       float64
		low, high float64
	}{
		{"people who consent", share(total[asOf][customerTrusted][accepted], people), 0.50, 0.60},
		{"customer rows a person", share(total.rows(customerLanding), people), 1.05, 1.35},
		{"accelerometer rows a person", share(total.rows(accelerometerLanding), people), 70, 90},
		{"step trainer rows a person", share(total.rows(stepTrainerLanding), people), 25, 33},
		{"readings before consent", share(total[asOf][accelerometerTrusted][beforeConsent], total.rows(accelerometerLanding)), 0.03, 0.12},
		{"duplicate readings", share(total[ever][accelerometerTrusted][duplicate], total[ever][accelerometerTrusted][accepted]), 0.01, 0.06},
	} {
		if c.got < c.low || c.got > c.high {
			t.Errorf("%s: %.3f, want %.3f to %.3f", c.what, c.got, c.low, c.high)
		}
	}
}

func TestASmallSetHoldsEveryOutcome(t *testing.T) {
	total, _ := generated(t, small)
	want := map[table][]outcome{
		customerTrusted:        {accepted, noConsentGiven, superseded, duplicate},
		accelerometerTrusted:   {accepted, unknownCustomer, noConsentGiven, beforeConsent, duplicate},
		customerCurated:        {accepted, noReadings},
		stepTrainerTrusted:     {accepted, unknownCustomer, noConsentGiven, noReadings, beforeConsent, ambiguousDevice, duplicate},
		machineLearningCurated: {accepted, noStepReading},
	}
	for table, outcomes := range want {
		for _, o := range outcomes {
			if total[asOf][table][o] == 0 {
				t.Errorf("%s: no row is %s", tableNames[table], outcomeNames[o])
			}
		}
	}
}

func TestTheExpectedCountsAddUp(t *testing.T) {
	for seed := range uint64(20) {
		opts := small
		opts.seed = seed
		total, dir := generated(t, opts)
		for g, name := range gateNames {
			read := map[table]int{ // the rows of each table's main source
				customerTrusted:        total.rows(customerLanding),
				accelerometerTrusted:   total.rows(accelerometerLanding),
				stepTrainerTrusted:     total.rows(stepTrainerLanding),
				customerCurated:        total[g][customerTrusted][accepted],
				machineLearningCurated: total[g][accelerometerTrusted][accepted],
			}
			for table, rows := range read {
				sum := 0
				for _, n := range total[g][table] {
					sum += n
				}
				if sum != rows {
					t.Errorf("seed %d, gate %s, %s: %d rows read, outcomes of %d", seed, name, tableNames[table], rows, sum)
				}
			}
		}
		for source, table := range []table{customerLanding, accelerometerLanding, stepTrainerLanding} {
			if got := len(lines(t, dir, sourceNames[source])); got != total.rows(table) {
				t.Errorf("seed %d, %s: %d rows written, %d expected", seed, tableNames[table], got, total.rows(table))
			}
		}
		for table := range tables {
			if total[asOf][table][accepted] > total[ever][table][accepted] {
				t.Errorf("seed %d, %s: the gate as-of lets more pass than the gate ever", seed, tableNames[table])
			}
		}
	}
}

// One household of each kind, with the outcomes its name promises.
func TestEveryKindHasItsOutcomes(t *testing.T) {
	type facts struct{ records, samples, steps []outcome } // the outcomes that may and must occur
	want := map[string][gates]facts{
		"always":             both(facts{records: passes, samples: passes, steps: passes}),
		"never":              both(facts{only(noConsentGiven), only(noConsentGiven), only(noConsentGiven)}),
		"withdrawn":          both(facts{only(noConsentGiven), only(noConsentGiven), only(noConsentGiven)}),
		"late":               {{passes, and(beforeConsent), and(beforeConsent)}, {passes, passes, passes}},
		"regiven":            {{passes, and(beforeConsent), and(beforeConsent)}, {passes, passes, passes}},
		"persuaded":          {{passes, and(beforeConsent), and(beforeConsent)}, {passes, passes, passes}},
		"too late":           {{passes, only(beforeConsent), only(noReadings)}, {passes, passes, passes}},
		"silent":             both(facts{passes, nil, only(noReadings)}),
		"idle":               both(facts{passes, nil, nil}),
		"new device":         both(facts{passes, passes, and(unknownCustomer)}),
		"shared":             {{passes, and(beforeConsent), and(ambiguousDevice)}, {passes, passes, passes}},
		"shared by three":    {{passes, and(beforeConsent), and(ambiguousDevice)}, {passes, passes, passes}},
		"shared, one never":  both(facts{and(noConsentGiven), and(noConsentGiven), only(ambiguousDevice)}),
		"shared, one silent": both(facts{passes, passes, only(ambiguousDevice)}),
		"shared, one withdrawn": {
			{and(noConsentGiven), and(noConsentGiven, beforeConsent), only(ambiguousDevice)},
			{and(noConsentGiven), and(noConsentGiven), only(ambiguousDevice)},
		},
		"earlier":               {{passes, and(beforeConsent), and(beforeConsent)}, {passes, passes, passes}},
		"later":                 {{passes, and(beforeConsent), and(beforeConsent)}, {passes, passes, passes}},
		"joins one who never":   both(facts{and(noConsentGiven), and(noConsentGiven), only(unknownCustomer, ambiguousDevice)}),
		"left by one who never": both(facts{and(noConsentGiven), and(noConsentGiven), passes}),
		"unknown user":          both(facts{nil, only(unknownCustomer), nil}),
		"unknown device":        both(facts{nil, nil, only(unknownCustomer)}),
	}
	for index, k := range kindsOverTime {
		t.Run(k.name, func(t *testing.T) {
			// Many readings, so that each stretch between two events has some.
			h := plant(random(1, index, streamPlanting), k, index, 0, 200, false)
			newCourier(single(1), 0, random(1, index, streamPlacing), random(1, index, streamTiming)).deliver(h)
			var l ledger
			h.account(&l)
			for g, name := range gateNames {
				w := want[k.name][g]
				check(t, name, "records", l[g][customerTrusted], w.records, duplicate, superseded)
				check(t, name, "samples", l[g][accelerometerTrusted], w.samples, duplicate)
				check(t, name, "steps", l[g][stepTrainerTrusted], w.steps, duplicate)
			}
		})
	}
	if len(want) != len(kindsOverTime) {
		t.Errorf("%d kinds, %d of them checked", len(kindsOverTime), len(want))
	}
}

var passes = only(accepted)

func only(o ...outcome) []outcome { return o }

func and(o ...outcome) []outcome { return append(o, accepted) }

func both[T any](f T) [gates]T { return [gates]T{f, f} }

// check compares the outcomes that occur with the wanted ones; ignored ones may occur.
func check(t *testing.T, gate, what string, got [outcomes]int, want []outcome, ignored ...outcome) {
	t.Helper()
	for o, name := range outcomeNames {
		o := outcome(o)
		if wanted := slices.Contains(want, o); !slices.Contains(ignored, o) && wanted != (got[o] > 0) {
			t.Errorf("gate %s, %s: %d are %s, wanted some: %t", gate, what, got[o], name, wanted)
		}
	}
}

func TestRowsAreValidAndNobodyIsReal(t *testing.T) {
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	email := regexp.MustCompile(`^[a-z]+\.[a-z]+\.x?\d+@example\.(com|org)$`)
	phone := regexp.MustCompile(`^[2-9]\d\d55501\d\d$`)
	birthday := regexp.MustCompile(`^(19|20)\d\d-[01]\d-[0-3]\d$`)
	normal := func(written string) string { address, _ := normalise(written); return address }
	// R12: what is earlier is taken for seconds or minutes, and what is later than its file has not happened yet.
	plausible := func(times ...int64) bool {
		return slices.Min(times) >= epoch-31*day && slices.Max(times) <= time.Now().UnixMilli()
	}

	_, dir := generated(t, options{people: 300, readings: 5, shape: single(2), seed: 11})
	records := map[string]string{} // by person and time of the change
	for _, line := range lines(t, dir, "customer") {
		row := decode[struct {
			CustomerName, Email, Phone, BirthDay, SerialNumber                           string
			RegistrationDate, LastUpdateDate                                             int64
			ShareWithResearchAsOfDate, ShareWithPublicAsOfDate, ShareWithFriendsAsOfDate *int64
		}](t, line)
		if row.CustomerName == "" || !email.MatchString(normal(row.Email)) || !phone.MatchString(row.Phone) ||
			!birthday.MatchString(row.BirthDay) || !uuid.MatchString(row.SerialNumber) ||
			!plausible(row.RegistrationDate, row.LastUpdateDate) || row.LastUpdateDate < row.RegistrationDate {
			t.Errorf("customer row %s", line)
		}
		for _, date := range []*int64{row.ShareWithResearchAsOfDate, row.ShareWithPublicAsOfDate, row.ShareWithFriendsAsOfDate} {
			if date != nil && *date != 0 && !plausible(*date) {
				t.Errorf("customer row %s shares from another time on", line)
			}
		}
		// Else the files' modification times would decide which one is current, and those do not travel with the data.
		key, record := fmt.Sprint(normal(row.Email), row.LastUpdateDate), strings.Replace(line, row.Email, normal(row.Email), 1)
		if other, found := records[key]; found && other != record {
			t.Errorf("two records of one person and one time:\n%s\n%s", record, other)
		}
		records[key] = record
	}

	for _, line := range lines(t, dir, "accelerometer") {
		row := decode[struct {
			User      string
			Timestamp int64
			X, Y, Z   float64
		}](t, line)
		if !email.MatchString(normal(row.User)) || !plausible(row.Timestamp) || max(math.Abs(row.X), math.Abs(row.Y), math.Abs(row.Z)) > 1 {
			t.Errorf("accelerometer row %s", line)
		}
	}
	for _, line := range lines(t, dir, "step_trainer") {
		row := decode[struct {
			SensorReadingTime  int64
			SerialNumber       string
			DistanceFromObject int
		}](t, line)
		if !uuid.MatchString(row.SerialNumber) || !plausible(row.SensorReadingTime) || row.DistanceFromObject < 201 || row.DistanceFromObject > 300 {
			t.Errorf("step trainer row %s", line)
		}
	}
}

// decodeSome takes the fields of T and leaves the others.
func decodeSome[T any](t *testing.T, line string) T {
	t.Helper()
	var row T
	if err := json.Unmarshal([]byte(line), &row); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return row
}

func decode[T any](t *testing.T, line string) T {
	t.Helper()
	var row T
	decoder := json.NewDecoder(strings.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&row); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return row
}

func TestTheLargestSetStaysInThePast(t *testing.T) {
	const people, readings = maxTicks / minReadings, minReadings
	ticks := newTicks(random(1, 0, streamPlanting), people, readings)
	const end = 1_750_000_000_000 // in 2025
	if last := ticks[len(ticks)-1] + 2*day; last > end {
		t.Errorf("the last date is %d, after %d", last, int64(end))
	}
}

func TestBadFlagsAreRefused(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{"", "-out is missing"},
		{"-out x -people 0", "-people is 0: at least 1 is needed"},
		{"-out x -people many", `invalid value "many" for flag -people`},
		{"-out x -readings 2", "-readings is 2: at least 3 are needed"},
		{"-out x -files 0", "-files is 0: 1 to 200 are possible"},
		{"-out x -files 201", "-files is 201: 1 to 200 are possible"},
		{"-out x -deliveries 0", "-deliveries is 0: at least 1 is needed"},
		{"-out x -deliveries 41", "-deliveries 41 with -files 3 is too much: each delivery has 2 files more, and 200 of a source are possible"},
		{"-out x -people 200000000 -readings 3", "choose smaller ones"},
		{"-out x -seed -1", `invalid value "-1" for flag -seed`},
		{"-out x -size 3", "flag provided but not defined: -size (see -help)"},
		{"-out x 60", `unexpected argument "60"`},
		{"-people 3 -out " + full, "is not empty: choose another folder, or give -force"},
		{"-people 3 -out " + filepath.Join(full, "notes.txt"), "not a directory"},
	} {
		err := run(strings.Fields(c.args), io.Discard)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want one with %q", c.args, err, c.want)
		}
	}
	if entries, _ := os.ReadDir(full); len(entries) != 1 {
		t.Errorf("a refused run left %v", entries)
	}
}

func TestHelpNamesEveryFlag(t *testing.T) {
	var usage strings.Builder
	if err := run([]string{"-help"}, &usage); !errors.Is(err, flag.ErrHelp) {
		t.Fatalf("error %v", err)
	}
	for _, name := range []string{"-people", "-readings", "-files", "-deliveries", "-seed", "-out", "-force"} {
		if !strings.Contains(usage.String(), name) {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestForceReplacesAnEarlierRunAndNothingElse(t *testing.T) {
	many := small
	many.files = 9
	_, dir := generated(t, many)
	_, fresh := generated(t, small)

	again := small
	again.out = dir
	again.force = true
	if _, err := generate(again); err != nil {
		t.Fatal(err)
	}
	got, want := content(t, dir, false), content(t, fresh, false)
	if !maps.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("files are %v, want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}

	foreign := filepath.Join(dir, "customer", "landing", "mine.json")
	if err := os.WriteFile(foreign, []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := generate(again); err == nil || !strings.Contains(err.Error(), "mine.json is not from this generator") {
		t.Errorf("a foreign file: error %v", err)
	}
	if left := content(t, dir, false); len(left) != len(want)+1 {
		t.Errorf("a refused run removed files: %v", slices.Sorted(maps.Keys(left)))
	}
}

// The command that data/README.md gives for data/sample makes the committed files.
func TestTheCommittedSampleIsMadeByTheRecordedCommand(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile(`go run \./data/generator (.*) -out data/sample -force`).FindSubmatch(readme)
	if command == nil {
		t.Fatal("data/README.md: the command that makes data/sample is missing")
	}
	dir := t.TempDir()
	if err := run(append(strings.Fields(string(command[1])), "-out", dir), io.Discard); err != nil {
		t.Fatal(err)
	}

	// Packed bytes may change with Go's compressor; the header and what is packed may not.
	sample := filepath.Join("..", "sample")
	got, want := content(t, dir, true), content(t, sample, true)
	// A source that was added since brings a sample of its own.
	isOther := func(name string) bool {
		source, _, inFolder := strings.Cut(name, "/")
		return inFolder && !slices.Contains(sourceNames[:], source)
	}
	maps.DeleteFunc(want, func(name string, _ []byte) bool { return isOther(name) })
	if !slices.Equal(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want))) {
		t.Fatalf("files are %v, committed are %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
	size := 0
	for name, packed := range content(t, sample, false) {
		if isOther(name) {
			continue
		}
		size += len(packed)
		if !bytes.Equal(got[name], want[name]) {
			t.Errorf("%s differs from the committed file: make the sample again", name)
		}
		if strings.HasSuffix(name, ".gz") && !bytes.Equal(packed[3:8], make([]byte, 5)) {
			t.Errorf("%s: its header holds a name or a time", name)
		}
	}
	if size > 400_000 {
		t.Errorf("the sample has %d bytes, more than 400,000", size)
	}
}
