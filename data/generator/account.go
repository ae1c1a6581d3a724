package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

type gate int

const (
	asOf gate = iota
	ever
	gates
)

var gateNames = [gates]string{"as-of", "ever"}

type table int

const (
	customerLanding table = iota
	accelerometerLanding
	stepTrainerLanding
	customerTrusted
	accelerometerTrusted
	customerCurated
	stepTrainerTrusted
	machineLearningCurated
	tables
)

var tableNames = [tables]string{
	"customer_landing", "accelerometer_landing", "step_trainer_landing", "customer_trusted", "accelerometer_trusted",
	"customer_curated", "step_trainer_trusted", "machine_learning_curated",
}

// outcome of a row of a table's main source: accepted, or excluded for a reason.
type outcome int

const (
	accepted outcome = iota
	ambiguousDevice
	beforeConsent
	duplicate
	noConsentGiven
	noReadings
	noStepReading
	superseded
	unknownCustomer
	outcomes
)

var outcomeNames = [outcomes]string{
	"accepted", "ambiguous_device", "before_consent", "duplicate", "no_consent", "no_readings", "no_step_reading",
	"superseded", "unknown_customer",
}

// ledger counts rows by gate, table and outcome.
type ledger [gates][tables][outcomes]int

// rows is the number of rows of a landing table, which no gate changes.
func (l *ledger) rows(t table) int { return l[asOf][t][accepted] }

// account adds what the household's rows must become. It works from what was planted, people and ticks, and not from
// the rows written; docs/consent-rules.md has the rules.
func (h *household) account(l *ledger) {
	now := h.currentRecords()
	for g := range gates {
		h.accountRecords(now, &l[g])
		kept, curated := h.accountSamples(g, now, &l[g])
		h.accountCurated(now, curated, &l[g])
		passed := h.accountSteps(g, now, curated, &l[g])
		h.accountLearning(now, kept, passed, &l[g])
	}
}

type tally = [tables][outcomes]int

// current is everybody's current record; strangers, and customers of whom no record has been delivered, have none.
type current map[*person]*record

func (h *household) currentRecords() current {
	now := current{}
	for i := range h.records {
		r := &h.records[i]
		if known := now[r.person]; known == nil || known.updated < r.updated {
			now[r.person] = r
		}
	}
	return now
}

func (h *household) accountRecords(now current, t *tally) {
	for i := range h.records {
		r := &h.records[i]
		t[customerLanding][accepted] += len(r.copies)
		if now[r.person] != r {
			t[customerTrusted][superseded] += len(r.copies)
			continue
		}
		t[customerTrusted][duplicate] += len(r.copies) - 1
		if r.from == noConsent {
			t[customerTrusted][noConsentGiven]++
		} else {
			t[customerTrusted][accepted]++
		}
	}
}

// accountSamples gives the accepted samples and who has one.
func (h *household) accountSamples(g gate, now current, t *tally) (kept []sample, curated map[*person]bool) {
	curated = map[*person]bool{}
	for _, s := range h.samples {
		t[accelerometerLanding][accepted] += len(s.copies)
		o := now[s.person].outcome(g, s.tick)
		if o != accepted {
			t[accelerometerTrusted][o] += len(s.copies)
			continue
		}
		t[accelerometerTrusted][accepted]++
		t[accelerometerTrusted][duplicate] += len(s.copies) - 1
		curated[s.person] = true
		kept = append(kept, s)
	}
	return kept, curated
}

// outcome of a reading at a tick, of the person with this current record.
func (r *record) outcome(g gate, tick int) outcome {
	switch {
	case r == nil:
		return unknownCustomer
	case r.from == noConsent:
		return noConsentGiven
	case g == asOf && tick < r.from:
		return beforeConsent
	}
	return accepted
}

func (h *household) accountCurated(now current, curated map[*person]bool, t *tally) {
	for p, r := range now {
		switch {
		case r.from == noConsent:
		case curated[p]:
			t[customerCurated][accepted]++
		default:
			t[customerCurated][noReadings]++
		}
	}
}

// moment is a device's tick.
type moment struct {
	serial string
	tick   int
}

// accountSteps gives the moments with an accepted reading.
func (h *household) accountSteps(g gate, now current, curated map[*person]bool, t *tally) (passed map[moment]bool) {
	passed = map[moment]bool{}
	for _, s := range h.steps {
		t[stepTrainerLanding][accepted] += len(s.copies)
		o := h.stepOutcome(g, now, curated, s)
		if o != accepted {
			t[stepTrainerTrusted][o] += len(s.copies)
			continue
		}
		t[stepTrainerTrusted][accepted]++
		t[stepTrainerTrusted][duplicate] += len(s.copies) - 1
		passed[moment{s.serial, s.tick}] = true
	}
	return passed
}

func (h *household) stepOutcome(g gate, now current, curated map[*person]bool, s step) outcome {
	owners, first := 0, accepted
	for _, p := range h.people {
		r := now[p]
		if r == nil || r.serial != s.serial {
			continue
		}
		owners++
		o := r.outcome(g, s.tick)
		if r.from != noConsent && !curated[p] {
			o = noReadings
		}
		if first == accepted {
			first = o
		}
	}
	switch {
	case owners == 0:
		return unknownCustomer
	case first != accepted && owners > 1:
		return ambiguousDevice
	}
	return first
}

func (h *household) accountLearning(now current, kept []sample, passed map[moment]bool, t *tally) {
	for _, s := range kept {
		if passed[moment{now[s.person].serial, s.tick}] {
			t[machineLearningCurated][accepted]++
		} else {
			t[machineLearningCurated][noStepReading]++
		}
	}
}

// counts is the number of rows of every table, by gate.
func (l *ledger) counts() map[string]map[string]int {
	all := map[string]map[string]int{}
	for g, name := range gateNames {
		all[name] = map[string]int{}
		for t, table := range tableNames {
			all[name][table] = l[g][t][accepted]
		}
	}
	return all
}

// reasons is the number of rows of every target table, by gate and outcome; outcomes that do not occur are left out.
func (l *ledger) reasons() map[string]map[string]map[string]int {
	all := map[string]map[string]map[string]int{}
	for g, name := range gateNames {
		all[name] = map[string]map[string]int{}
		for t := customerTrusted; t < tables; t++ {
			found := map[string]int{}
			for o, n := range l[g][t] {
				if n > 0 {
					found[outcomeNames[o]] = n
				}
			}
			all[name][tableNames[t]] = found
		}
	}
	return all
}

const (
	expectedFile = "expected.json"
	reasonsFile  = "expected_reasons.json"
)

// write puts the counts beside the data. They come last: where they are, the data is complete.
func (l *ledger) write(dir string) error {
	if err := writeJSON(filepath.Join(dir, reasonsFile), l.reasons()); err != nil {
		return err
	}
	return writeJSON(filepath.Join(dir, expectedFile), l.counts())
}

func writeJSON(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding %s: %w", path, err)
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
