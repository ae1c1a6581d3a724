package main

import (
	"math/rand/v2"
	"slices"
)

// story is what a customer told us about sharing with research, over time.
type story int

const (
	always    story = iota // agreed when registering
	never                  // did not agree
	late                   // agreed in the middle of the readings
	tooLate                // agreed after the last reading
	withdrawn              // agreed, and took it back
	regiven                // agreed, took it back, and agreed again in the middle of the readings
	persuaded              // did not agree, then did in the middle of the readings
	earlier                // agreed from after the last reading on, then from the middle of the readings on
	later                  // agreed when registering, then only from the middle of the readings on
	stranger               // has readings, but no customer record
)

// role is a person's part in a household.
type role struct {
	story  story
	silent bool // carries no phone: no accelerometer readings
	leaves bool // gets a device of their own
}

// kind is a household as it occurs in the data: the people who share one device, about weight times in a thousand.
type kind struct {
	name      string
	weight    int
	roles     []role
	noDevice  bool // no step trainer readings
	newDevice bool // the first readings come from a device that the current record no longer names
}

// kinds holds every case that the rules tell apart. The shares of the first two are those of a real population.
var kinds = []kind{
	{name: "always", weight: 340, roles: []role{{story: always}}},
	{name: "never", weight: 395, roles: []role{{story: never}}},
	{name: "late", weight: 90, roles: []role{{story: late}}},
	{name: "too late", weight: 20, roles: []role{{story: tooLate}}},
	{name: "withdrawn", weight: 30, roles: []role{{story: withdrawn}}},
	{name: "regiven", weight: 15, roles: []role{{story: regiven}}},
	{name: "persuaded", weight: 25, roles: []role{{story: persuaded}}},
	{name: "silent", weight: 15, roles: []role{{story: always, silent: true}}},
	{name: "idle", weight: 10, roles: []role{{story: always, silent: true}}, noDevice: true},
	{name: "new device", weight: 10, roles: []role{{story: always}}, newDevice: true},
	{name: "shared", weight: 12, roles: []role{{story: always}, {story: late}}},
	{name: "shared, one never", weight: 12, roles: []role{{story: always}, {story: never}}},
	{name: "shared by three", weight: 6, roles: []role{{story: always}, {story: late}, {story: always}}},
	{name: "shared, one silent", weight: 5, roles: []role{{story: always}, {story: always, silent: true}}},
	{name: "shared, one withdrawn", weight: 5, roles: []role{{story: late}, {story: withdrawn}}},
	{name: "unknown user", weight: 5, roles: []role{{story: stranger}}, noDevice: true},
	{name: "unknown device", weight: 5},
}

// kindsOverTime are those that differ from the others only while they are being delivered.
var kindsOverTime = append(slices.Clone(kinds), []kind{
	{name: "earlier", weight: 30, roles: []role{{story: earlier}}},
	{name: "later", weight: 30, roles: []role{{story: later}}},
	{name: "joins one who never", weight: 20, roles: []role{{story: always}, {story: never}}, newDevice: true},
	{name: "left by one who never", weight: 20, roles: []role{{story: always}, {story: never, leaves: true}}},
}...)

// customers is the number of people with a customer record.
func (k kind) customers() int {
	n := 0
	for _, r := range k.roles {
		if r.story != stranger {
			n++
		}
	}
	return n
}

// household is everything planted about the people of one device. Its time is counted in ticks, the moments at which
// devices read, so that a date of consent and a reading are compared by position, not by the rules under test.
type household struct {
	ticks   []int64 // ms since epoch, ascending
	people  []*person
	device  string   // serial number; several people may have it
	records []record // of every person the latest last
	samples []sample
	steps   []step
}

// person is a customer or a stranger.
type person struct {
	identity
	role
	from int // the first tick that the latest consent covers, len(ticks) for none of them, or noConsent
}

const noConsent = -1

// record is a customer record.
type record struct {
	person   *person
	identity identity // as it was then
	serial   string
	updated  int64
	research share
	from     int // the first tick that its consent covers, as in person
	public   share
	friends  share
	latest   bool // of its person
	copies   []copied
}

// sample is an accelerometer reading; x, y, z in tenths.
type sample struct {
	person  *person
	tick    int
	x, y, z int
	copies  []copied
}

// step is what a device read at a tick.
type step struct {
	serial string
	tick   int
	copies []copied // of several distances, the smallest counts
}

// copied is a row as one file holds it; the first one is the original.
type copied struct {
	spelling spelling // of the e-mail in a record or sample
	distance int      // in a step
	place             // see deliver
}

