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
	for g := range gates {
		h.accountRecords(&l[g])
		kept, curated := h.accountSamples(g, &l[g])
		h.accountCurated(curated, &l[g])
		passed := h.accountSteps(g, curated, &l[g])
		h.accountLearning(kept, passed, &l[g])
	}
}

type tally = [tables][outcomes]int

func (h *household) accountRecords(t *tally) {
	for _, r := range h.records {
		t[customerLanding][accepted] += 1 + len(r.copies)
		if !r.current {
			t[customerTrusted][superseded] += 1 + len(r.copies)
			continue
		}
		t[customerTrusted][duplicate] += len(r.copies)
		if r.person.from == noConsent {
			t[customerTrusted][noConsentGiven]++
		} else {
			t[customerTrusted][accepted]++
		}
	}
}

// accountSamples gives the accepted samples and who has one.
func (h *household) accountSamples(g gate, t *tally) (kept []sample, curated map[*person]bool) {
	curated = map[*person]bool{}
	for _, s := range h.samples {
		t[accelerometerLanding][accepted] += 1 + len(s.copies)
		o := s.person.outcome(g, s.tick)
		t[accelerometerTrusted][o]++
		if o != accepted {
			t[accelerometerTrusted][o] += len(s.copies)
			continue
		}
		t[accelerometerTrusted][duplicate] += len(s.copies)
		curated[s.person] = true
		kept = append(kept, s)
	}
	return kept, curated
}

// outcome of a reading of the person at a tick.
func (p *person) outcome(g gate, tick int) outcome {
	switch {
	case p.story == stranger:
		return unknownCustomer
	case p.from == noConsent:
		return noConsentGiven
	case g == asOf && tick < p.from:
		return beforeConsent
	}
	return accepted
}

func (h *household) accountCurated(curated map[*person]bool, t *tally) {
	for _, p := range h.people {
		switch {
		case p.story == stranger || p.from == noConsent:
		case curated[p]:
			t[customerCurated][accepted]++
		default:
			t[customerCurated][noReadings]++
		}
	}
}

// accountSteps gives the ticks at which the present device has an accepted reading.
func (h *household) accountSteps(g gate, curated map[*person]bool, t *tally) (passed map[int]bool) {
	passed = map[int]bool{}
	for _, s := range h.steps {
		t[stepTrainerLanding][accepted] += len(s.distances)
		o := h.stepOutcome(g, curated, s)
		if o != accepted {
			t[stepTrainerTrusted][o] += len(s.distances)
			continue
		}
		t[stepTrainerTrusted][accepted]++
		t[stepTrainerTrusted][duplicate] += len(s.distances) - 1
		passed[s.tick] = true
	}
	return passed
}

func (h *household) stepOutcome(g gate, curated map[*person]bool, s step) outcome {
	if s.serial != h.device || len(h.people) == 0 {
		return unknownCustomer
	}
	first := accepted
	for _, p := range h.people {
		o := p.outcome(g, s.tick)
		if p.from != noConsent && !curated[p] {
			o = noReadings
		}
		if first == accepted {
			first = o
		}
	}
	if first != accepted && len(h.people) > 1 {
		return ambiguousDevice
	}
	return first
}

func (h *household) accountLearning(kept []sample, passed map[int]bool, t *tally) {
	for _, s := range kept {
		if passed[s.tick] {
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