// Chances in a thousand of what disturbs a delivery.
const (
	chanceReplay      = 20  // the whole household is delivered again
	chanceRecordAgain = 40  // a customer record is delivered again
	chanceRevised     = 80  // an earlier record without a change of consent
	chanceSampleAgain = 10  // an accelerometer reading is delivered again
	chanceStepAgain   = 10  // a step reading is delivered again
	chanceStepDiffers = 5   // a step reading is delivered again with another distance
	chanceNoStep      = 20  // the device misses a tick that the phone records
	chanceNoPhone     = 40  // nobody carries a phone at a tick
	chanceTogether    = 200 // the people of a shared device record the same tick
	chanceOddSpelling = 30  // an e-mail is spelled in another way
)

func chance(rng *rand.Rand, perMille int) bool { return rng.IntN(1000) < perMille }

// plant makes household number index of the given kind; its first customer is number first, from 0. unicode as in newIdentity.
func plant(rng *rand.Rand, k kind, index, first, readings int, unicode bool) *household {
	h := &household{ticks: newTicks(rng, index, readings), device: newSerial(rng)}
	for i, r := range k.roles {
		number := first + i
		if r.story == stranger {
			number = index
		}
		p := &person{identity: newIdentity(rng, number, r.story == stranger, unicode), role: r}
		p.from = h.consentFrom(rng, r.story)
		h.people = append(h.people, p)
	}

	changed := 0 // the first tick of the present device
	oldDevice := ""
	if k.newDevice {
		changed, oldDevice = 1+rng.IntN(len(h.ticks)-1), newSerial(rng)
	}
	for _, p := range h.people {
		h.plantRecords(rng, p, oldDevice)
	}
	h.plantSamples(rng)
	if !k.noDevice {
		h.plantSteps(rng, changed, oldDevice)
	}
	if chance(rng, chanceReplay) {
		h.replay()
	}
	return h
}

// Times are laid out so that some people read at the same moment: eight households start together, each an eighth of a
// second after the one before, and the next eight start while these are still reading. A join on the time alone then
// pairs people who have nothing to do with each other.
const (
	epoch       = 1_640_995_200_000 // 2022-01-01
	perStart    = 8
	startEvery  = 2000 // ms, for each reading of a person
	minute      = int64(60_000)
	day         = 24 * 60 * minute
	minTickStep = 2 // seconds
	maxTickStep = 5
)

func newTicks(rng *rand.Rand, index, readings int) []int64 {
	n := max(minReadings, readings*4/5+rng.IntN(readings*2/5+1))
	at := epoch + int64(index/perStart)*int64(readings)*startEvery + int64(index%perStart)*1000/perStart
	ticks := make([]int64, n)
	for i := range ticks {
		ticks[i] = at
		at += int64(minTickStep+rng.IntN(maxTickStep-minTickStep+1)) * 1000
	}
	return ticks
}

func (h *household) consentFrom(rng *rand.Rand, s story) int {
	switch s {
	case always:
		return 0
	case late, regiven, persuaded, earlier, later:
		return 1 + rng.IntN(len(h.ticks)-1)
	case tooLate:
		return len(h.ticks)
	}
	return noConsent
}

// consentDate lies after the tick before p.from and not after p.from; often it is that very moment, which counts.
func (h *household) consentDate(rng *rand.Rand, p *person) int64 {
	switch {
	case p.from == 0:
		return p.registered
	case p.from == len(h.ticks):
		return h.ticks[p.from-1] + 1 + rng.Int64N(day)
	case chance(rng, 500):
		return h.ticks[p.from]
	}
	before, at := h.ticks[p.from-1], h.ticks[p.from]
	return before + 1 + rng.Int64N(at-before)
}

// plantRecords tells the person's story in customer records; the last one is current.
func (h *household) plantRecords(rng *rand.Rand, p *person, oldDevice string) {
	if p.story == stranger {
		return
	}
	p.registered = h.ticks[0] - minute - rng.Int64N(30*day)
	agreed := given(p.registered)
	add := func(updated int64, research share, from int) {
		h.records = append(h.records, newRecord(rng, p, h.device, updated, research, from))
	}

	switch p.story {
	case always:
		if oldDevice != "" || chance(rng, chanceRevised) {
			add(p.registered, agreed, 0)
			h.revise(rng, oldDevice)
			add(p.registered+1+rng.Int64N(day), agreed, 0)
		} else {
			add(p.registered, agreed, 0)
		}
	case never:
		add(p.registered, refused(rng), noConsent)
		if p.leaves {
			add(p.registered+1+rng.Int64N(day), refused(rng), noConsent)
			h.records[len(h.records)-1].serial = newSerial(rng)
		}
	case withdrawn:
		add(p.registered, agreed, 0)
		add(h.ticks[len(h.ticks)-1]+1+rng.Int64N(day), refused(rng), noConsent)
	case regiven, persuaded:
		date := h.consentDate(rng, p)
		if p.story == regiven {
			add(p.registered, agreed, 0)
		}
		add(p.registered+1, refused(rng), noConsent)
		add(date, given(date), p.from)
	case late, tooLate:
		date := h.consentDate(rng, p)
		add(date, given(date), p.from)
	case earlier:
		after := h.ticks[len(h.ticks)-1] + 1
		add(after, given(after), len(h.ticks))
		add(after+1, given(h.consentDate(rng, p)), p.from)
	case later:
		date := h.consentDate(rng, p)
		add(p.registered, agreed, 0)
		add(date, given(date), p.from)
	}
	h.records[len(h.records)-1].latest = true
}

func newRecord(rng *rand.Rand, p *person, serial string, updated int64, research share, from int) record {
	r := record{
		person: p, identity: p.identity, serial: serial, updated: updated, research: research, from: from,
		public: perhaps(rng, updated), friends: perhaps(rng, updated), copies: []copied{{spelling: newSpelling(rng)}},
	}
	if chance(rng, chanceRecordAgain) {
		r.copies = append(r.copies, copied{spelling: newSpelling(rng)})
	}
	return r
}

// revise makes the record planted last an earlier state: another phone, and the device before the present one.
func (h *household) revise(rng *rand.Rand, oldDevice string) {
	r := &h.records[len(h.records)-1]
	r.identity.phone = newPhone(rng)
	if oldDevice != "" {
		r.serial = oldDevice
	}
}

func (h *household) plantSamples(rng *rand.Rand) {
	carriers := slices.Clone(h.people)
	carriers = slices.DeleteFunc(carriers, func(p *person) bool { return p.silent })
	if len(carriers) == 0 {
		return
	}
	for tick := range h.ticks {
		if chance(rng, chanceNoPhone) {
			continue
		}
		if chance(rng, chanceTogether) {
			for _, p := range carriers {
				h.plantTick(rng, p, tick)
			}
			continue
		}
		h.plantTick(rng, carriers[rng.IntN(len(carriers))], tick)
	}
	// The app does not deliver in order.
	rng.Shuffle(len(h.samples), func(i, j int) { h.samples[i], h.samples[j] = h.samples[j], h.samples[i] })
}

// plantTick plants the distinct samples that a phone took at one tick.
func (h *household) plantTick(rng *rand.Rand, p *person, tick int) {
	first := len(h.samples)
	for range samplesAtOnce(rng) {
		s := sample{person: p, tick: tick, copies: []copied{{spelling: newSpelling(rng)}}}
		for s.x = -11; s.x == -11 || slices.ContainsFunc(h.samples[first:], s.samePlace); {
			s.x, s.y, s.z = rng.IntN(21)-10, rng.IntN(21)-10, rng.IntN(11)-10
		}
		if chance(rng, chanceSampleAgain) {
			s.copies = append(s.copies, copied{spelling: newSpelling(rng)})
		}
		h.samples = append(h.samples, s)
	}
}

func (s sample) samePlace(o sample) bool { return s.x == o.x && s.y == o.y && s.z == o.z }

func samplesAtOnce(rng *rand.Rand) int {
	switch at := rng.IntN(100); {
	case at < 5:
		return 1
	case at < 20:
		return 2
	case at < 95:
		return 3
	case at < 99:
		return 4
	}
	return 6
}

func (h *household) plantSteps(rng *rand.Rand, changed int, oldDevice string) {
	for tick := range h.ticks {
		if chance(rng, chanceNoStep) {
			continue
		}
		s := step{serial: h.device, tick: tick, copies: []copied{{distance: newDistance(rng)}}}
		if tick < changed {
			s.serial = oldDevice
		}
		if chance(rng, chanceStepAgain) {
			s.copies = append(s.copies, s.copies[0])
		}
		if chance(rng, chanceStepDiffers) {
			s.copies = append(s.copies, copied{distance: newDistance(rng)})
		}
		h.steps = append(h.steps, s)
	}
}

func newDistance(rng *rand.Rand) int { return 201 + rng.IntN(100) }

// replay delivers everything of the household a second time.
func (h *household) replay() {
	h.each(func(_ int, copies *[]copied) { *copies = append(*copies, (*copies)[0]) })
}

// each visits the copies of every row: records, samples, steps, in the order in which they are written.
func (h *household) each(visit func(source int, copies *[]copied)) {
	for i := range h.records {
		visit(customer, &h.records[i].copies)
	}
	for i := range h.samples {
		visit(accelerometer, &h.samples[i].copies)
	}
	for i := range h.steps {
		visit(stepTrainer, &h.steps[i].copies)
	}
}
